"""What the session routes answer: models as JSON, refusals with a code and a sentence, and nothing to be kept."""

from __future__ import annotations

import math

from pydantic import BaseModel
from starlette.responses import Response

from holdfast.asgi import models
from holdfast.errors import RefusedError, SessionEnded, Throttled, TokenError, TokenReused, Unavailable

NO_STORE = {"Cache-Control": "no-store"}
UNAVAILABLE_SENTENCE = "Something this server stands on does not answer. Please try again in a moment."
UNAVAILABLE_RETRY = 1


def refusal(error: RefusedError) -> Response:
    """What a refusal looks like over HTTP."""
    reason = error.reason if isinstance(error, SessionEnded) else None
    body = models.Refusal(code=error.code, message=str(error), reason=reason)
    response = json(body, status=error.status, exclude_none=True)
    if error.status == 401:
        told = isinstance(error, TokenError | SessionEnded | TokenReused)
        response.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"' if told else "Bearer"
    if isinstance(error, Throttled):
        response.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    return response


def unavailable() -> Response:
    """503, with when to try again."""
    response = json(
        models.Refusal(code=Unavailable.code, message=UNAVAILABLE_SENTENCE), status=503, exclude_none=True
    )
    response.headers["Retry-After"] = str(UNAVAILABLE_RETRY)
    return response


def json(body: BaseModel, *, status: int = 200, exclude_none: bool = False) -> Response:
    """A model as the answer."""
    text = body.model_dump_json(exclude_none=exclude_none)
    return Response(text, status, dict(NO_STORE), media_type="application/json")


def done() -> Response:
    """204: it is done, and there is nothing to say."""
    return Response(status_code=204, headers=dict(NO_STORE))


def whole(seconds: float) -> int:
    """Whole seconds, rounded up: `exp` is a whole second too, so a fresh token has its full lifetime.

    Clients refresh by `refresh_in`, which is exact.
    """
    return max(1, math.ceil(seconds))

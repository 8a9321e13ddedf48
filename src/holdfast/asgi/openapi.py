"""The routes of sessions as a FastAPI router, whose documentation says everything that they take and answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends
from fastapi.security import OAuth2PasswordBearer
from starlette.routing import Match, Route

from holdfast.asgi import bodies, models
from holdfast.asgi.guard import HEADER
from holdfast.asgi.routes import Endpoint, Handler
from holdfast.asgi.service import PATH as WS_PATH

if TYPE_CHECKING:
    from starlette.types import Scope

TAG = "sessions"
NO_STORE = {"Cache-Control": {"schema": {"type": "string"}, "description": "`no-store`"}}
RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}}
CHALLENGE = {"WWW-Authenticate": {"schema": {"type": "string"}, "description": "`Bearer`"}}

REFUSALS: dict[int, dict[str, Any]] = {
    401: {
        "description": "`invalid_token`, `token_expired`, `session_ended`, `token_reused` or `bad_credentials`",
        "headers": CHALLENGE,
    },
    403: {"description": "`missing_header`, `foreign_origin` or `forbidden`"},
    404: {"description": "`not_found`"},
    422: {"description": "`bad_input`: the text says what to send instead"},
    429: {"description": "`throttled`", "headers": RETRY_AFTER},
    503: {"description": "`unavailable`", "headers": RETRY_AFTER},
}


class Router(APIRouter):
    """A router that an app's own WebSockets pass by at once: routes that are included come before theirs."""

    ours = -1
    """How many routes are Holdfast's; once an app has put others beside them, all are asked."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """FastAPI asks this of an included router, and older ones do not ask."""
        is_none_of_ours = scope["type"] == "websocket" and not scope["path"].endswith(WS_PATH)
        if is_none_of_ours and len(self.routes) == self.ours:
            return Match.NONE, {}
        return super().matches(scope)


def router(found: Sequence[Endpoint], handlers: Sequence[Handler], rest: Sequence[Route]) -> APIRouter:
    """A router of these endpoints; `rest` answers preflights and wrong methods, and is not documented."""
    made = Router(tags=[TAG])
    # It only tells the docs page where to sign in (its Authorize button); the handlers check the token themselves.
    scheme = Depends(OAuth2PasswordBearer(tokenUrl="token", auto_error=False, scheme_name="Holdfast"))
    for endpoint, handler in zip(found, handlers, strict=True):
        summary, description = endpoint.words
        made.add_api_route(
            endpoint.path,
            handler,
            methods=[endpoint.method],
            summary=summary,
            description=description,
            status_code=204 if endpoint.answer is None else 200,
            response_model=None,
            responses=_responses(endpoint),
            dependencies=[scheme] if endpoint.bearer else [],
            openapi_extra=_extra(endpoint),
            name=handler.__name__,
        )
    made.routes.extend(rest)
    made.ours = len(made.routes) + 1  # and the built-in WebSocket's, which `hold.router` adds
    return made


def _responses(endpoint: Endpoint) -> dict[int | str, dict[str, Any]]:
    if endpoint.answer is None:
        good: dict[int | str, dict[str, Any]] = {204: {"description": "Done", "headers": NO_STORE}}
    else:
        good = {200: {"model": endpoint.answer, "description": "Done", "headers": NO_STORE}}
    statuses = {*endpoint.refuses, 503}
    statuses |= {401} if endpoint.bearer else set()
    statuses |= {403} if endpoint.guarded else set()
    statuses |= {422} if endpoint.body is not None else set()
    return good | {status: {"model": models.Refusal, **REFUSALS[status]} for status in sorted(statuses)}


def _extra(endpoint: Endpoint) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = []
    if endpoint.guarded:
        parameters.append(
            {
                "name": HEADER,
                "in": "header",
                "required": True,
                "description": "Shows that no foreign page's form has sent the request.",
                "schema": {"type": "string", "enum": ["1"]},
            }
        )
    if "{sid}" in endpoint.path:
        parameters.append({"name": "sid", "in": "path", "required": True, "schema": {"type": "string"}})
    extra: dict[str, Any] = {"parameters": parameters} if parameters else {}
    if endpoint.body is not None:
        media = bodies.FORM if endpoint.form else "application/json"
        schema = endpoint.body.model_json_schema()
        required = bool(schema.get("required"))
        extra["requestBody"] = {"required": required, "content": {media: {"schema": schema}}}
    return extra

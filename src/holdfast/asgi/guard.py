"""What keeps other sites' pages from using a person's session: Origin, a header that forms cannot send, and CORS.

A cookie travels by itself, so a request that it may prove needs more: the header `X-Holdfast: 1`, which no page can
send to another origin without a preflight, and an Origin, where there is one, that may be here (ASVS 5.0, section 3.5).
One rule for browsers and programs, so that what works in a test works in a page.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from holdfast.asgi import origin, proxy
from holdfast.errors import Forbidden
from holdfast.settings import Settings

HEADER = "X-Holdfast"
ALLOWED_HEADERS = f"Authorization, Content-Type, {HEADER}"
PREFLIGHT_SECONDS = 600


class MissingHeader(Forbidden):
    """A request that a foreign page's form could have sent as well."""

    code = "missing_header"
    sentence = (
        f"Add the header {HEADER}: 1 to this request; it shows that no foreign page's form has sent it."
    )


class ForeignOrigin(Forbidden):
    """A page that may not use these sessions."""

    code = "foreign_origin"
    sentence = "This page may not sign in here. The server's operator can add its origin to HOLDFAST_ALLOWED_ORIGINS."


class Guard:
    """The rules for one set of settings."""

    def __init__(self, settings: Settings) -> None:
        self._trusted = settings.trusted_proxies
        self._origins = settings.allowed_origins

    def check_origin(self, request: Request) -> None:
        """Raise `ForeignOrigin` for a page that may not be here; no Origin is no page."""
        if not self._is_allowed(request):
            raise ForeignOrigin(detail="foreign origin")

    def check(self, request: Request) -> None:
        """The same, and raise `MissingHeader` where the header is missing."""
        self.check_origin(request)
        if request.headers.get(HEADER) != "1":
            raise MissingHeader(detail=f"no {HEADER} header")

    def share(self, request: Request, response: Response) -> None:
        """Let the page read the answer, if it may (CORS): never everybody, as the answers are to somebody (C46)."""
        headers = response.headers
        headers.add_vary_header("Origin")
        said = request.headers.get("origin")
        if said is not None and self._is_allowed(request):
            headers["Access-Control-Allow-Origin"] = said
            headers["Access-Control-Allow-Credentials"] = "true"
            headers["Access-Control-Expose-Headers"] = "Retry-After"

    def preflight(self, request: Request, methods: str) -> Response:
        """The answer to OPTIONS."""
        self.check_origin(request)
        if "access-control-request-method" not in request.headers:
            return Response(status_code=204, headers={"Allow": methods})
        return Response(
            status_code=204,
            headers={
                "Access-Control-Allow-Methods": methods,
                "Access-Control-Allow-Headers": ALLOWED_HEADERS,
                "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
            },
        )

    def _is_allowed(self, request: Request) -> bool:
        said = request.headers.getlist("origin")
        if len(said) > 1:
            return False
        here = proxy.host(request.scope, self._trusted)
        return origin.allowed(said[0] if said else None, here, self._origins)

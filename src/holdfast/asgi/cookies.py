"""The cookie that holds a browser's refresh token, out of reach of scripts (RFC 6265bis; ASVS 5.0, section 3.3)."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from holdfast.asgi import proxy
from holdfast.logs import get_logger
from holdfast.settings import Settings

SECURE_NAME = "__Host-holdfast"
"""The prefix makes browsers take it only from this very host, over https, for every path."""

PLAIN_NAME = "holdfast"
"""Over plain http, where no browser would take the other one."""

logger = get_logger("holdfast.sessions")


class RefreshCookie:
    """Reads, sets and clears it.

    Over plain http the cookie is set without `Secure`, on whatever host: otherwise nobody could sign in on an intranet
    or in a test. Away from loopback that is told in the log, once.
    """

    def __init__(self, settings: Settings) -> None:
        self._trusted = settings.trusted_proxies
        self._warned = False

    def read(self, request: Request) -> str | None:
        """The refresh token that a browser sent, if any."""
        return request.cookies.get(self._name(request)) or None

    def set(self, request: Request, response: Response, token: str, *, seconds: float) -> None:
        """Keep a refresh token in the browser for so long."""
        self._write(request, response, token, max(0, int(seconds)))

    def clear(self, request: Request, response: Response) -> None:
        """Take it from the browser."""
        self._write(request, response, "", 0)

    def _write(self, request: Request, response: Response, value: str, max_age: int) -> None:
        name = self._name(request)
        secure = name == SECURE_NAME
        if not secure:
            self._warn(request)
        response.set_cookie(
            name, value, max_age=max_age, path="/", secure=secure, httponly=True, samesite="strict"
        )

    def _name(self, request: Request) -> str:
        return SECURE_NAME if proxy.scheme(request.scope, self._trusted) == "https" else PLAIN_NAME

    def _warn(self, request: Request) -> None:
        here = proxy.host(request.scope, self._trusted)
        if self._warned or _is_loopback(here):
            return
        self._warned = True
        logger.warning(
            "the refresh cookie travels over plain http; serve over https, or name the proxy that does in "
            "HOLDFAST_TRUSTED_PROXIES",
            host=here,
        )


def _is_loopback(host: str | None) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name == "localhost" or name.endswith(".localhost") or name == "::1" or name.startswith("127.")

"""Response headers that keep browsers from doing more with an answer than is meant (ASVS 5.0, section 3.4)."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holdfast.asgi import proxy

COMMON = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
HSTS = "max-age=31536000"
DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"
PAGE_POLICY = "frame-ancestors 'none'"
PAGES = ("/docs", "/redoc")
"""FastAPI's own pages take their scripts from elsewhere; only framing is refused there."""


class SafeHeaders:
    """Middleware that adds them, unless the route has set its own."""

    def __init__(self, app: ASGIApp, *, trusted: Sequence[str] = ()) -> None:
        self._app = app
        self._trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in COMMON.items():
                    headers.setdefault(name, value)
                page = scope["path"].startswith(PAGES)
                headers.setdefault("Content-Security-Policy", PAGE_POLICY if page else DATA_POLICY)
                if proxy.scheme(scope, self._trusted) == "https":
                    headers.setdefault("Strict-Transport-Security", HSTS)
            await send(message)

        await self._app(scope, receive, send_with_headers)

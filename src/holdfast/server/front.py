"""The way in: the built-in WebSocket is answered before the app's middleware and routing, all else goes on to them."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from holdfast.asgi.service import PATH


class Front:
    """An ASGI app around the ready server's own."""

    def __init__(self, app: ASGIApp, live: ASGIApp) -> None:
        self.app = app
        self._live = live

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self._live if self.holdfast_eager(scope) else self.app)(scope, receive, send)

    def holdfast_eager(self, scope: Scope) -> bool:
        """Whether a call may begin outside of a task, as the fast lane asks: the built-in endpoint needs none."""
        return bool(scope["type"] == "websocket" and scope["path"] == PATH)

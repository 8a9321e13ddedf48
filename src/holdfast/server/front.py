"""The way in: the built-in WebSocket is answered before the app's middleware and routing, all else goes on to them."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from holdfast.asgi.lane import Lane
from holdfast.asgi.service import PATH, Service


class Front:
    """An ASGI app around the ready server's own."""

    def __init__(self, app: ASGIApp, live: Service) -> None:
        self.app = app
        self._live = live

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_live = scope["type"] == "websocket" and scope["path"] == PATH
        await (self._live if is_live else self.app)(scope, receive, send)

    def holdfast_takes(self, scope: Scope, lane: Lane) -> bool:
        """The fast lane's question, whether no call is needed: not for the built-in endpoint, as a rule."""
        return bool(scope["path"] == PATH) and self._live.takes(scope, lane)

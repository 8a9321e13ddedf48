"""Django Channels on uvicorn: a group in the in-memory layer."""

from __future__ import annotations

import django
import jwt
import uvicorn
from django.conf import settings
from proof import SECRET_KEY, may_publish, port

GROUP = "bench"

settings.configure(
    SECRET_KEY=SECRET_KEY,
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["channels"],
    # Its default capacity of 100 would drop messages of bursts.
    CHANNEL_LAYERS={
        "default": {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"capacity": 10_000}}
    },
)
django.setup()

from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402  # wants settings first
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402  # the same
from django.urls import path  # noqa: E402  # the same


class Live(AsyncWebsocketConsumer):
    publishes = False

    async def connect(self) -> None:
        headers = dict(self.scope["headers"])
        try:
            self.publishes = may_publish(headers.get(b"authorization", b"").decode())
        except jwt.InvalidTokenError:
            await self.close(4003)
            return
        if not self.publishes:
            await self.channel_layer.group_add(GROUP, self.channel_name)
        await self.accept()

    async def disconnect(self, _code: int) -> None:
        await self.channel_layer.group_discard(GROUP, self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self.publishes:
            await self.channel_layer.group_send(GROUP, {"type": "told", "text": text_data})
        else:
            await self.send(text_data=text_data, bytes_data=bytes_data)

    async def told(self, event: dict[str, str]) -> None:
        await self.send(text_data=event["text"])


app = ProtocolTypeRouter({"websocket": URLRouter([path("ws", Live.as_asgi())])})

if __name__ == "__main__":
    uvicorn.run(app, port=port(), loop="uvloop", http="httptools", log_level="warning", ws_ping_interval=None)

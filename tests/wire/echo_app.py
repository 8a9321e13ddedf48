"""An app that echoes: `/app` through ASGI, `/lane` on a connection that it has handed over, `/taken` without a call."""

from __future__ import annotations

import asyncio
from typing import Any

from holdfast.asgi.fastlane.frames import binary_frame
from holdfast.asgi.lane import Lane, lane_of, text_frame


class Echo:
    """Answers at once, within the read that brought the message."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane

    def received(self, data: str | bytes) -> None:
        self.lane.write(text_frame(data.encode()) if isinstance(data, str) else binary_frame(data))

    def disconnected(self, code: int) -> None:
        LOG.append(code)


LOG: list[int] = []
"""The codes of the connections that are over."""

FLOOD: list[int] = [0]
"""How many messages `/flood` could send."""

GO = asyncio.Event()
"""Set by `POST /go`."""


class App:
    def holdfast_takes(self, scope: dict, lane: Lane) -> bool:
        if scope["path"] != "/taken":
            return False
        lane.take(scope, None, [])
        lane.adopt(Echo(lane))
        return True

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while (message := await receive())["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": message["type"] + ".complete"})
        elif scope["type"] == "http":
            if scope["path"] == "/go":
                GO.set()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": f"{LOG} flood={FLOOD[0]}".encode()})
        else:
            await receive()
            await send({"type": "websocket.accept"})
            await getattr(self, scope["path"].strip("/"))(scope, receive, send)

    async def lane(self, scope: dict, receive: Any, send: Any) -> None:  # noqa: ARG002  # called as the others are
        lane = lane_of(scope)
        assert lane is not None
        lane.adopt(Echo(lane))

    async def app(self, scope: dict, receive: Any, send: Any) -> None:  # noqa: ARG002  # called as the others are
        while (message := await receive())["type"] == "websocket.receive":
            await send({**message, "type": "websocket.send"})

    async def flood(self, scope: dict, receive: Any, send: Any) -> None:  # noqa: ARG002  # called as the others are
        """Sends as fast as it may, until its peer is gone."""
        FLOOD[0] = 0
        while True:
            await send({"type": "websocket.send", "bytes": b"x" * 10_000})
            FLOOD[0] += 1

    async def busy(self, scope: dict, receive: Any, send: Any) -> None:  # noqa: ARG002  # called as the others are
        """Takes nothing until it is told to; then counts."""
        GO.clear()
        await GO.wait()
        count = 0
        while (await receive())["type"] == "websocket.receive":
            count += 1
            await send({"type": "websocket.send", "text": str(count)})


app = App()

"""python-socketio on uvicorn: a room, and one emit to it."""

from __future__ import annotations

from typing import Any

import jwt
import socketio
import uvicorn
from proof import may_publish, port

ROOM = "bench"

server = socketio.AsyncServer(async_mode="asgi", ping_interval=3600, transports=["websocket"])
publishers: set[str] = set()


@server.event
async def connect(sid: str, environ: dict[str, Any], _auth: Any) -> None:
    try:
        publishes = may_publish(environ.get("HTTP_AUTHORIZATION"))
    except jwt.InvalidTokenError:
        raise ConnectionRefusedError("unauthorized") from None
    if publishes:
        publishers.add(sid)
    else:
        await server.enter_room(sid, ROOM)


@server.event
async def publish(sid: str, data: Any) -> None:
    if sid in publishers:
        await server.emit("message", data, room=ROOM)


@server.event
async def echo(sid: str, data: Any) -> None:
    await server.emit("message", data, to=sid)


if __name__ == "__main__":
    app = socketio.ASGIApp(server)
    uvicorn.run(app, port=port(), loop="uvloop", http="httptools", log_level="warning", ws_ping_interval=None)

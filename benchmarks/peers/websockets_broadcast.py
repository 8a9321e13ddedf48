"""The `websockets` library and its own `broadcast`, which does not wait for anybody."""

from __future__ import annotations

from http import HTTPStatus

import jwt
import uvloop
from proof import may_publish, port
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.http11 import Request, Response

subscribers: set[ServerConnection] = set()


def check(connection: ServerConnection, request: Request) -> Response | None:
    try:
        connection.publishes = may_publish(request.headers.get("Authorization"))
    except jwt.InvalidTokenError:
        return connection.respond(HTTPStatus.UNAUTHORIZED, "")
    return None


async def live(connection: ServerConnection) -> None:
    if connection.publishes:
        async for text in connection:
            broadcast(subscribers, text)
        return
    subscribers.add(connection)
    try:
        async for text in connection:
            await connection.send(text)
    finally:
        subscribers.discard(connection)


async def main() -> None:
    options = {"compression": None, "ping_interval": None, "process_request": check}
    async with serve(live, "127.0.0.1", port(), backlog=2048, **options) as server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())

"""picows by its core API: callbacks instead of coroutines, frames parsed in C."""

from __future__ import annotations

from http import HTTPStatus

import jwt
import uvloop
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)
from proof import may_publish, port

subscribers: set[WSTransport] = set()


class Live(WSListener):
    def __init__(self, publishes: bool) -> None:
        super().__init__()
        self.publishes = publishes

    def on_ws_connected(self, transport: WSTransport) -> None:
        if not self.publishes:
            subscribers.add(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        elif frame.msg_type == WSMsgType.TEXT:
            text = frame.get_payload_as_bytes()
            if self.publishes:
                for subscriber in subscribers:
                    subscriber.send(WSMsgType.TEXT, text)
            else:
                transport.send(WSMsgType.TEXT, text)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        subscribers.discard(transport)


def check(request: WSUpgradeRequest) -> Live | WSUpgradeResponseWithListener:
    try:
        return Live(may_publish(request.headers.get("Authorization")))
    except jwt.InvalidTokenError:
        refusal = WSUpgradeResponse.create_error_response(HTTPStatus.UNAUTHORIZED)
        return WSUpgradeResponseWithListener(refusal, None)


async def main() -> None:
    server = await ws_create_server(check, "127.0.0.1", port(), backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())

"""uWebSockets under Python: a topic, which its C++ writes to all subscribers."""

from __future__ import annotations

from typing import Any

import jwt
from proof import may_publish, port
from socketify import App, AppListenOptions, OpCode

TOPIC = "bench"

app = App()


def check(response: Any, request: Any, context: Any) -> None:
    try:
        publishes = may_publish(request.get_header("authorization"))
    except jwt.InvalidTokenError:
        response.write_status(401).end("")
        return
    names = ("sec-websocket-key", "sec-websocket-protocol", "sec-websocket-extensions")
    key, protocol, extensions = map(request.get_header, names)
    response.upgrade(key, protocol, extensions, context, publishes)


def opened(socket: Any) -> None:
    if not socket.get_user_data():
        socket.subscribe(TOPIC)


def said(socket: Any, text: Any, opcode: OpCode) -> None:
    if socket.get_user_data():
        app.publish(TOPIC, text, opcode)
    else:
        socket.send(text, opcode)


# `max_backpressure` is what one subscriber may be behind before messages to it are dropped, without a word.
app.ws(
    "/ws",
    {
        "upgrade": check,
        "open": opened,
        "message": said,
        "max_payload_length": 65_536,
        "max_backpressure": 2**20,
        "idle_timeout": 0,
    },
)

if __name__ == "__main__":
    app.listen(AppListenOptions(port=port(), host="127.0.0.1"))
    app.run()

"""What connections of a server share, and how a call of the app is begun."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any

import pytest

from holdfast.asgi.fastlane.handshake import read_whole

Connect = Callable[..., Any]

ACCEPT = {"type": "websocket.accept"}


class Taking:
    """An app that takes connections to one path without a call."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.called: list[str] = []
        self.ear = Ear()

    def holdfast_takes(self, scope: dict, lane: Any) -> bool:
        self.asked.append(scope["path"])
        if scope["path"] != "/ws":
            return False
        lane.take(scope, None, [(b"x-own", b"1")])
        lane.adopt(self.ear)
        return True

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        self.called.append(scope["path"])
        await receive()
        await send(ACCEPT)


class Ear:
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def received(self, data: str | bytes) -> None:
        self.heard.append(data)

    def disconnected(self, code: int) -> None:
        self.heard.append(code)


class Wrapped:
    """As uvicorn's middleware wraps an app."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


async def test_an_app_may_take_a_connection_without_being_called(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    app = Taking()
    with caplog.at_level("INFO", "uvicorn.error"):
        peer = await connect(app, path="/ws?a=b")
    assert peer.head.startswith(b"HTTP/1.1 101")
    assert b"\r\nx-own: 1" in peer.head
    assert caplog.messages == ['192.0.2.7:4711 - "WebSocket /ws?a=b" [accepted]']
    peer.text("hello")
    peer.lose()
    assert app.ear.heard == ["hello", 1006]
    assert (app.called, peer.state.tasks) == ([], set())


async def test_what_came_with_the_handshake_is_told_to_whoever_takes_it(
    connect: Connect, request_text: Callable[..., bytes], masked: Callable[..., bytes]
) -> None:
    app = Taking()
    first = await connect(app, path="/ws")
    peer = await connect(app, raw=request_text("/jobs"), like=first)
    assert app.called == ["/jobs"]
    lane = type(peer.protocol)(peer.config, first.state, {})
    transport = type(peer.transport)()
    lane.begin(transport, read_whole(request_text("/ws")), masked(1, b"early"))
    await first.ticks()
    assert app.ear.heard == ["early"]


async def test_one_that_it_does_not_take_is_called_for(connect: Connect) -> None:
    app = Taking()
    peer = await connect(app, path="/jobs")
    assert peer.head.startswith(b"HTTP/1.1 101")
    assert (app.asked, app.called) == (["/jobs"], ["/jobs"])


async def test_nothing_is_taken_past_what_is_around_the_app(connect: Connect) -> None:
    app = Taking()
    await connect(Wrapped(app), path="/ws")
    assert (app.asked, app.called) == ([], ["/ws"])


async def test_one_that_fails_before_the_accept_is_a_500(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Taking):
        def holdfast_takes(self, scope: dict, lane: Any) -> bool:  # noqa: ARG002  # it fails first
            raise LookupError("on purpose")

    peer = await connect(Failing(), path="/ws")
    assert (await peer.answer()).startswith(b"HTTP/1.1 500")
    assert "on purpose" in caplog.text


async def test_one_that_fails_after_it_is_a_1011(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "uvicorn.error")

    class Failing(Taking):
        def holdfast_takes(self, scope: dict, lane: Any) -> bool:
            super().holdfast_takes(scope, lane)
            raise LookupError("on purpose")

    app = Failing()
    peer = await connect(app, path="/ws")
    assert await peer.frames() == [(0x88, b"\x03\xf3")]
    assert [message.strip() for message in caplog.messages] == [
        '192.0.2.7:4711 - "WebSocket /ws" [accepted]',
        "Exception in ASGI application",
    ]
    assert app.called == []


async def test_context_variables_stay_within_a_call(connect: Connect) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="clean")
    seen = []

    class Setting(Taking):
        async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
            seen.append(variable.get())
            variable.set("dirty")
            await super().__call__(scope, receive, send)

    for _ in range(2):
        await connect(Setting(), path="/jobs")
    assert seen == ["clean", "clean"]
    assert variable.get() == "clean"


@pytest.mark.parametrize(("reset", "expected"), [(False, "outer"), (True, "default")])
async def test_a_call_may_be_kept_from_the_servers_context(
    connect: Connect, reset: bool, expected: str
) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="default")
    variable.set("outer")
    seen = []

    async def app(scope: dict, receive: Any, send: Any) -> None:  # only its context counts
        seen.append(variable.get())
        await send({"type": "websocket.close"})

    await connect(app, reset_contextvars=reset)
    assert seen == [expected]


async def test_connections_of_a_server_share_their_lanes_and_servers_do_not(connect: Connect) -> None:
    first = await connect(Taking(), path="/ws")
    second = await connect(Taking(), path="/ws", like=first)
    stranger = await connect(Taking(), path="/ws")
    assert first.protocol.lanes is second.protocol.lanes
    assert first.protocol.lanes is not stranger.protocol.lanes


async def test_lanes_of_one_tick_are_flushed_together(connect: Connect) -> None:
    first = await connect(Taking(), path="/ws")
    second = await connect(Taking(), path="/ws", like=first)
    calls = []
    lanes = first.protocol.lanes
    loop = lanes.loop
    lanes.loop = type(
        "Loop", (), {"call_soon": lambda _self, call: (calls.append(call), loop.call_soon(call))}
    )()
    for _ in range(3):
        for peer in (first, second):
            peer.protocol.write(b"\x81\x00")
    await first.ticks()
    assert len(calls) == 1
    assert len(await first.frames()) == len(await second.frames()) == 3

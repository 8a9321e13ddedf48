"""HTTP before the upgrade: nobody is left hanging, and a WebSocket request is handed on as it was parsed."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from uvicorn.server import ServerState

from holdfast.asgi.fastlane import handshake
from holdfast.asgi.fastlane.http import BODY_SECONDS, HttpProtocol
from holdfast.asgi.fastlane.protocol import LINGER_SECONDS, REQUEST_SECONDS, Protocol
from holdfast.asgi.fastlane.wheel import STEP

RequestText = Callable[..., bytes]
Masked = Callable[..., bytes]

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class App:
    """Answers HTTP with the path, and takes every WebSocket."""

    def __init__(self) -> None:
        self.scopes: list[dict] = []
        self.messages: list[Any] = []
        self.bodies: list[bytes] = []
        self.may_begin: asyncio.Event | None = None
        self.go_on: asyncio.Event | None = None

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        if scope["type"] == "http":
            if self.may_begin is not None:
                await self.may_begin.wait()
            message = await receive()
            self.bodies.append(message["body"])
            if self.go_on is not None:
                await self.go_on.wait()
            head = [(b"content-length", b"2")]
            await send({"type": "http.response.start", "status": 200, "headers": head})
            await send({"type": "http.response.body", "body": b"ok"})
            return
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            self.messages.append(message.get("text"))


class Door:
    """A connection to the server in memory, with a time of its own."""

    def __init__(self, config: Any, transport: Any) -> None:
        self.state = ServerState()
        self.transport = transport
        self.protocol = HttpProtocol(config, self.state, {})
        transport.protocol = self.protocol
        self.now = 1_000.0
        self.call: Callable[[], None] | None = None
        self.when = 0.0
        self.protocol._lanes.wheel._loop = self
        self.protocol.connection_made(transport)

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> SimpleNamespace:
        self.when, self.call = when, callback
        return SimpleNamespace(cancel=lambda: None)

    def forward(self, seconds: float) -> None:
        until = self.now + seconds
        while len(self.protocol._lanes.wheel) and self.when <= until:
            self.now = max(self.now, self.when)
            assert self.call is not None
            self.call()
        self.now = until

    def send(self, data: bytes) -> None:
        self.transport.protocol.data_received(data)

    def let_go(self) -> None:
        """Take back the timer of uvicorn's own that would outlive the test."""
        self.transport.protocol._unset_keepalive_if_required()

    async def answer(self) -> bytes:
        for _ in range(6):
            await asyncio.sleep(0)
        return bytes(self.transport.written)

    async def status(self) -> int:
        return int((await self.answer()).split(b" ")[1])


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
async def door(configuration: Any, transport: Any, app: App) -> Door:
    return Door(configuration(app, http=HttpProtocol), transport)


# Ordinary requests


async def test_plain_requests_are_uvicorns(door: Door, app: App) -> None:
    door.send(b"POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
    assert (await door.answer()).endswith(b"\r\n\r\nok")
    door.send(GET)
    assert (await door.answer()).count(b"HTTP/1.1 200 OK") == 2
    assert app.bodies == [b"abc", b""]
    door.let_go()


async def test_a_body_may_be_larger_than_a_head_may(door: Door) -> None:
    body = b"x" * (2 * handshake.LARGEST_HEAD)
    door.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:100_000])
    door.send(body[100_000:])
    assert await door.status() == 200
    door.let_go()


async def test_what_is_no_http_is_a_400(door: Door) -> None:
    door.send(b"hello\r\n\r\n")
    assert await door.status() == 400
    assert door.transport.closing


# Unfinished ones


@pytest.mark.parametrize("sent", [b"GET", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nX: y"])
async def test_a_request_that_is_not_finished_in_time_is_a_408(door: Door, sent: bytes) -> None:
    door.send(sent)
    door.forward(REQUEST_SECONDS - 0.01)
    assert await door.answer() == b""
    door.forward(2 * STEP)
    assert await door.status() == 408
    assert door.transport.ended
    door.send(b"\r\n\r\n")
    door.forward(LINGER_SECONDS + STEP)
    assert door.transport.aborted


async def test_a_drip_of_bytes_does_not_make_it_longer(door: Door) -> None:
    for octet in b"GET / HTTP/1.1":
        door.send(bytes((octet,)))
        door.forward(0.4)
    assert await door.status() == 408


async def test_one_that_says_nothing_is_cut_without_an_answer(door: Door) -> None:
    door.forward(REQUEST_SECONDS + STEP)
    assert door.transport.aborted
    assert await door.answer() == b""


async def test_the_second_request_has_the_same_time(door: Door) -> None:
    door.send(GET)
    assert await door.status() == 200
    door.let_go()
    door.forward(60)
    assert not door.transport.closing
    door.send(b"GET / HT")
    door.forward(REQUEST_SECONDS + STEP)
    assert b"HTTP/1.1 408" in await door.answer()


async def test_a_slow_answer_is_not_a_late_request(door: Door, app: App) -> None:
    app.go_on = asyncio.Event()
    door.send(GET)
    await door.answer()
    door.forward(60)
    assert not door.transport.closing
    app.go_on.set()
    assert await door.status() == 200
    door.let_go()


async def test_a_late_request_behind_an_answer_that_is_not_whole_is_only_cut(door: Door, app: App) -> None:
    app.go_on = asyncio.Event()
    door.send(GET + b"GET / HT")
    await door.answer()
    door.forward(REQUEST_SECONDS + STEP)
    assert door.transport.closing
    assert await door.answer() == b""
    door.transport.protocol.connection_lost(None)
    app.go_on.set()
    await door.answer()


# Large ones


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /" + b"a" * handshake.LONGEST_TARGET + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET /" + b"a" * handshake.LONGEST_TARGET, 414),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * handshake.LARGEST_HEAD + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * handshake.LARGEST_HEAD, 431),
        (b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * (handshake.MOST_HEADERS + 2), 431),
        (b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * (handshake.MOST_HEADERS + 1) + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"a" * (handshake.LARGEST_HEAD + 1), 431),
    ],
    ids=[
        "target",
        "endless target",
        "headers",
        "endless header",
        "endless headers",
        "many headers",
        "endless name",
    ],
)
@pytest.mark.parametrize("piece", [1_000, 1_000_000])
async def test_a_request_that_is_too_large_is_told_so(
    door: Door, app: App, sent: bytes, status: int, piece: int
) -> None:
    for start in range(0, len(sent), piece):
        door.send(sent[start : start + piece])
    assert await door.status() == status
    assert app.scopes == []
    assert door.transport.ended
    assert not door.transport.closing


@pytest.mark.parametrize("together", [True, False])
async def test_the_second_request_has_the_same_limits(door: Door, together: bool) -> None:
    large = b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * handshake.LARGEST_HEAD + b"\r\n\r\n"
    if together:
        door.send(GET + large)
        assert door.transport.closing
        assert await door.answer() == b""
    else:
        door.send(GET)
        assert await door.status() == 200
        door.send(large)
        assert b"HTTP/1.1 431" in await door.answer()
    door.transport.protocol.connection_lost(None)


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_head_behind_a_large_body_is_not_large(door: Door, at_once: bool) -> None:
    size = 2 * handshake.LARGEST_HEAD
    door.send(
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size
        + (b"x" * size if at_once else b"x")
    )
    door.send((b"" if at_once else b"x" * (size - 1)) + GET[:-5])
    assert await door.status() == 200
    door.send(GET[-5:])
    assert (await door.answer()).count(b"HTTP/1.1 200 OK") == 2
    door.let_go()


async def test_it_is_cut_also_over_tls(configuration: Any, transport: Any, app: App) -> None:
    transport.tls = True
    door = Door(configuration(app, http=HttpProtocol), transport)
    door.send(b"GET /" + b"a" * 20_000)
    assert await door.status() == 414
    assert transport.closing


async def test_at_the_limits_it_is_served(door: Door) -> None:
    target = b"/" + b"a" * (handshake.LONGEST_TARGET - 1)
    door.send(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 40_000 + b"\r\n\r\n")
    assert await door.status() == 200
    door.let_go()


# Upgrades


async def test_a_websocket_is_handed_on(
    door: Door, app: App, request_text: RequestText, masked: Masked
) -> None:
    door.send(request_text("/a?b", ("X-Own", "1")))
    assert (await door.answer()).startswith(b"HTTP/1.1 101 ")
    assert isinstance(door.transport.protocol, Protocol)
    assert door.state.connections == {door.transport.protocol}
    scope = app.scopes[0]
    assert (scope["path"], scope["query_string"]) == ("/a", b"b")
    assert (b"x-own", b"1") in scope["headers"]
    assert scope["client"] == ("192.0.2.7", 4711)
    assert scope["server"] == ("192.0.2.1", 80)
    door.send(masked(1, b"hello"))
    await door.answer()
    assert app.messages == ["hello"]
    door.forward(REQUEST_SECONDS + STEP)
    assert not door.transport.closing


UNUSUAL: dict[str, Callable[[bytes], list[bytes]]] = {
    "whole": lambda head: [head],
    "octet by octet": lambda head: [bytes((octet,)) for octet in head],
    "in two": lambda head: [head[:30], head[30:]],
    "in two, at the very end": lambda head: [head[:-1], head[-1:]],
}


@pytest.mark.parametrize("how", list(UNUSUAL))
async def test_it_is_the_same_however_it_comes(
    door: Door, app: App, request_text: RequestText, how: str
) -> None:
    sent = request_text(
        "/a%20b?c=%20", ("Sec-WebSocket-Protocol", " a,b "), ("X-Bytes", "\xe9"), ("X-Empty", "")
    )
    for piece in UNUSUAL[how](sent):
        door.send(piece)
    assert await door.status() == 101
    (scope,) = app.scopes
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/a b", b"/a%20b", b"c=%20")
    assert scope["subprotocols"] == ["a", "b"]
    assert [value for name, value in scope["headers"] if name in (b"x-bytes", b"x-empty")] == [b"\xe9", b""]
    assert door.state.connections == {door.transport.protocol}
    assert len(door.protocol._lanes.wheel) == 1, "only the next ping"


async def test_a_server_that_goes_down_closes_who_has_not_said_anything(door: Door) -> None:
    assert door.state.connections == {door.protocol}
    door.protocol.shutdown()
    assert door.transport.closing
    door.protocol.connection_lost(None)
    assert door.state.connections == set()
    assert len(door.protocol._lanes.wheel) == 0


async def test_a_message_that_comes_with_the_request_is_not_lost(
    door: Door, app: App, request_text: RequestText, masked: Masked
) -> None:
    door.send(request_text() + masked(1, b"impatient"))
    assert await door.status() == 101
    assert app.messages == ["impatient"]


async def test_a_list_may_come_in_two_headers(door: Door, request_text: RequestText) -> None:
    door.send(
        request_text("/", ("Connection", "keep-alive"), ("Connection", "Upgrade"), without=("Connection",))
    )
    assert await door.status() == 101


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"without": ("Sec-WebSocket-Key",)}, 400),
        ({"without": ("Host",)}, 400),
        ({"method": "POST"}, 405),
        ({"version": "1.0"}, 400),
    ],
)
async def test_a_handshake_that_cannot_be_taken(
    door: Door, request_text: RequestText, change: dict, status: int
) -> None:
    door.send(request_text(**change))
    assert await door.status() == status
    assert door.transport.closing


async def test_another_upgrade_is_an_ordinary_request(door: Door, request_text: RequestText) -> None:
    door.send(request_text("/", ("Upgrade", "h2c"), without=("Upgrade",)))
    assert await door.status() == 200
    door.let_go()


async def test_another_websocket_class_gets_it_as_text(
    configuration: Any, transport: Any, app: App, request_text: RequestText
) -> None:
    config = configuration(app, http=HttpProtocol)
    got = []

    class Other(asyncio.Protocol):
        def __init__(self, **_options: Any) -> None: ...

        def data_received(self, data: bytes) -> None:
            got.append(data)

    config.ws_protocol_class = Other
    door = Door(config, transport)
    door.send(request_text("/x"))
    assert got[0].startswith(b"GET /x HTTP/1.1\r\nhost: example.com\r\n")


async def test_without_websockets_it_is_an_ordinary_request(
    configuration: Any, transport: Any, app: App, request_text: RequestText
) -> None:
    config = configuration(app, http=HttpProtocol)
    config.ws_protocol_class = None
    door = Door(config, transport)
    door.send(request_text())
    assert await door.status() == 200
    door.let_go()


async def test_a_body_that_does_not_go_on_is_cut(door: Door) -> None:
    door.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n")
    for byte in (b"a", b"b"):
        door.forward(BODY_SECONDS - 1)
        assert not door.transport.closing
        door.send(byte)
    door.forward(BODY_SECONDS - 1)
    assert not door.transport.closing
    door.forward(1 + STEP)
    assert door.transport.closing


async def test_a_body_that_came_whole_is_the_apps_to_answer_in_its_own_time(door: Door, app: App) -> None:
    app.go_on = asyncio.Event()
    door.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na")
    door.forward(10 * BODY_SECONDS)
    assert not door.transport.closing
    app.go_on.set()
    assert await door.status() == 200
    door.let_go()


async def test_a_client_that_is_faster_than_the_app_is_not_cut(door: Door) -> None:
    door.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na")
    door.transport.protocol.flow.pause_reading()
    door.forward(10 * BODY_SECONDS)
    assert not door.transport.closing
    door.transport.protocol.flow.resume_reading()
    door.forward(BODY_SECONDS + STEP)
    assert door.transport.closing


async def test_a_client_that_waits_to_be_asked_for_its_body_is_not_cut(door: Door, app: App) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"
    app.may_begin = asyncio.Event()
    door.send(head)
    await door.answer()
    door.forward(10 * BODY_SECONDS)
    assert not door.transport.closing
    app.may_begin.set()
    assert (await door.answer()).startswith(b"HTTP/1.1 100 ")
    door.forward(BODY_SECONDS + STEP)
    assert door.transport.closing


async def test_what_parsed_the_request_leaves_no_work_for_the_collector(
    configuration: Any, transport: Any, app: App, request_text: RequestText
) -> None:
    def upgrade() -> None:
        door = Door(configuration(app, http=HttpProtocol), type(transport)())
        door.protocol._lanes.wheel._loop = asyncio.get_running_loop()
        door.send(request_text())

    upgrade()
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        upgrade()
        gc.collect()
        assert HttpProtocol not in {type(one) for one in gc.garbage}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()

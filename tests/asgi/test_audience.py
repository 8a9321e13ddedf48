"""A channel's way out over real sockets: nothing is lost on it, nothing out of order, and nobody is waited for."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from holdfast.asgi.audience import Audience
from holdfast.asgi.burst import LARGEST_WRITE, Burst
from holdfast.asgi.fastlane import DeflatingProtocol, tuning
from holdfast.asgi.fastlane.http import HttpProtocol
from holdfast.asgi.lane import text_frame
from holdfast.asgi.rules import ChannelRule, Rules
from holdfast.asgi.service import Service
from holdfast.core.policy import LivePolicy, Retention

DEADLINE = 20.0
REQUEST = (
    "GET /ws?token={user} HTTP/1.1\r\nhost: test\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n"
    "sec-websocket-protocol: holdfast.v1\r\n{more}\r\n"
)


class Client:
    """A client that reads only when it is told to."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._buffer = bytearray()

    async def _more(self) -> None:
        async with asyncio.timeout(DEADLINE):
            data = await asyncio.get_running_loop().sock_recv(self._end, 1_000_000)
        if not data:
            raise EOFError
        self._buffer += data

    async def upgraded(self) -> None:
        while b"\r\n\r\n" not in self._buffer:
            await self._more()
        del self._buffer[: self._buffer.index(b"\r\n\r\n") + 4]

    def say(self, **frame: Any) -> None:
        payload = json.dumps(frame).encode()
        assert len(payload) < 126
        self._end.send(bytes((0x81, 0x80 | len(payload), 0, 0, 0, 0)) + payload)

    async def frame(self) -> tuple[int, bytes]:
        """The next frame: its first byte and its payload."""
        while True:
            head = bytes(self._buffer[:10]) + b"\0" * 10
            size, start = head[1], 2
            if size == 126:
                size, start = int.from_bytes(head[2:4]), 4
            elif size == 127:
                size, start = int.from_bytes(head[2:10]), 10
            if len(self._buffer) >= start + size and self._buffer:
                payload = bytes(self._buffer[start : start + size])
                del self._buffer[: start + size]
                return head[0], payload
            await self._more()

    async def next(self, kind: str) -> dict[str, Any]:
        """The next message of this type; there may be others before it."""
        while True:
            first, payload = await self.frame()
            if first == 0x81 and (message := json.loads(payload))["type"] == kind:
                return message


Connect = Callable[..., Any]


@pytest.fixture(autouse=True)
def collector_as_it_was() -> Iterator[None]:
    tuning._tuned[:] = [False]
    yield
    tuning._tuned.clear()


@pytest.fixture
async def node(make_node: Any) -> AsyncIterator[Any]:
    made = make_node(rules=open_rules(), policy=LivePolicy(max_backlog_bytes=300_000))
    await made.start()
    yield made
    await made.aclose()


def open_rules() -> Rules:
    kept = Retention(size=1000, seconds=600)
    made = Rules(kept)
    rule = ChannelRule("room:{id}", lambda user, id: True, retention=kept, presence=False)  # noqa: ARG005  # a rule's shape
    rule.publisher(lambda user, id: True)  # noqa: ARG005  # the same
    made.add(rule)
    return made


@pytest.fixture
async def connect(node: Any) -> AsyncIterator[Connect]:
    """Open connections of a built-in endpoint on the fast lane, on transports of the loop's own."""
    config = Config(Service(node), ws=DeflatingProtocol, log_config=None, lifespan="off")
    config.load()
    state = ServerState()
    clients: list[socket.socket] = []

    @asynccontextmanager
    async def listening() -> AsyncIterator[tuple[str, int]]:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: HttpProtocol(config, state, {}), "127.0.0.1", 0)
        async with server:
            yield server.sockets[0].getsockname()

    async with listening() as address:

        async def open_one(user: str, more: str = "") -> Client:
            end = socket.create_connection(address)
            clients.append(end)
            end.setblocking(False)
            end.send(REQUEST.format(user=user, more=more).encode())
            client = Client(end)
            await client.upgraded()
            client.say(type="subscribe", id=1, channel="room:1")
            await client.next("subscribed")
            return client

        yield open_one
        for end in clients:
            end.close()
        async with asyncio.timeout(DEADLINE):
            while state.connections:  # noqa: ASYNC110  # what is waited for is a set of uvicorn's
                await asyncio.sleep(0)


async def test_events_and_answers_come_in_the_order_in_which_they_were_said(
    node: Any, connect: Connect
) -> None:
    client, other = await connect("ann"), await connect("bob")
    for number in range(300):
        await node.hub.publish("room:1", f"{number}")
        if number % 3 == 0:
            await asyncio.sleep(0)
        if number % 7 == 0:
            client.say(type="publish", id=number, channel="room:1", data="mine")
    last = (await node.hub.publish("room:1", '"last"')).offset
    for one in (client, other):
        offsets = [(await one.next("event"))["offset"] for _ in range(last)]
        assert offsets == list(range(1, last + 1))


async def test_who_stops_reading_is_ended_with_all_that_came_before_whole_and_in_order(
    node: Any, connect: Connect
) -> None:
    healthy, silent = await connect("ann"), await connect("bob")
    text = json.dumps("x" * 50_000)
    published = 0
    while node.hub.subscriptions() == 2:
        published += 1
        assert published < 1_000
        await node.hub.publish("room:1", text)
        assert (await healthy.next("event"))["offset"] == published
    for _ in range(3):  # the others go on
        published += 1
        await node.hub.publish("room:1", text)
        assert (await healthy.next("event"))["offset"] == published
    seen = 0
    while (frame := await silent.frame())[0] == 0x81 and (message := json.loads(frame[1]))["type"] == "event":
        seen += 1
        assert message["offset"] == seen
    assert seen > 0
    assert message["type"] == "bye"
    assert message["code"] == 4008
    assert await silent.frame() == (0x88, (4008).to_bytes(2) + message["reason"].encode())


async def test_more_than_one_write_of_a_tick_stays_in_order(node: Any, connect: Connect) -> None:
    client = await connect("ann")
    for _ in range(5):
        for _ in range(4):
            await node.hub.publish("room:1", json.dumps("x" * (LARGEST_WRITE // 2)))
        await asyncio.sleep(0)
    offsets = [(await client.next("event"))["offset"] for _ in range(20)]
    assert offsets == list(range(1, 21))


async def test_who_has_compression_gets_frames_of_their_own(node: Any, connect: Connect) -> None:
    plain = await connect("ann")
    compressed = await connect("bob", "sec-websocket-extensions: permessage-deflate\r\n")
    for _ in range(2):
        await node.hub.publish("room:1", json.dumps("x" * 500))
        await asyncio.sleep(0)
    for _ in range(2):
        assert (await plain.frame())[0] == 0x81
        assert (await compressed.frame())[0] == 0xC1


class Lane:
    """A lane on which `held` bytes wait already."""

    def __init__(self, held: int = 0) -> None:
        self.held = held
        self.direct = -1
        self.written: list[bytes] = []

    def write_now(self, frames: bytes) -> int:
        self.written.append(frames)
        return self.held


class Outlet:
    """A connection's way out that notes what it is asked."""

    def __init__(self, shared: Lane | None) -> None:
        self.shared = shared
        self.pushed: list[Burst] = []
        self.on_check: Callable[[], None] | None = None

    def check(self) -> None:
        assert self.on_check is not None, "asked without need"
        self.on_check()

    def push_burst(self, burst: Burst) -> None:
        self.pushed.append(burst)


class Subscriber:
    """A driver, as far as an audience knows it."""

    def __init__(self, shared: Lane | None) -> None:
        self.outlet = Outlet(shared)


def subscriber(shared: Lane | None) -> Any:
    return Subscriber(shared)


def test_it_knows_who_is_among_it() -> None:
    audience, on_lane, elsewhere = Audience(), subscriber(Lane()), subscriber(None)
    assert not audience
    for driver in (elsewhere, on_lane):
        assert not audience.discard(driver)
        audience.add(driver)
    assert len(audience) == 2
    assert list(audience) == [on_lane, elsewhere]
    for driver in (elsewhere, on_lane):
        assert audience.discard(driver)
        assert not audience.discard(driver)
    assert not audience


def test_who_is_behind_is_looked_at_after_all_have_been_sent_to() -> None:
    """What an ending does, such as taking somebody off the list, must not disturb the sending."""
    audience = Audience()
    slow, healthy, elsewhere = subscriber(Lane(held=9)), subscriber(Lane()), subscriber(None)
    for driver in (slow, healthy, elsewhere):
        audience.add(driver)
    burst = Burst(["x"])

    def ended() -> None:
        assert healthy.outlet.shared.written == [text_frame(b"x")]
        audience.discard(slow)
        audience.discard(elsewhere)

    slow.outlet.on_check = ended
    audience.send(burst)
    assert list(audience) == [healthy]
    assert elsewhere.outlet.pushed == []

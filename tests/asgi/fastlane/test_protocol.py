"""One connection: its transport, its two endings, its pings, and the lane."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import socket
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from holdfast.asgi import lane as lane_module
from holdfast.asgi.fastlane import DeflatingProtocol
from holdfast.asgi.fastlane import protocol as module
from holdfast.asgi.fastlane.call import Call
from holdfast.asgi.fastlane.descriptors import WriteToEach
from holdfast.asgi.fastlane.parser import Parser
from holdfast.asgi.fastlane.protocol import CLOSE_SECONDS, JOINED, LINGER_SECONDS, Protocol
from holdfast.asgi.lane import Lane, lane_of, spread, text_frame

Connect = Callable[..., Any]
Masked = Callable[..., bytes]

ACCEPT = {"type": "websocket.accept"}
CLOSE_1000 = (0x88, b"\x03\xe8")


class Receiver:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.answer: Callable[[Any], None] | None = None

    def received(self, data: str | bytes) -> None:
        self.told.append(data)
        if self.answer is not None:
            self.answer(data)

    def disconnected(self, code: int) -> None:
        self.told.append(code)


class Adopted:
    """An app that hands its connection to a receiver and returns."""

    def __init__(self) -> None:
        self.receiver = Receiver()
        self.lane: Lane

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        lane = lane_of(scope)
        assert lane is not None
        self.lane = lane
        await receive()
        await send(ACCEPT)
        lane.adopt(self.receiver)


class Time:
    """The wheel's loop, with a time that a test moves."""

    def __init__(self, lanes: Any) -> None:
        self.now = 1_000.0
        self.wheel = lanes.wheel
        self.wheel._loop = self
        self.call: Callable[[], None] | None = None
        self.when = 0.0

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> SimpleNamespace:
        self.when, self.call = when, callback
        return SimpleNamespace(cancel=lambda: None)

    def forward(self, seconds: float) -> None:
        until = self.now + seconds
        while len(self.wheel) and self.when <= until:
            self.now = max(self.now, self.when)
            assert self.call is not None
            self.call()
        self.now = until


@pytest.fixture
def app() -> Adopted:
    return Adopted()


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> list[Time]:
    """The time of each server that is made."""
    made: list[Time] = []
    real = module.lanes_of

    def lanes_of(*args: Any) -> Any:
        lanes = real(*args)
        if not any(time.wheel is lanes.wheel for time in made):
            made.append(Time(lanes))
        return lanes

    monkeypatch.setattr(module, "lanes_of", lanes_of)
    return made


# Adopting


async def test_an_adopted_connection_outlives_its_call(app: Adopted, connect: Connect) -> None:
    peer = await connect(app)
    assert peer.state.tasks == set()
    assert peer.state.connections == {peer.protocol}
    peer.text("x")
    app.lane.write(text_frame(b"y"))
    assert app.receiver.told == ["x"]
    assert await peer.frames() == [(0x81, b"y")]
    assert not peer.transport.closing


async def test_a_receiver_is_told_first_what_the_app_had_not_received(connect: Connect) -> None:
    lanes = []
    go_on = asyncio.Event()
    receiver = Receiver()

    async def app(scope: dict, receive: Any, send: Any) -> None:
        lanes.append(lane_of(scope))
        await receive()
        await send(ACCEPT)
        await go_on.wait()
        lanes[0].adopt(receiver)
        assert receiver.told == ["1", "2"]

    peer = await connect(app)
    peer.text("1")
    peer.text("2")
    go_on.set()
    await peer.ticks()
    peer.text("3")
    assert receiver.told == ["1", "2", "3"]


async def test_a_receiver_of_a_connection_that_is_gone_is_told_so_at_once(
    connect: Connect, masked: Masked
) -> None:
    go_on = asyncio.Event()
    receiver = Receiver()

    async def app(scope: dict, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        await go_on.wait()
        lane = lane_of(scope)
        assert lane is not None
        lane.adopt(receiver)

    peer = await connect(app)
    peer.text("parting words")
    peer.send(masked(8, b"\x0f\xa0"))
    go_on.set()
    await peer.ticks()
    assert receiver.told == ["parting words", 4000]


async def test_adopting_a_connection_that_is_behind_reads_on(connect: Connect, masked: Masked) -> None:
    go_on = asyncio.Event()
    receiver = Receiver()

    async def app(scope: dict, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        await go_on.wait()
        lane = lane_of(scope)
        assert lane is not None
        lane.adopt(receiver)

    peer = await connect(app)
    peer.send(masked(1, b"x") * 1_000)
    assert not peer.transport.reading
    go_on.set()
    await peer.ticks()
    assert peer.transport.reading
    assert receiver.told == ["x"] * 1_000


async def test_a_receiver_that_fails_ends_its_connection_with_1011(
    app: Adopted, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(data: Any) -> None:
        raise LookupError(data)

    peer = await connect(app)
    app.receiver.answer = fail
    peer.text("on purpose")
    assert await peer.frames() == [(0x88, b"\x03\xf3")]
    assert "on purpose" in caplog.text
    assert app.receiver.told == ["on purpose", 1011]


# Writing


async def test_what_a_tick_brings_is_one_write(app: Adopted, connect: Connect) -> None:
    peer = await connect(app)
    writes = len(peer.transport.writes)
    for number in range(32):
        app.lane.write(text_frame(b"%d" % number))
    assert len(peer.transport.writes) == writes
    await peer.ticks()
    assert len(peer.transport.writes) == writes + 1
    assert [payload for _, payload in await peer.frames()] == [b"%d" % number for number in range(32)]


async def test_answers_leave_with_the_read_that_they_answer(
    app: Adopted, connect: Connect, masked: Masked
) -> None:
    peer = await connect(app)
    app.receiver.answer = lambda data: app.lane.write(text_frame(data.encode()))
    writes = len(peer.transport.writes)
    peer.send(masked(1, b"a") + masked(9, b"?") + masked(1, b"b"))
    assert len(peer.transport.writes) == writes + 1
    assert await peer.frames() == [(0x81, b"a"), (0x8A, b"?"), (0x81, b"b")]


async def test_one_write_has_no_more_than_a_frame_above_64_kb(app: Adopted, connect: Connect) -> None:
    peer = await connect(app)
    writes = len(peer.transport.writes)
    frame = text_frame(b"x" * 1_000)
    for _ in range(200):
        app.lane.write(frame)
    await peer.ticks()
    sizes = [len(data) for data in peer.transport.writes[writes:]]
    assert sum(sizes) == 200 * len(frame)
    assert len(sizes) == 4
    assert max(sizes) < JOINED + len(frame)


async def test_a_large_frame_is_not_copied(app: Adopted, connect: Connect) -> None:
    peer = await connect(app)
    given: list[Any] = []
    peer.transport.write = given.append
    large = text_frame(b"x" * JOINED)
    app.lane.write(text_frame(b"small"))
    app.lane.write(large)
    assert given == [text_frame(b"small"), large]
    assert given[1] is large


async def test_asgi_sends_and_the_lane_keep_their_order(connect: Connect) -> None:
    async def app(scope: dict, receive: Any, send: Any) -> None:
        lane = lane_of(scope)
        assert lane is not None
        await receive()
        await send(ACCEPT)
        lane.write(text_frame(b"1"))
        await send({"type": "websocket.send", "text": "2"})
        lane.write(text_frame(b"3"))
        await send({"type": "websocket.close"})

    peer = await connect(app)
    assert await peer.frames() == [(0x81, b"1"), (0x81, b"2"), (0x81, b"3"), CLOSE_1000]


async def test_the_backlog_is_what_the_kernel_has_not_taken(app: Adopted, connect: Connect) -> None:
    peer = await connect(app)
    assert app.lane.backlog() == 0
    peer.transport.stalled = True
    app.lane.write(b"x" * 10)
    assert app.lane.backlog() == 10
    await peer.ticks()
    assert app.lane.backlog() == 10
    peer.transport.drain()
    assert app.lane.backlog() == 0


async def test_drained_returns_once_the_backlog_is_low(app: Adopted, connect: Connect) -> None:
    peer = await connect(app)
    await app.lane.drained()
    peer.transport.stalled = True
    app.lane.write(b"x" * 100_000)
    waiting = [asyncio.ensure_future(app.lane.drained()) for _ in range(2)]
    await peer.ticks()
    assert not any(one.done() for one in waiting)
    waiting[0].cancel()
    peer.transport.drain()
    await waiting[1]


async def test_drained_returns_when_the_peer_is_lost(app: Adopted, connect: Connect) -> None:
    peer = await connect(app)
    peer.transport.stalled = True
    app.lane.write(b"x" * 100_000)
    waiting = asyncio.ensure_future(app.lane.drained())
    await peer.ticks()
    peer.lose()
    await waiting


@pytest.mark.parametrize("how", ["close", "abort", "lose"])
async def test_writing_to_what_is_closed_is_harmless(app: Adopted, connect: Connect, how: str) -> None:
    peer = await connect(app)
    if how == "lose":
        peer.lose()
    elif how == "close":
        app.lane.close(1000)
    else:
        app.lane.abort()
    assert app.lane.closed
    await peer.ticks()
    written = len(peer.transport.written)
    app.lane.write(text_frame(b"a stranger's"))
    app.lane.close(1000)
    app.lane.abort()
    await peer.ticks()
    assert len(peer.transport.written) == written


async def test_what_was_written_in_the_tick_of_a_loss_goes_nowhere(app: Adopted, connect: Connect) -> None:
    peer = await connect(app)
    written = len(peer.transport.written)
    app.lane.write(text_frame(b"x"))
    peer.lose()
    await peer.ticks()
    assert len(peer.transport.written) == written


# Writing at once


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A real socket and its peer, for what goes past the transport."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    yield ours, theirs
    ours.close()
    theirs.close()


Ends = tuple[socket.socket, socket.socket]


@pytest.fixture
def writing(write_to_each: WriteToEach, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections write in one way, and then all is done again in the other."""
    for user in (module, lane_module):
        monkeypatch.setattr(user, "write_to_each", write_to_each)


async def test_a_burst_is_not_held_for_the_end_of_the_tick(app: Adopted, connect: Connect) -> None:
    peer = await connect(app)
    app.lane.write(text_frame(b"1"))
    assert app.lane.write_now(text_frame(b"2") + text_frame(b"3")) == 0
    assert await peer.frames() == [(0x81, b"1"), (0x81, b"2"), (0x81, b"3")]


@pytest.mark.usefixtures("writing")
async def test_it_goes_past_a_transport_that_holds_nothing(
    app: Adopted, connect: Connect, ends: Ends
) -> None:
    peer = await connect(app, descriptor=ends[0].fileno())
    assert app.lane.write_now(text_frame(b"x")) == 0
    assert await peer.frames() == []
    assert ends[1].recv(100) == text_frame(b"x")


@pytest.mark.usefixtures("writing")
async def test_it_waits_behind_what_the_transport_holds(app: Adopted, connect: Connect, ends: Ends) -> None:
    peer = await connect(app, descriptor=ends[0].fileno())
    peer.transport.stalled = True
    app.lane.write(text_frame(b"1"))
    assert app.lane.write_now(text_frame(b"2")) == 6
    assert await peer.frames() == [(0x81, b"1"), (0x81, b"2")]


@pytest.mark.usefixtures("writing")
async def test_what_a_full_socket_does_not_take_goes_to_the_transport(
    app: Adopted, connect: Connect, ends: Ends
) -> None:
    peer = await connect(app, descriptor=ends[0].fileno())
    frame = text_frame(b"x" * 5_000_000)
    peer.transport.stalled = True
    backlog = app.lane.write_now(frame)
    assert 0 < backlog < len(frame)
    left = bytes(peer.transport.written)[peer.seen :]
    assert len(left) == backlog
    taken = bytearray()
    with contextlib.suppress(BlockingIOError):
        while True:
            taken += ends[1].recv(1_000_000)
    assert taken + left == frame


@pytest.mark.usefixtures("writing")
async def test_a_peer_that_is_gone_is_the_transports_to_find(
    app: Adopted, connect: Connect, ends: Ends
) -> None:
    peer = await connect(app, descriptor=ends[0].fileno())
    ends[1].close()
    app.lane.write_now(text_frame(b"x"))
    assert await peer.frames() == [(0x81, b"x")]


@pytest.mark.usefixtures("writing")
async def test_what_cannot_be_sent_to_is_left_to_the_transport(app: Adopted, connect: Connect) -> None:
    with socket.socket() as unconnected:
        peer = await connect(app, descriptor=unconnected.fileno())
        assert spread([app.lane], text_frame(b"x")) == []
        assert await peer.frames() == [(0x81, b"x")]


@pytest.mark.usefixtures("writing")
@pytest.mark.parametrize("how", ["close", "abort", "lose", "leave"])
async def test_a_descriptor_that_may_be_a_strangers_is_never_written_to(
    app: Adopted, connect: Connect, masked: Masked, ends: Ends, how: str
) -> None:
    peer = await connect(app, descriptor=ends[0].fileno())
    app.lane.write_now(b"ours")
    assert app.lane.direct >= 0
    match how:
        case "close":
            app.lane.close(1000)
        case "abort":
            app.lane.abort()
        case "lose":
            peer.lose()
        case "leave":
            peer.send(masked(8))
    assert app.lane.write_now(text_frame(b"a stranger's")) == 0
    assert spread([app.lane], text_frame(b"a stranger's")) == []
    assert ends[1].recv(100) == b"ours"
    with pytest.raises(BlockingIOError):
        ends[1].recv(100)


@pytest.mark.usefixtures("writing")
async def test_over_tls_all_goes_through_the_transport(app: Adopted, connect: Connect, ends: Ends) -> None:
    peer = await connect(app, tls=True, descriptor=ends[0].fileno())
    app.lane.write_now(text_frame(b"secret"))
    assert await peer.frames() == [(0x81, b"secret")]
    spread([app.lane], text_frame(b"to many"))
    assert await peer.frames() == [(0x81, b"to many")]


# Writing to many


@pytest.mark.usefixtures("writing")
async def test_what_goes_to_many_goes_straight_to_those_who_keep_up(
    app: Adopted, connect: Connect, ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = await connect(app, descriptor=ends[0].fileno())
    assert spread([app.lane], text_frame(b"1")) == []
    monkeypatch.setattr(Protocol, "write_now", None)  # the second time it is not needed
    assert spread([app.lane], text_frame(b"2")) == []
    assert ends[1].recv(100) == text_frame(b"1") + text_frame(b"2")
    assert await peer.frames() == []


@pytest.mark.usefixtures("writing")
async def test_it_stays_behind_what_was_written_in_the_same_tick(
    app: Adopted, connect: Connect, ends: Ends, masked: Masked
) -> None:
    """A way straight to the socket that was open before must not lead past it."""
    peer = await connect(app, descriptor=ends[0].fileno())
    spread([app.lane], text_frame(b"0"))
    peer.transport.stalled = True
    app.lane.write(text_frame(b"1"))
    assert spread([app.lane], text_frame(b"2")) == [app.lane]
    peer.send(masked(9, b"3"))
    assert spread([app.lane], text_frame(b"4")) == [app.lane]
    assert await peer.frames() == [(0x81, b"1"), (0x81, b"2"), (0x8A, b"3"), (0x81, b"4")]
    assert ends[1].recv(100) == text_frame(b"0")
    peer.transport.drain()
    assert spread([app.lane], text_frame(b"5")) == []
    assert ends[1].recv(100) == text_frame(b"5")


@pytest.mark.usefixtures("writing")
async def test_nothing_goes_past_what_a_full_socket_has_left(
    app: Adopted, connect: Connect, ends: Ends
) -> None:
    peer = await connect(app, descriptor=ends[0].fileno())
    peer.transport.stalled = True
    sent = [text_frame(bytes((number,)) * 200_000) for number in range(20)]
    behind = [spread([app.lane], frame) for frame in sent]
    first = behind.index([app.lane])
    assert behind == [[]] * first + [[app.lane]] * (len(sent) - first)
    taken = bytearray()
    with contextlib.suppress(BlockingIOError):
        while True:
            taken += ends[1].recv(1_000_000)
    left = bytes(peer.transport.written)[peer.seen :]
    assert app.lane.backlog() == len(left)
    assert taken + left == b"".join(sent)
    # There is room in the socket now, but the transport has not used it yet.
    assert spread([app.lane], text_frame(b"later")) == [app.lane]
    with pytest.raises(BlockingIOError):
        ends[1].recv(100)


@pytest.mark.usefixtures("writing")
async def test_one_of_many_that_is_gone_holds_up_nobody(app: Adopted, connect: Connect, ends: Ends) -> None:
    gone = await connect(app, descriptor=ends[0].fileno())
    lanes = [app.lane]
    ours, theirs = socket.socketpair()
    with ours, theirs:
        await connect(app, descriptor=ours.fileno())
        lanes.append(app.lane)
        spread(lanes, text_frame(b"1"))
        ends[1].close()
        assert spread(lanes, text_frame(b"2")) == []
        assert theirs.recv(100) == text_frame(b"1") + text_frame(b"2")
    assert await gone.frames() == [(0x81, b"2")]


@pytest.mark.usefixtures("writing")
@pytest.mark.parametrize(
    "order", list(itertools.permutations(["fine", "full", "crammed", "gone", "waiting"]))
)
async def test_each_of_many_gets_its_own_whole_and_in_turn(
    app: Adopted, connect: Connect, order: tuple[str, ...]
) -> None:
    large, late = text_frame(b"x" * 3_000_000), text_frame(b"y")
    lanes, peers = [], []
    with contextlib.ExitStack() as stack:
        for kind in order:
            ours, theirs = (stack.enter_context(each) for each in socket.socketpair())
            for each in (ours, theirs):
                each.setblocking(False)
            peer = await connect(app, descriptor=ours.fileno())
            spread([app.lane], text_frame(b"1"))
            peer.transport.stalled = kind != "fine"
            if kind == "full":
                assert spread([app.lane], large) == [app.lane]
            elif kind == "crammed":  # to the last byte, of which its lane knows nothing
                with contextlib.suppress(BlockingIOError):
                    while True:
                        ours.send(b"z" * 100_000)
                with contextlib.suppress(BlockingIOError):
                    while True:
                        ours.send(b"z")
                assert app.lane.direct >= 0
            elif kind == "waiting":
                app.lane.write(text_frame(b"2"))
            elif kind == "gone":
                theirs.close()
            lanes.append(app.lane)
            peers.append((kind, peer, theirs))
        behind = spread(lanes, late)
        assert {order[lanes.index(lane)] for lane in behind} == set(order) - {"fine"}
        before = {"full": large, "waiting": text_frame(b"2")}
        for kind, peer, theirs in peers:
            got = bytearray()
            with contextlib.suppress(OSError):
                while True:
                    got += theirs.recv(1_000_000)
            got += peer.transport.written[peer.seen :]
            got = got.replace(b"z", b"")
            assert got == (b"" if kind == "gone" else text_frame(b"1")) + before.get(kind, b"") + late, kind


# Compression


async def test_a_server_may_have_compression_off(app: Adopted, connect: Connect) -> None:
    peer = await connect(app, ("Sec-WebSocket-Extensions", "permessage-deflate"))
    assert b"sec-websocket-extensions" not in peer.head.lower()
    assert not app.lane.compressed


@pytest.mark.parametrize(
    ("offer", "answer", "shared"),
    [
        ("permessage-deflate; client_max_window_bits", b"", True),
        ("permessage-deflate; server_max_window_bits=9", b"; server_max_window_bits=9", False),
    ],
)
async def test_compression_that_was_agreed_on(
    app: Adopted, connect: Connect, masked: Masked, offer: str, answer: bytes, shared: bool
) -> None:
    """With a small window, ours is used for it alone: what is compressed for all may reach back further."""
    peer = await connect(app, ("Sec-WebSocket-Extensions", offer), ws=DeflatingProtocol)
    agreed = b"permessage-deflate; server_no_context_takeover; client_no_context_takeover"
    assert b"\r\nsec-websocket-extensions: " + agreed + answer in peer.head + b"\r\n"
    assert app.lane.compressed is shared
    peer.send(masked(1, b"\xf2\x48\xcd\xc9\xc9\x07\x00", rsv=4))
    assert app.receiver.told == ["Hello"]


@pytest.mark.parametrize(
    "options",
    [{}, {"ws_per_message_deflate": True}, {"ws": DeflatingProtocol, "ws_per_message_deflate": False}],
)
async def test_nothing_is_compressed_unless_both_the_class_and_the_switch_say_so(
    app: Adopted, connect: Connect, options: dict[str, Any]
) -> None:
    """Uvicorn's switch is on by itself, and all browsers offer it."""
    peer = await connect(app, ("Sec-WebSocket-Extensions", "permessage-deflate"), **options)
    assert b"sec-websocket-extensions" not in peer.head.lower()
    assert not app.lane.compressed


async def test_asgi_sends_are_compressed_then(connect: Connect) -> None:
    async def app(scope: dict, receive: Any, send: Any) -> None:  # it only sends
        await receive()
        await send(ACCEPT)
        await send({"type": "websocket.send", "text": "Hello " * 100})
        await send({"type": "websocket.send", "text": "Hi"})
        await receive()

    peer = await connect(app, ("Sec-WebSocket-Extensions", "permessage-deflate"), ws=DeflatingProtocol)
    (first, packed), small = await peer.frames()
    assert first == 0xC1
    assert len(packed) < 30
    assert small == (0x81, b"Hi")


# Closing


async def test_the_peers_close_is_answered_and_the_transport_closed(
    app: Adopted, connect: Connect, masked: Masked
) -> None:
    peer = await connect(app)
    app.lane.write(text_frame(b"on its way"))
    peer.send(masked(8, b"\x0f\xa0bye") + masked(1, b"too late"))
    assert app.receiver.told == [4000]
    assert await peer.frames() == [(0x81, b"on its way"), (0x88, b"\x0f\xa0")]
    assert peer.transport.closing
    assert not peer.transport.aborted
    peer.lose()
    assert app.receiver.told == [4000]
    assert peer.state.connections == set()


async def test_a_close_without_a_code_is_answered_by_one_without(
    app: Adopted, connect: Connect, masked: Masked
) -> None:
    peer = await connect(app)
    peer.send(masked(8))
    assert await peer.frames() == [(0x88, b"")]
    assert app.receiver.told == [1005]


async def test_our_close_waits_for_the_peers(
    app: Adopted, connect: Connect, masked: Masked, times: list[Time]
) -> None:
    peer = await connect(app)
    app.lane.close(4008, "slow")
    assert await peer.frames() == [(0x88, b"\x0f\xa8slow")]
    assert not peer.transport.closing
    peer.send(masked(1, b"still talking") + masked(9, b"?"))
    assert app.receiver.told == []
    peer.send(masked(8, b"\x0f\xa8"))
    assert peer.transport.closing
    assert app.receiver.told == [4008]
    assert await peer.frames() == []
    peer.lose()
    times[0].forward(60)
    assert not peer.transport.aborted


async def test_a_peer_that_does_not_answer_our_close_is_cut(
    app: Adopted, connect: Connect, times: list[Time]
) -> None:
    peer = await connect(app)
    app.lane.close(1000)
    times[0].forward(CLOSE_SECONDS - 0.01)
    assert not peer.transport.aborted
    times[0].forward(0.2)
    assert peer.transport.aborted
    peer.lose()
    assert app.receiver.told == [1006]


async def test_a_stalled_peer_is_cut_although_the_transport_still_holds_bytes(
    app: Adopted, connect: Connect, masked: Masked, times: list[Time]
) -> None:
    peer = await connect(app)
    peer.transport.stalled = True
    app.lane.write(b"x" * 100_000)
    peer.send(masked(8))
    assert peer.transport.closing
    times[0].forward(CLOSE_SECONDS + 0.2)
    assert peer.transport.aborted


async def test_the_answer_to_our_close_is_found_behind_what_was_not_received(
    connect: Connect, masked: Masked
) -> None:
    go_on = asyncio.Event()

    async def app(scope: dict, receive: Any, send: Any) -> None:  # it never looks
        await receive()
        await send(ACCEPT)
        await go_on.wait()

    peer = await connect(app)
    peer.send(masked(1, b"x") * 1_000)
    assert not peer.transport.reading
    go_on.set()
    assert await peer.frames() == [CLOSE_1000]
    assert peer.transport.reading
    peer.send(masked(8, b"\x03\xe8"))
    assert peer.transport.closing


async def test_an_end_without_a_close_is_1006(app: Adopted, connect: Connect) -> None:
    peer = await connect(app)
    assert not peer.protocol.eof_received()
    peer.lose()
    assert app.receiver.told == [1006]


async def test_abort_cuts_at_once(app: Adopted, connect: Connect) -> None:
    peer = await connect(app)
    app.lane.write(text_frame(b"never sent"))
    app.lane.abort()
    assert peer.transport.aborted
    assert await peer.frames() == []


# What is wrong


@pytest.mark.parametrize(
    ("frame", "code"),
    [((3, b""), 1002), ((1, b"\xff"), 1007), ((2, b"x" * 101), 1009), ((8, b"\x03\xed"), 1002)],
)
async def test_a_peer_that_errs_is_told_and_then_left(
    app: Adopted, connect: Connect, masked: Masked, times: list[Time], frame: tuple[int, bytes], code: int
) -> None:
    peer = await connect(app, ws_max_size=100)
    peer.text("before")
    peer.send(masked(*frame) + masked(1, b"after"))
    ((first, payload),) = await peer.frames()
    assert (first, int.from_bytes(payload[:2])) == (0x88, code)
    assert app.receiver.told == ["before", code]
    assert peer.transport.closing is (frame[0] == 8)
    peer.send(masked(1, b"more") + masked(8, code.to_bytes(2)))
    assert peer.transport.closing
    assert app.receiver.told == ["before", code]
    times[0].forward(1)
    assert not peer.transport.aborted


async def test_one_that_goes_on_sending_is_cut(
    app: Adopted, connect: Connect, masked: Masked, times: list[Time]
) -> None:
    peer = await connect(app)
    peer.send(masked(3))
    times[0].forward(LINGER_SECONDS - 0.01)
    peer.send(masked(2, b"x" * 10_000))
    assert not peer.transport.aborted
    times[0].forward(0.2)
    assert peer.transport.aborted


# Pings


async def test_a_ping_is_answered_with_its_payload(app: Adopted, connect: Connect, masked: Masked) -> None:
    peer = await connect(app)
    peer.send(masked(9, b"abc") + masked(9))
    assert await peer.frames() == [(0x8A, b"abc"), (0x8A, b"")]


async def test_pings_of_a_peer_that_does_not_read_cost_one_answer(
    app: Adopted, connect: Connect, masked: Masked
) -> None:
    peer = await connect(app)
    peer.transport.stalled = True
    app.lane.write(text_frame(b"x" * 100_000))
    await peer.frames()
    for number in range(1_000):
        peer.send(masked(9, b"%d" % number))
    assert await peer.frames() == []
    peer.transport.drain()
    assert await peer.frames() == [(0x8A, b"999")]


async def test_a_quiet_peer_is_pinged_and_one_that_answers_stays(
    app: Adopted, connect: Connect, masked: Masked, times: list[Time]
) -> None:
    peer = await connect(app, ws_ping_interval=20, ws_ping_timeout=20)
    times[0].forward(19.9)
    assert await peer.frames() == []
    for passed in (0.3, 20.3, 20.3, 20.3):
        times[0].forward(passed)
        ((first, payload),) = await peer.frames()
        assert first == 0x89
        assert len(payload) == 4
        peer.send(masked(10, payload))
    assert not peer.transport.closing


async def test_one_that_does_not_answer_in_time_is_closed_with_1011(
    app: Adopted, connect: Connect, masked: Masked, times: list[Time]
) -> None:
    peer = await connect(app, ws_ping_interval=20, ws_ping_timeout=5)
    times[0].forward(20.2)
    ((_, payload),) = await peer.frames()
    peer.send(masked(10, payload[::-1] + b"!"))
    peer.text("alive, but does not answer")
    times[0].forward(4.7)
    assert await peer.frames() == []
    times[0].forward(0.5)
    assert await peer.frames() == [(0x88, b"\x03\xf3keepalive ping timeout")]
    assert app.receiver.told[-1] == 1011
    times[0].forward(LINGER_SECONDS + 0.2)
    assert peer.transport.aborted


async def test_with_a_shorter_timeout_the_interval_stays(
    app: Adopted, connect: Connect, masked: Masked, times: list[Time]
) -> None:
    peer = await connect(app, ws_ping_interval=20, ws_ping_timeout=5)
    times[0].forward(20.2)
    ((_, payload),) = await peer.frames()
    peer.send(masked(10, payload))
    times[0].forward(19)
    assert await peer.frames() == []
    times[0].forward(1.5)
    assert len(await peer.frames()) == 1


async def test_without_a_timeout_pings_go_on_unanswered(
    app: Adopted, connect: Connect, times: list[Time]
) -> None:
    peer = await connect(app, ws_ping_interval=20, ws_ping_timeout=None)
    times[0].forward(101)
    assert [first for first, _ in await peer.frames()] == [0x89] * 5
    assert not peer.transport.closing


@pytest.mark.parametrize("interval", [None, 0])
async def test_pings_can_be_off(
    app: Adopted, connect: Connect, times: list[Time], interval: float | None
) -> None:
    peer = await connect(app, ws_ping_interval=interval)
    times[0].forward(1_000)
    assert await peer.frames() == []


async def test_an_answer_that_cannot_be_read_is_not_missed(
    connect: Connect, masked: Masked, times: list[Time]
) -> None:
    """While the app is behind nothing is read, so the answer may well be there."""
    go_on = asyncio.Event()

    async def app(scope: dict, receive: Any, send: Any) -> None:  # it is behind
        await receive()
        await send(ACCEPT)
        await go_on.wait()
        while (await receive())["type"] == "websocket.receive":
            pass

    peer = await connect(app, ws_ping_interval=20, ws_ping_timeout=20)
    times[0].forward(20.2)
    ((_, payload),) = await peer.frames()
    peer.send(masked(1, b"x") * 65 + masked(10, payload))
    times[0].forward(30)
    ((first, payload),) = await peer.frames()
    assert first == 0x89
    go_on.set()
    await peer.ticks()
    peer.send(masked(10, payload))
    times[0].forward(20.2)
    assert [first for first, _ in await peer.frames()] == [0x89]


# The server


async def test_a_shutdown_tells_each_connection_1012(app: Adopted, connect: Connect, masked: Masked) -> None:
    peer = await connect(app)
    peer.protocol.shutdown()
    assert await peer.frames() == [(0x88, b"\x03\xf4")]
    assert app.receiver.told == [1012]
    peer.send(masked(8, b"\x03\xf4"))
    assert peer.transport.closing
    assert app.receiver.told == [1012]


async def test_a_shutdown_is_not_held_up_by_a_peer(app: Adopted, connect: Connect, times: list[Time]) -> None:
    peer = await connect(app)
    peer.protocol.shutdown()
    times[0].forward(LINGER_SECONDS + 0.2)
    assert peer.transport.aborted


async def test_an_app_that_accepts_after_a_shutdown_finds_nobody(connect: Connect, caplog: Any) -> None:
    go, raised = asyncio.Event(), []

    async def app(scope: dict, receive: Any, send: Any) -> None:  # it only decides
        await receive()
        await go.wait()
        try:
            await send(ACCEPT)
        except OSError as error:
            raised.append(error)
            raise

    peer = await connect(app)
    peer.protocol.shutdown()
    go.set()
    await peer.ticks()
    assert len(raised) == 1
    assert not caplog.records


async def test_a_shutdown_during_the_handshake_is_a_503(connect: Connect) -> None:
    async def app(scope: dict, receive: Any, send: Any) -> None:  # it waits for its peer to go
        await receive()
        assert (await receive())["type"] == "websocket.disconnect"

    peer = await connect(app)
    peer.protocol.shutdown()
    assert (await peer.answer()).startswith(b"HTTP/1.1 503 ")
    assert peer.transport.closing
    peer.lose()
    await peer.ticks()
    assert peer.state.tasks == set()


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"raw": b"GET / HTTP/1.1\r\n\r\n"}, 400),
        ({"raw": b"nonsense\r\n\r\n"}, 400),
        ({"version": "1.0"}, 400),
        ({"path": "/" + "a" * 20_000}, 414),
    ],
)
async def test_a_handshake_that_cannot_be_taken_is_answered(
    app: Adopted, connect: Connect, caplog: pytest.LogCaptureFixture, change: dict, status: int
) -> None:
    peer = await connect(app, **change)
    answer = await peer.answer()
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nconnection: close\r\n" in answer
    assert peer.transport.closing
    assert str(status) in caplog.text
    peer.lose()
    assert peer.state.connections == set()


async def test_too_much_before_the_answer_is_not_read(connect: Connect, masked: Masked) -> None:
    async def app(scope: dict, receive: Any, send: Any) -> None:  # it takes its time
        await receive()
        await receive()

    peer = await connect(app)
    peer.send(masked(2, b"x" * 60_000))
    assert peer.transport.reading
    peer.send(masked(2, b"x" * 60_000))
    assert not peer.transport.reading


# Memory


@pytest.mark.parametrize("how", ["close", "lose", "fail", "app"])
async def test_a_connection_that_is_over_leaves_no_work_for_the_collector(
    connect: Connect, masked: Masked, how: str
) -> None:
    async def echo(scope: dict, receive: Any, send: Any) -> None:  # as an app of a user's
        await receive()
        await send(ACCEPT)
        while (message := await receive())["type"] == "websocket.receive" and message["text"] != "stop":
            await send({"type": "websocket.send", "text": message["text"]})

    async def adopted(scope: dict, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        lane = lane_of(scope)
        assert lane is not None
        lane.adopt(Receiver())

    async def live() -> None:
        for app in (echo, adopted):
            peer = await connect(app)
            peer.text("x")
            await peer.ticks()
            match how:
                case "close":
                    peer.send(masked(8))
                case "fail":
                    peer.send(masked(3) + masked(8))
                case "app":
                    peer.text("stop")
                    await peer.ticks()
                    peer.send(masked(8))
            await peer.ticks()
            peer.lose()
            await peer.ticks()
            peer.transport.protocol = peer.protocol = None

    await live()
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        await live()
        gc.collect()
        assert not {type(one) for one in gc.garbage} & {Protocol, Call, Parser, Receiver}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


@pytest.mark.parametrize("kind", [Protocol, Call, Parser])
def test_what_each_connection_has_is_without_a_dictionary(kind: type) -> None:
    assert "__dict__" not in dir(kind)

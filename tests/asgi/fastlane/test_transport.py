"""The transport, on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import struct
from array import array
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from holdfast.asgi.fastlane.poller import READ, WRITE, Poller
from holdfast.asgi.fastlane.transport import HIGH_WATER, LOW_WATER, READ_BYTES, Transport

LARGE = b"0123456789abcdef" * 250_000
"""More than a socket takes at once, and no two places of it alike for long."""


class Ear(asyncio.Protocol):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.got = bytearray()
        self.said: list[str] = []
        self.lost: list[Exception | None] = []
        self.keeps_open = False
        self.on_data: Callable[[bytes], None] | None = None
        self.on_room: Callable[[], None] | None = None
        self._changed = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.got += data
        self._changed.set()
        if self.on_data is not None:
            self.on_data(data)

    def eof_received(self) -> bool:
        self.say("eof")
        return self.keeps_open

    def pause_writing(self) -> None:
        self.say("pause")

    def resume_writing(self) -> None:
        self.say("resume")
        if self.on_room is not None:
            self.on_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.append(exc)
        self.say("lost")

    def say(self, what: str) -> None:
        self.said.append(what)
        self._changed.set()

    async def until(self, true: Callable[[], object]) -> None:
        """Return once it is so; something that this was told must make it so."""
        async with asyncio.timeout(20):
            while not true():
                self._changed.clear()
                await self._changed.wait()


class End:
    """Both ends of a connection: ours, and the client's socket."""

    def __init__(self, poller: Poller, *, tcp: bool = False) -> None:
        ours, self.peer = tcp_pair() if tcp else socket.socketpair()
        ours.setblocking(False)
        self.peer.setblocking(False)
        self.ear = Ear()
        family = ours.family
        self.transport = Transport(
            poller, ours.detach(), family=family, peer="", local=None, protocol=self.ear
        )

    async def read(self, size: int) -> bytes:
        """So many bytes of the client's, or all there are before the end."""
        got, loop = bytearray(), asyncio.get_running_loop()
        async with asyncio.timeout(20):
            while len(got) < size and (some := await loop.sock_recv(self.peer, 65_536)):
                got += some
        return bytes(got)

    def fill(self) -> int:
        """Write until some of it waits; how much that was in all."""
        wrote = 0
        while not self.transport.get_write_buffer_size():
            self.transport.write(b"x" * 10_000)
            wrote += 10_000
        return wrote


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        peer = socket.create_connection(listening.getsockname())
        return listening.accept()[0], peer


def reset(peer: socket.socket) -> None:
    """Go without a good-bye."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


@pytest.fixture
def failed() -> list[dict[str, Any]]:
    """What the loop's handler is told."""
    return []


@pytest.fixture
async def end(poller: Poller) -> AsyncIterator[End]:
    made = End(poller)
    yield made
    made.transport.abort()
    made.peer.close()
    await made.ear.until(lambda: made.ear.lost)


async def a_turn_of(poller: Poller) -> None:
    """Return once whatever was ready has been told of."""
    beside = End(poller)
    beside.peer.send(b"x")
    await beside.ear.until(lambda: beside.ear.got)
    beside.transport.abort()
    beside.peer.close()
    await beside.ear.until(lambda: beside.ear.lost)


# Reading


async def test_what_comes_is_handed_on_in_order(end: End) -> None:
    loop = asyncio.get_running_loop()
    await asyncio.gather(
        loop.sock_sendall(end.peer, LARGE), end.ear.until(lambda: len(end.ear.got) == len(LARGE))
    )
    assert end.ear.got == LARGE


async def test_one_who_sends_much_lets_the_others_have_their_turn(poller: Poller, end: End) -> None:
    reads: list[int] = []
    end.ear.on_data = lambda data: reads.append(len(data))
    with contextlib.suppress(BlockingIOError):
        while True:
            end.peer.send(LARGE)
    await a_turn_of(poller)
    assert max(reads) <= READ_BYTES
    assert len(end.ear.got) < 4 * READ_BYTES


async def test_a_pause_leaves_it_with_the_system(poller: Poller, end: End) -> None:
    end.transport.pause_reading()
    assert not end.transport.is_reading()
    end.peer.send(b"hello")
    await a_turn_of(poller)
    assert end.ear.got == b""
    end.transport.resume_reading()
    await end.ear.until(lambda: end.ear.got)
    assert end.ear.got == b"hello"


async def test_a_peer_that_goes_during_a_pause_is_noticed_after_it_and_nothing_is_asked_meanwhile(
    poller: Poller, end: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Transport] = []
    real = Transport.ready
    monkeypatch.setattr(Transport, "ready", lambda self, events: (asked.append(self), real(self, events)))
    end.transport.pause_reading()
    end.peer.close()
    for _ in range(3):
        await a_turn_of(poller)
    assert len(asked) >= 3
    assert end.transport not in asked
    assert end.ear.said == []
    end.transport.resume_reading()
    await end.ear.until(lambda: end.ear.lost)
    assert end.ear.said == ["eof", "lost"]


async def test_one_that_is_told_for_nothing_goes_on(end: End) -> None:
    end.transport.ready(READ)
    end.transport.ready(WRITE)
    end.peer.send(b"hello")
    await end.ear.until(lambda: end.ear.got)
    assert end.ear.said == []


async def test_at_the_end_of_what_comes_it_closes(end: End) -> None:
    end.peer.send(b"bye")
    end.peer.shutdown(socket.SHUT_WR)
    await end.ear.until(lambda: end.ear.lost)
    assert (bytes(end.ear.got), end.ear.said, end.ear.lost) == (b"bye", ["eof", "lost"], [None])
    assert await end.read(1) == b""


async def test_a_protocol_may_go_on_to_answer_after_it(end: End) -> None:
    end.ear.keeps_open = True
    end.peer.shutdown(socket.SHUT_WR)
    await end.ear.until(lambda: end.ear.said)
    end.transport.write(b"an answer")
    end.transport.close()
    assert await end.read(100) == b"an answer"
    assert end.ear.said == ["eof", "lost"]


async def test_a_protocol_that_fails_loses_its_connection_and_no_other(poller: Poller, end: End) -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))

    def fail(_: bytes) -> None:
        raise ZeroDivisionError

    end.ear.on_data = fail
    end.peer.send(b"x")
    await a_turn_of(poller)
    await end.ear.until(lambda: end.ear.lost)
    assert [type(error) for error in end.ear.lost] == [ZeroDivisionError]
    assert [context["protocol"] for context in told] == [end.ear]


async def test_what_came_before_a_reset_is_heard_before_the_end(
    poller: Poller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by one who has still much to say, which is what the reset is first noticed by."""
    end = End(poller, tcp=True)
    end.fill()
    monkeypatch.setattr("holdfast.asgi.fastlane.transport.READ_BYTES", 1_000)
    last_words = LARGE[:2_500]
    end.peer.sendall(last_words)
    reset(end.peer)
    await end.ear.until(lambda: end.ear.lost)
    assert end.ear.got == last_words
    assert isinstance(end.ear.lost[0], OSError)


async def test_one_that_another_one_ends_in_the_same_turn_hears_nothing_more(
    poller: Poller, failed: list[dict[str, Any]]
) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context))
    ends = [End(poller), End(poller)]

    def end_both(_: bytes) -> None:
        for each in ends:
            each.transport.abort()

    for each in ends:
        each.ear.on_data = end_both
        each.peer.send(b"x")
    for each in ends:
        await each.ear.until(lambda each=each: each.ear.lost)
        each.peer.close()
    assert sorted(bytes(each.ear.got) for each in ends) == [b"", b"x"]
    assert failed == []


async def test_another_protocol_takes_over_at_once(end: End) -> None:
    after = Ear()
    end.ear.on_data = lambda _: end.transport.set_protocol(after)
    end.peer.send(b"a")
    await end.ear.until(lambda: end.ear.got)
    assert end.transport.get_protocol() is after
    end.peer.send(b"b")
    await after.until(lambda: after.got)
    end.peer.close()
    await after.until(lambda: after.lost)
    assert (bytes(end.ear.got), bytes(after.got), end.ear.lost) == (b"a", b"b", [])
    end.ear.connection_lost(None)  # for the fixture


# Writing


async def test_what_is_written_arrives_in_order_however_slowly_it_is_read(end: End) -> None:
    pieces = [LARGE[at : at + 9_999] for at in range(0, len(LARGE), 9_999)]
    for number, piece in enumerate(pieces):
        end.transport.write((piece, bytearray(piece), memoryview(piece))[number % 3])
    assert end.transport.get_write_buffer_size() > 0
    assert await end.read(len(LARGE)) == LARGE
    assert end.transport.get_write_buffer_size() == 0


async def test_lines_go_out_as_one(end: End) -> None:
    end.transport.writelines([b"a", b"b", b"c"])
    assert await end.read(3) == b"abc"


async def test_what_waits_is_not_changed_by_whoever_wrote_it(end: End) -> None:
    before = end.fill()
    mine = bytearray(b"mine")
    end.transport.write(mine)
    mine[:] = b"lost"
    assert (await end.read(before + 4))[-4:] == b"mine"


async def test_a_protocol_is_told_to_pause_and_to_go_on(end: End) -> None:
    wrote = end.fill()
    assert end.ear.said == []
    while end.transport.get_write_buffer_size() <= HIGH_WATER:
        end.transport.write(b"x" * 10_000)
        wrote += 10_000
    end.transport.write(b"x" * 10_000)
    wrote += 10_000
    assert end.ear.said == ["pause"], "once"
    room: list[int] = []
    end.ear.on_room = lambda: room.append(end.transport.get_write_buffer_size())
    assert len(await end.read(wrote)) == wrote
    assert end.ear.said == ["pause", "resume"]
    assert room[0] <= LOW_WATER


async def test_it_goes_on_below_the_low_mark_and_not_before(end: End) -> None:
    end.transport.set_write_buffer_limits(2_000_000, 0)
    wrote = end.fill()
    end.transport.write(LARGE)
    assert end.ear.said == ["pause"]
    room: list[int] = []
    end.ear.on_room = lambda: room.append(end.transport.get_write_buffer_size())
    assert len(await end.read(wrote + len(LARGE))) == wrote + len(LARGE)
    assert room == [0]


async def test_thousands_of_small_pieces_may_wait(end: End) -> None:
    wrote = end.fill()
    pieces = [b"%d," % number for number in range(3_000)]
    for piece in pieces:
        end.transport.write(piece)
    whole = b"".join(pieces)
    assert (await end.read(wrote + len(whole)))[wrote:] == whole


async def test_a_protocol_may_write_on_when_it_is_told_to_go_on(end: End) -> None:
    wrote = end.fill()
    end.transport.write(LARGE)
    end.ear.on_room = lambda: end.transport.write(b"more")
    end.transport.write_eof()
    got = await end.read(wrote + len(LARGE))
    assert got[wrote:] == LARGE


@pytest.mark.parametrize(
    ("high", "low", "limits"),
    [(None, None, (16_384, 65_536)), (100, None, (25, 100)), (None, 100, (100, 400)), (0, 0, (0, 0))],
)
async def test_the_marks_can_be_set(
    end: End, high: int | None, low: int | None, limits: tuple[int, int]
) -> None:
    end.transport.set_write_buffer_limits(high, low)
    assert end.transport.get_write_buffer_limits() == limits


async def test_marks_that_make_no_sense_are_refused(end: End) -> None:
    for high, low in ((1, 2), (1, -1)):
        with pytest.raises(ValueError, match="must be at least"):
            end.transport.set_write_buffer_limits(high, low)
    assert end.transport.get_write_buffer_limits() == (LOW_WATER, HIGH_WATER)


@pytest.mark.parametrize("wrong", ["x", 3, [1], None])
async def test_what_is_no_bytes_is_refused(end: End, wrong: Any) -> None:
    with pytest.raises(TypeError, match="must be bytes"):
        end.transport.write(wrong)


async def test_bytes_are_counted_whatever_they_are_seen_as(end: End) -> None:
    wrote = end.fill()
    before = end.transport.get_write_buffer_size()
    end.transport.write(memoryview(array("I", range(1_000))))
    assert end.transport.get_write_buffer_size() == before + 4_000
    assert (await end.read(wrote + 4_000))[wrote:] == array("I", range(1_000)).tobytes()


@pytest.mark.parametrize("what", ["pause_writing", "resume_writing"])
async def test_a_protocol_that_fails_to_pause_loses_nothing(
    end: End, failed: list[dict[str, Any]], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context))

    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(end.ear, what, fail)
    wrote = end.fill()
    end.transport.write(LARGE)
    end.transport.close()
    assert len(await end.read(wrote + len(LARGE))) == wrote + len(LARGE)
    await end.ear.until(lambda: end.ear.lost)
    assert [type(context["exception"]) for context in failed] == [ZeroDivisionError]


async def test_a_half_close_follows_what_waits(end: End) -> None:
    wrote = end.fill()
    assert end.transport.can_write_eof()
    end.transport.write_eof()
    with pytest.raises(RuntimeError, match="after write_eof"):
        end.transport.write(b"x")
    assert len(await end.read(wrote + 1)) == wrote
    end.peer.send(b"still there")
    await end.ear.until(lambda: end.ear.got)
    assert end.ear.lost == []


async def test_a_half_close_with_nothing_before_it(end: End) -> None:
    end.transport.write_eof()
    assert await end.read(1) == b""


# The end


async def test_a_close_follows_what_waits_and_nothing_is_read_meanwhile(poller: Poller, end: End) -> None:
    wrote = end.fill()
    end.transport.close()
    assert end.transport.is_closing()
    end.transport.write(b"too late")
    end.transport.pause_reading()
    end.transport.resume_reading()
    end.peer.send(b"unheard")
    await a_turn_of(poller)
    assert end.ear.said == []
    assert await end.read(wrote) == b"x" * wrote
    await end.ear.until(lambda: end.ear.lost)
    assert (end.ear.lost, end.ear.got) == ([None], b"")


async def test_the_protocol_is_told_of_the_end_once_and_not_from_inside_a_call(
    end: End, failed: list[dict[str, Any]]
) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context))
    end.transport.close()
    end.transport.close()
    end.transport.abort()
    assert end.ear.lost == []
    await end.ear.until(lambda: end.ear.lost)
    end.transport.abort()
    await asyncio.sleep(0)
    assert (end.ear.lost, failed) == ([None], [])
    assert await end.read(1) == b""


async def test_an_abort_leaves_out_what_waits(end: End) -> None:
    wrote = end.fill()
    end.transport.abort()
    assert end.transport.get_write_buffer_size() == 0
    await end.ear.until(lambda: end.ear.lost)
    assert end.ear.lost == [None]
    assert len(await end.read(wrote)) < wrote


async def test_a_peer_that_does_not_read_and_goes_is_noticed(end: End) -> None:
    end.fill()
    end.transport.pause_reading()
    end.peer.close()
    await end.ear.until(lambda: end.ear.lost)
    assert isinstance(end.ear.lost[0], OSError)


async def test_a_write_to_a_peer_that_has_gone_is_noticed(end: End) -> None:
    end.transport.pause_reading()
    end.peer.close()
    end.transport.write(b"hello?")
    await end.ear.until(lambda: end.ear.lost)
    assert isinstance(end.ear.lost[0], OSError)


async def test_the_descriptor_is_the_protocols_until_it_has_been_told(end: End) -> None:
    number, seen = end.transport.fd, []
    end.ear.connection_lost = lambda exc: (seen.append(end.transport.fd), Ear.connection_lost(end.ear, exc))  # type: ignore[method-assign,assignment,misc]
    end.transport.abort()
    await end.ear.until(lambda: end.ear.lost)
    assert (seen, end.transport.fd) == ([number], -1)


async def test_one_whose_descriptor_somebody_has_closed_still_ends(
    end: End, failed: list[dict[str, Any]]
) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context))
    os.close(end.transport.fd)
    end.transport.close()
    await end.ear.until(lambda: end.ear.lost)
    assert (end.ear.lost, failed) == ([None], [])


async def test_its_socket_is_closed_with_it_and_by_nobody_else(end: End) -> None:
    ours = end.transport.get_extra_info("socket")
    assert ours.fileno() == end.transport.fd
    assert not hasattr(ours, "close")
    end.transport.close()
    await end.ear.until(lambda: end.ear.lost)
    assert ours.fileno() == -1
    assert end.transport.get_extra_info("socket", "none") == "none"


async def test_neither_keeps_the_other_alive(end: End) -> None:
    end.transport.close()
    await end.ear.until(lambda: end.ear.lost)
    assert end.ear not in gc.get_referents(end.transport)


async def test_one_that_is_dropped_is_closed_with_a_warning(poller: Poller) -> None:
    end = End(poller)
    poller.unwatch(end.transport.fd)
    number = os.dup(end.transport.fd)
    with pytest.warns(ResourceWarning, match="unclosed transport"):
        del end.transport
    os.close(number)
    assert await end.read(1) == b""
    end.peer.close()


# Over TCP


async def test_where_it_is_and_with_whom(poller: Poller) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        peer = socket.create_connection(listening.getsockname())
        ours, address = listening.accept()
    ours.setblocking(False)
    transport = Transport(
        poller, ours.detach(), family=socket.AF_INET, peer=address, local=None, protocol=(ear := Ear())
    )
    assert transport.get_extra_info("peername") == peer.getsockname()
    assert transport.get_extra_info("sockname") == peer.getpeername()
    assert transport.get_extra_info("sslcontext") is None
    assert transport.get_extra_info("no such thing", 5) == 5
    reset(peer)
    await ear.until(lambda: ear.lost)
    assert isinstance(ear.lost[0], ConnectionResetError)

"""Writing to many descriptors and accepting many connections, in C and in Python: both do the same."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.asgi.fastlane import descriptors
from holdfast.asgi.fastlane.descriptors import AcceptEach, WriteToEach, in_python

Pairs = Callable[[], tuple[socket.socket, socket.socket]]

FRAMES = b"x" * 3_000_000
"""More than a socket takes at once."""


@pytest.fixture
def pair() -> Iterator[Pairs]:
    """Makes pairs of connected sockets that do not block."""
    with contextlib.ExitStack() as stack:

        def make() -> tuple[socket.socket, socket.socket]:
            ours, theirs = (stack.enter_context(each) for each in socket.socketpair())
            ours.setblocking(False)
            theirs.setblocking(False)
            return ours, theirs

        yield make


def all_from(theirs: socket.socket) -> bytes:
    got = bytearray()
    with contextlib.suppress(BlockingIOError):
        while True:
            got += theirs.recv(1_000_000)
    return bytes(got)


def test_all_of_them_get_it(write_to_each: WriteToEach, pair: Pairs) -> None:
    pairs = [pair() for _ in range(50)]
    assert write_to_each([ours.fileno() for ours, _ in pairs], b"hello") == []
    assert [all_from(theirs) for _, theirs in pairs] == [b"hello"] * 50


def test_to_nobody_it_does_nothing(write_to_each: WriteToEach) -> None:
    assert write_to_each([], b"hello") == []


def test_nothing_to_write_is_taken_whole(write_to_each: WriteToEach, pair: Pairs) -> None:
    ours, theirs = pair()
    assert write_to_each([ours.fileno()], b"") == []
    assert all_from(theirs) == b""


def test_it_says_how_much_was_taken_by_those_that_did_not_take_all(
    write_to_each: WriteToEach, pair: Pairs
) -> None:
    some, full = pair(), pair()
    fine = pair()
    with contextlib.suppress(BlockingIOError):
        while True:
            full[0].send(b"y")
    lacking = write_to_each([some[0].fileno(), full[0].fileno()], FRAMES)
    (first, taken), second = lacking
    assert (first, second) == (0, (1, 0))
    assert 0 < taken < len(FRAMES)
    assert all_from(some[1]) == FRAMES[:taken]
    assert b"x" not in all_from(full[1])
    assert write_to_each([full[0].fileno(), fine[0].fileno(), some[0].fileno()], b"hello") == []


@pytest.mark.parametrize("place", range(3))
def test_who_cannot_be_written_to_keeps_nobody_from_it(
    write_to_each: WriteToEach, pair: Pairs, place: int
) -> None:
    """One whose peer is gone, a number that is nobody's, and one that stands for none."""
    (gone, peer), fine = pair(), [pair(), pair()]
    peer.close()
    closed = os.dup(gone.fileno())
    os.close(closed)
    for bad in (gone.fileno(), closed, -1):
        each = [ours.fileno() for ours, _ in fine]
        each.insert(place, bad)
        assert write_to_each(each, b"hello") == [(place, 0)]
        assert [all_from(theirs) for _, theirs in fine] == [b"hello"] * 2


def test_what_is_no_list_of_numbers_is_refused_before_anything_is_written(
    write_to_each: WriteToEach, pair: Pairs
) -> None:
    ours, theirs = pair()
    with pytest.raises(TypeError):
        write_to_each(["1"], b"hello")  # type: ignore[list-item]
    with pytest.raises(TypeError):
        write_to_each([ours.fileno()], "hello")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        write_to_each(None, b"hello")  # type: ignore[arg-type]
    assert all_from(theirs) == b""


def test_a_number_that_no_descriptor_can_be_is_refused(write_to_each: WriteToEach, pair: Pairs) -> None:
    ours, theirs = pair()
    with pytest.raises(OverflowError):
        write_to_each([2**32 + ours.fileno()], b"hello")
    assert all_from(theirs) == b""


def test_other_threads_go_on_while_it_writes(write_to_each: WriteToEach, pair: Pairs) -> None:
    """What is read meanwhile makes room, so that one call gets more through than there is room for."""
    ours, theirs = pair()
    often = [ours.fileno()] * 50_000
    room = len(often) - len(write_to_each(often, b"x"))
    assert 0 < room < len(often) / 20
    reading = threading.Thread(target=read_all, args=(theirs,))
    reading.start()
    try:
        deadline, most = time.monotonic() + 60, 0
        while most <= 2 * room and time.monotonic() < deadline:
            most = max(most, len(often) - len(write_to_each(often, b"x")))
    finally:
        ours.shutdown(socket.SHUT_WR)
        reading.join()
    assert most > 2 * room


def read_all(theirs: socket.socket) -> None:
    """A byte at a time, each of which was sent alone: between two of them this needs the interpreter."""
    theirs.setblocking(True)
    while theirs.recv(1):
        pass


class Sink:
    """Descriptors that take as much of what they are given as they have been told to."""

    def __init__(self, room: list[int | None]) -> None:
        self.room = room

    def write(self, descriptor: int, frames: bytes) -> int:
        room = self.room[descriptor]
        if room is None:
            raise BlockingIOError
        return min(room, len(frames))


@given(st.lists(st.none() | st.integers(0, 6)), st.binary(max_size=4))
def test_in_python_each_is_written_to_once_whatever_the_others_do(
    room: list[int | None], frames: bytes
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", Sink(room).write)
        lacking = in_python(list(range(len(room))), frames)
    expected = [(place, min(size or 0, len(frames))) for place, size in enumerate(room)]
    assert lacking == [one for one in expected if one[1] < len(frames)]


# Accepting


@pytest.fixture(params=["127.0.0.1", "::1"])
def listening(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.create_server((request.param, 0), family=family) as made:
        made.setblocking(False)
        yield made


@contextlib.contextmanager
def waiting(listening: socket.socket, count: int) -> Iterator[list[socket.socket]]:
    """So many clients, all of whom knock."""
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection(listening.getsockname()[:2])) for _ in range(count)
        ]


def test_nobody_is_accepted_where_nobody_waits(accept_each: AcceptEach, listening: socket.socket) -> None:
    assert accept_each(listening, 5) == []


def test_all_who_wait_are_accepted_up_to_a_number(accept_each: AcceptEach, listening: socket.socket) -> None:
    with waiting(listening, 5) as clients:
        came = accept_each(listening, 3)
        assert len(came) == 3
        came += accept_each(listening, 3)
        assert [peer for _, peer in came] == [client.getsockname() for client in clients]
        for number, (fd, _) in enumerate(came):
            os.write(fd, b"%d" % number)
            os.close(fd)
        assert [client.recv(10) for client in clients] == [b"0", b"1", b"2", b"3", b"4"]
    assert accept_each(listening, 3) == []


def test_who_is_accepted_never_blocks_and_is_not_inherited(
    accept_each: AcceptEach, listening: socket.socket
) -> None:
    with waiting(listening, 1):
        ((fd, _),) = accept_each(listening, 1)
        with pytest.raises(BlockingIOError):
            os.read(fd, 1)
        assert not os.get_inheritable(fd)
        os.close(fd)


def test_the_other_end_of_a_unix_socket_has_no_name(accept_each: AcceptEach, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as client:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        listening.setblocking(False)
        client.connect(str(tmp_path / "s"))
        ((fd, peer),) = accept_each(listening, 1)
        os.close(fd)
    assert peer == ""


def test_where_nobody_can_be_accepted_it_says_why(accept_each: AcceptEach) -> None:
    with socket.socket() as no_listener:
        no_listener.setblocking(False)
        with pytest.raises(OSError, match="Invalid argument"):
            accept_each(no_listener, 5)


def test_without_descriptors_left_those_before_are_kept(
    accept_each: AcceptEach, listening: socket.socket
) -> None:
    """One place is left: the first gets it, and of the second the error tells."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with waiting(listening, 2) as clients:
        free = os.dup(0)
        os.close(free)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (free + 1, hard))
            ((fd, peer),) = accept_each(listening, 5)
            with pytest.raises(OSError, match="Too many open files"):
                accept_each(listening, 5)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert peer == clients[0].getsockname()
        ((other, peer),) = accept_each(listening, 5)
        assert peer == clients[1].getsockname()
        os.close(fd)
        os.close(other)


@pytest.mark.skipif(
    descriptors.accept_each is descriptors.accept_in_python,
    reason="nothing was compiled, or not for this system",
)
def test_in_c_what_is_no_descriptor_and_no_number_is_refused() -> None:
    in_c = descriptors._descriptors.accept_each
    for wrong, error in (
        ((-1, 5), ValueError),
        ((0, -5), ValueError),
        (("0", 5), TypeError),
        ((0,), TypeError),
    ):
        with pytest.raises(error):
            in_c(*wrong)
    with pytest.raises(OverflowError):
        in_c(2**70, 5)

"""A socket that somebody else closes."""

from __future__ import annotations

import gc
import os
import socket

import pytest

from holdfast.asgi.fastlane.beside import Beside


def test_it_sends_on_the_descriptor() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert Beside(ours.fileno()).send(b"hi") == 2
        assert theirs.recv(10) == b"hi"


def test_it_does_not_wait_for_room() -> None:
    """It asks the descriptor, and does not know itself that this one never blocks."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        beside = Beside(ours.fileno())
        assert beside.send(b"x" * 10_000_000) < 10_000_000
        with pytest.raises(BlockingIOError):
            beside.send(b"x")


def test_what_becomes_of_it_is_nothing_to_the_descriptor() -> None:
    """By then it may be a stranger's."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        Beside(ours.fileno()).send(b"1")
        beside = Beside(ours.fileno())
        circle = [beside]
        circle.append(circle)
        del beside, circle
        gc.collect()
        Beside(ours.fileno()).detach()
        os.fstat(ours.fileno())
        ours.send(b"2")
        assert theirs.recv(10) == b"12"


def test_a_default_timeout_of_the_process_does_not_make_it_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        socket.setdefaulttimeout(30)
        try:
            beside = Beside(ours.fileno())
        finally:
            socket.setdefaulttimeout(None)
        assert beside.send(b"x" * 10_000_000) < 10_000_000
        with pytest.raises(BlockingIOError):
            beside.send(b"x")
        beside.detach()

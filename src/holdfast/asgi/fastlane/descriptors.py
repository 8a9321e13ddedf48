"""Writing the same to many sockets at once, and accepting many.

What runs here runs for every publication and every subscriber, or for every handshake. So it is compiled where there
was a compiler when Holdfast was installed, and else in Python, which takes a tenth longer.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from itertools import repeat
from typing import Any

__all__ = ["COMPILED", "accept_each", "accept_in_python", "in_python", "write_to_each"]

WriteToEach = Callable[[list[int], bytes], list[tuple[int, int]]]
AcceptEach = Callable[[socket.socket, int], list[tuple[int, Any]]]


def in_python(descriptors: list[int], frames: bytes) -> list[tuple[int, int]]:
    """Of those that did not take all of it: the place in the list, and how many bytes it took.

    It never waits. A descriptor that cannot be written to has taken nothing, whatever the reason: its transport finds
    out. A negative one stands for none. The others have to be sockets that do not block, and no other thread may close
    them.
    """
    size = len(frames)
    taken = _taken([descriptor for descriptor in descriptors if descriptor >= 0], frames)
    if len(taken) == len(descriptors) and sum(taken) == size * len(taken):
        return []
    each = iter(taken)
    all_of_them = (next(each) if descriptor >= 0 else 0 for descriptor in descriptors)
    return [(place, some) for place, some in enumerate(all_of_them) if some < size]


def _taken(descriptors: list[int], frames: bytes) -> list[int]:
    taken: list[int] = []
    writing = map(os.write, descriptors, repeat(frames))  # no bytecode runs between two writes
    while len(taken) < len(descriptors):
        try:
            taken.extend(writing)
        except OSError:
            taken.append(0)
    return taken


def accept_in_python(listening: socket.socket, most: int) -> list[tuple[int, Any]]:
    """Those who wait at a socket that does not block: descriptors that do not block either, and the other ends.

    Raises:
        OSError: nobody can be accepted; not where nobody waits, nor where somebody was accepted before.
    """
    came: list[tuple[int, Any]] = []
    while len(came) < most:
        try:
            connection, peer = listening.accept()
        except BlockingIOError:
            break
        except (ConnectionAbortedError, InterruptedError):
            continue
        except OSError:
            if came:
                break
            raise
        connection.setblocking(False)
        came.append((connection.detach(), peer))
    return came


def _accept_in_c(listening: socket.socket, most: int) -> list[tuple[int, Any]]:
    came: list[tuple[int, Any]] = _descriptors.accept_each(listening.fileno(), most)
    return came


write_to_each: WriteToEach
accept_each: AcceptEach
COMPILED: bool
try:
    from holdfast.asgi.fastlane import _descriptors
except ImportError:
    write_to_each, accept_each, COMPILED = in_python, accept_in_python, False
else:
    write_to_each, COMPILED = _descriptors.write_to_each, True
    # Only Linux accepts several at once; nobody asks for it elsewhere.
    accept_each = _accept_in_c if hasattr(_descriptors, "accept_each") else accept_in_python

"""All plain sockets of an event loop behind one descriptor: what is ready is taken in one go.

A loop goes a whole round for each event or two (libuv accepts one connection in each), and a round takes as long as a
third of a handshake. Linux lets one `epoll` watch another: the loop watches this one, and what waits behind it is asked
for in one call.
"""

from __future__ import annotations

import asyncio
import select
from contextlib import suppress
from typing import Protocol

READ, WRITE = 0x1, 0x4
"""`EPOLLIN` and `EPOLLOUT`; as numbers, since this is imported also where there is no `epoll`."""

MOST_AT_ONCE = 64
"""So many are taken before the loop's own affairs have their turn: some milliseconds, where all are handshakes."""


class Watched(Protocol):
    """Who has a descriptor."""

    def ready(self, events: int) -> None:
        """The poller's call: there is something to read, to accept, or room to write. Must not raise."""
        ...


class Poller:
    """Watches descriptors (level-triggered) for the loop that runs it."""

    __slots__ = ("_epoll", "_watched", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._epoll = select.epoll()
        self._watched: dict[int, Watched] = {}
        loop.add_reader(self._epoll.fileno(), self._turn)

    def watch(self, fd: int, watched: Watched, events: int) -> None:
        """Tell `watched` of these events from now on, in place of those of before."""
        if self._watched.get(fd) is watched:
            self._epoll.modify(fd, events)
        else:
            self.unwatch(fd)
            self._epoll.register(fd, events)
            self._watched[fd] = watched

    def unwatch(self, fd: int) -> None:
        """Tell of nothing more; harmless for one that is not watched. To be called before the descriptor is closed."""
        if self._watched.pop(fd, None) is not None:
            with suppress(OSError):  # the system has forgotten one that was closed behind our back
                self._epoll.unregister(fd)

    def close(self) -> None:
        """Watch nothing more; before its loop is closed."""
        self.loop.remove_reader(self._epoll.fileno())
        self._watched.clear()
        self._epoll.close()

    def _turn(self) -> None:
        watched = self._watched
        for fd, events in self._epoll.poll(0, MOST_AT_ONCE):
            # Whoever came before it in this turn may have closed it. Should its number be given to another one already,
            # that one finds nothing to read.
            found = watched.get(fd)
            if found is not None:
                found.ready(events)

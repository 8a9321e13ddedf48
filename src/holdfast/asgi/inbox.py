"""Messages that wait for the app: a bounded queue without a queue's weight, since every connection may have one."""

from __future__ import annotations

import asyncio
from typing import Any


class InboxClosed(Exception):
    """There is no message left, and none will come."""


class Inbox:
    """Hands messages out in the order they came; several tasks may take. Lives in one event loop."""

    __slots__ = ("_closed", "_items", "_limit", "_loop", "_most", "_size", "_takers")

    def __init__(self, limit: int, most: int) -> None:
        """At most `limit` messages, and `most` bytes of their frames, which take up to 25 times as much once read."""
        self._limit = limit
        self._most = most
        self._size = 0
        # Lists, as an empty deque takes 760 bytes; with this bound nothing is slow about them.
        self._items: list[tuple[Any, int]] = []
        self._takers: list[asyncio.Future[None]] = []
        self._closed = False
        self._loop = asyncio.get_running_loop()

    def __bool__(self) -> bool:
        """Whether a message waits."""
        return bool(self._items)

    def put(self, message: Any, size: int = 0) -> bool:
        """Add a message whose frame had so many bytes; false if it does not fit. Alone it always does."""
        items = self._items
        if self._closed or len(items) >= self._limit or (items and self._size + size > self._most):
            return False
        items.append((message, size))
        self._size += size
        self._wake_one()
        return True

    async def take(self) -> Any:
        """The oldest message, waiting for one if need be. Raises `InboxClosed`."""
        while not self._items:
            if self._closed:
                raise InboxClosed
            taker = self._loop.create_future()
            self._takers.append(taker)
            try:
                await taker
            except asyncio.CancelledError:
                if taker in self._takers:
                    self._takers.remove(taker)
                elif self._items:
                    self._wake_one()  # it was this one's turn, so now it is the next one's
                raise
        message, size = self._items.pop(0)
        self._size -= size
        return message

    def close(self, *, drop: bool = False) -> None:
        """Take no more, and wake whoever waits; what has come before is still handed out, unless it is dropped."""
        self._closed = True
        if drop:
            self._items.clear()
        while self._takers:
            self._wake_one()

    def _wake_one(self) -> None:
        while self._takers:
            taker = self._takers.pop(0)
            if not taker.done():
                taker.set_result(None)
                return

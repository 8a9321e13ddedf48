"""Where the client's time comes from, and what it waits with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from holdfast.client.timing import Now


class Alarm(Protocol):
    """A call that is still to come."""

    def cancel(self) -> None:
        """Do not call."""
        ...


class Clocks(Protocol):
    """Both clocks, and one way to wait."""

    def now(self) -> Now:
        """What they show."""
        ...

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Alarm:
        """Call once, `seconds` from now or soon after, from the event loop."""
        ...


class SystemClocks:
    """The machine's own clocks and the running event loop."""

    def now(self) -> Now:
        return Now(time.time(), time.monotonic())

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Alarm:
        return asyncio.get_running_loop().call_later(seconds, callback)


class Bell:
    """Wakes whoever waits for a change; each then looks for itself what has changed."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        """Wake everybody who waits now."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    async def heard(self) -> None:
        """Return at the next ring."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await future
        finally:
            self._waiting.discard(future)

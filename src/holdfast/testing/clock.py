"""Time for tests: hours pass in a millisecond, and only when told to."""

from __future__ import annotations

import asyncio
import heapq
from itertools import count

SETTLE_TURNS = 20
"""Turns of the event loop that woken tasks get before time moves on; what needs a thread needs a wait of its own."""


class ManualClock:
    """A `Clock` that stands still until `advance` moves it."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._now = now
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._order), woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Move time on, waking every sleeper at its own moment and letting it act before the next."""
        end = self._now + seconds
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            when, _, woken = heapq.heappop(self._sleepers)
            if woken.done():
                continue
            self._now = max(self._now, when)
            woken.set_result(None)
            await self._settle()
        self._now = end
        await self._settle()

    def set(self, now: float) -> None:
        """Jump to a point in time without waking anybody: what a process sees whose timers are late."""
        self._now = now

    async def _settle(self) -> None:
        for _ in range(SETTLE_TURNS):
            await asyncio.sleep(0)

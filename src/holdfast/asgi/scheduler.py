"""One heap and one waiting task for all the deadlines of a process: a timer per connection would cost more than it."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from itertools import count

from holdfast.logs import get_logger
from holdfast.ports import Clock

log = get_logger("holdfast.live")

LONGEST_WAIT = 1.0
"""Seconds between looks at the clock, so that one that jumped, or a machine that slept, is noticed."""

FEW_CANCELLED = 64
"""So many cancelled alarms may lie in the heap, however few there are of others."""


class Alarm:
    """A call to come; `cancel` it when it is no longer wanted."""

    __slots__ = ("_callback", "_scheduler", "when")

    def __init__(self, when: float, callback: Callable[[], None], scheduler: Scheduler) -> None:
        self.when = when
        self._callback: Callable[[], None] | None = callback
        self._scheduler = scheduler

    @property
    def cancelled(self) -> bool:
        """Whether there is nothing left to call."""
        return self._callback is None

    def cancel(self) -> None:
        if self._callback is not None:
            self._callback = None
            self._scheduler.one_cancelled()

    def ring(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


class Scheduler:
    """Rings alarms when their time comes; alarms for the same moment ring in the order they were set."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Alarm]] = []
        self._order = count()
        self._cancelled = 0
        self._earlier: asyncio.Event | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to keep time in the running loop; alarms of one that is gone are forgotten."""
        self._forget()
        self._earlier = earlier = asyncio.Event()  # which belongs to the loop that first waits for it
        self._task = asyncio.get_running_loop().create_task(self._run(earlier), name="holdfast scheduler")

    async def aclose(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        self._forget()

    def __len__(self) -> int:
        """How many alarms are kept, cancelled ones among them."""
        return len(self._heap)

    def at(self, when: float, callback: Callable[[], None]) -> Alarm:
        """Call `callback` once the clock shows `when` (seconds since the epoch); it must not block.

        What it raises is logged and keeps no other alarm from ringing.
        """
        alarm = Alarm(when, callback, self)
        if self._earlier is not None and (not self._heap or when < self._heap[0][0]):
            self._earlier.set()
        heapq.heappush(self._heap, (when, next(self._order), alarm))
        return alarm

    def one_cancelled(self) -> None:
        """Forget the cancelled once they are the most: each would wait a day for the expiry of a token long gone."""
        self._cancelled += 1
        if self._cancelled > max(FEW_CANCELLED, len(self._heap) // 2):
            self._heap = [entry for entry in self._heap if not entry[2].cancelled]
            heapq.heapify(self._heap)
            self._cancelled = 0

    def _forget(self) -> None:
        self._heap.clear()
        self._cancelled = 0

    async def _run(self, earlier: asyncio.Event) -> None:
        while True:
            self._ring_due()
            earlier.clear()
            wait = LONGEST_WAIT
            if self._heap:
                wait = min(wait, max(0.0, self._heap[0][0] - self._clock.now()))
            await self._wait(wait, earlier)

    def _ring_due(self) -> None:
        now = self._clock.now()
        while self._heap and self._heap[0][0] <= now:
            alarm = heapq.heappop(self._heap)[2]
            if alarm.cancelled:
                self._cancelled -= 1
            try:
                alarm.ring()
            except Exception:
                log.exception("an alarm failed")

    async def _wait(self, seconds: float, earlier: asyncio.Event) -> None:
        pause = asyncio.ensure_future(self._clock.sleep(seconds))
        sooner = asyncio.ensure_future(earlier.wait())
        try:
            await asyncio.wait((pause, sooner), return_when=asyncio.FIRST_COMPLETED)
        finally:
            pause.cancel()
            sooner.cancel()

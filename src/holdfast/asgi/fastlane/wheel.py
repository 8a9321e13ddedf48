"""One timer for all that connections wait for: pings, pongs and deadlines, in steps of an eighth of a second."""

from __future__ import annotations

import asyncio
from typing import Protocol

STEP = 0.125
"""Seconds; what is set rings in the step after its time, so never early."""


class Timed(Protocol):
    """What may be set on a wheel: once at a time, and with `due` for the wheel's own use, 0 at first."""

    due: int

    def rang(self) -> None:
        """The time has come."""
        ...


class Wheel:
    """Keeps what is due in each step; its loop has one timer, and none while nothing is set."""

    __slots__ = ("_loop", "_next", "_slots", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._slots: dict[int, set[Timed]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._next = 0

    def __len__(self) -> int:
        """How many are set."""
        return sum(map(len, self._slots.values()))

    def set(self, timed: Timed, seconds: float) -> None:
        """Ring once in so many seconds, and not when it was set to before."""
        if timed.due:
            self.drop(timed)
        step = int((self._loop.time() + seconds) / STEP) + 1
        timed.due = step
        slot = self._slots.get(step)
        if slot is not None:
            slot.add(timed)
            return
        self._slots[step] = {timed}
        if self._timer is None or step < self._next:
            self._arm(step)

    def drop(self, timed: Timed) -> None:
        """Do not ring; harmless for one that is not set."""
        slot = self._slots.get(timed.due)
        timed.due = 0
        if slot is not None:
            slot.discard(timed)

    def _arm(self, step: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next = step
        self._timer = self._loop.call_at(step * STEP, self._turn)

    def _turn(self) -> None:
        self._timer = None
        now = int(self._loop.time() / STEP)
        for step in sorted(step for step in self._slots if step <= now):
            for timed in self._slots.pop(step):
                # One that rang before it may have dropped this one, which no longer was in its slot then.
                if timed.due == step:
                    timed.due = 0
                    timed.rang()
        if self._slots:
            self._arm(min(self._slots))

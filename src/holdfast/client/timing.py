"""Two clocks, moments on both, and how long to wait after a failure.

A wall clock may jump and a monotonic clock may stand still while the machine sleeps, so a moment is set on both and has
come when either says so.
"""

from __future__ import annotations

from dataclasses import dataclass

TICK = 30.0
"""The longest a machine lets pass without looking at its clocks, in seconds; timers stand still in sleep."""

BACKOFF_MOST = 60.0
BACKOFF_DOUBLINGS = 6


@dataclass(frozen=True, slots=True)
class Now:
    """What both clocks show, in seconds; only differences mean anything."""

    wall: float
    mono: float


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time on both clocks."""

    wall: float
    mono: float

    def reached(self, now: Now) -> bool:
        """Whether it has come, by either clock."""
        return now.wall >= self.wall or now.mono >= self.mono

    def left(self, now: Now) -> float:
        """Seconds until it comes by the clock that says so first."""
        return max(0.0, min(self.wall - now.wall, self.mono - now.mono))


def after(now: Now, seconds: float) -> Moment:
    """The moment `seconds` from now."""
    return Moment(now.wall + seconds, now.mono + seconds)


def backoff(failures: int, unit: float) -> float:
    """How long to wait after so many failures before this one: full jitter under 1, 2, 4, … 60 s.

    `unit` is a number drawn from [0, 1).
    """
    ceiling = min(BACKOFF_MOST, 2.0 ** min(failures, BACKOFF_DOUBLINGS))
    return ceiling * unit

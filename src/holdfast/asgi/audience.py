"""Those of a channel's subscribers who speak the same protocol, and so are sent the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from holdfast.asgi.burst import Burst
from holdfast.asgi.lane import Lane, spread

if TYPE_CHECKING:
    from holdfast.asgi.driver import Driver


class Audience:
    """Subscribers in the order in which they came, but those on lanes first."""

    __slots__ = ("_lanes", "_others")

    def __init__(self) -> None:
        self._lanes: dict[Lane, Driver] = {}
        """Whoever takes the frames as they are."""
        self._others: dict[Driver, None] = {}

    def __len__(self) -> int:
        return len(self._lanes) + len(self._others)

    def __iter__(self) -> Iterator[Driver]:
        yield from self._lanes.values()
        yield from self._others

    def add(self, driver: Driver) -> None:
        lane = driver.outlet.shared
        if lane is None:
            self._others[driver] = None
        else:
            self._lanes[lane] = driver

    def discard(self, driver: Driver) -> bool:
        """Let a subscriber go; whether it was among them."""
        lane = driver.outlet.shared
        if lane is None:
            return self._others.pop(driver, self) is None
        return self._lanes.pop(lane, None) is not None

    def send(self, burst: Burst) -> None:
        """Send it to all of them; who does not keep up is ended after the others have it."""
        if self._lanes:
            for frames in burst.framed():
                behind = [self._lanes[lane] for lane in spread(self._lanes, frames)]
                for driver in behind:
                    driver.outlet.check()
        for driver in tuple(self._others):
            driver.outlet.push_burst(burst)

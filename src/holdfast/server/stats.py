"""How the counts of this process went over the last hour, for the admin's charts."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from holdfast.ports import Clock
from holdfast.server.metrics import Meter

if TYPE_CHECKING:
    from holdfast.asgi.timeline import Moment

INTERVAL = 5.0
KEPT = 720
"""An hour of samples."""
BREATHER = 500
"""Connections looked at before others get a turn of the event loop."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The counts at one moment; all but `connections` and `subscriptions` only ever rise."""

    at: float
    connections: int
    opened: int
    renewals: int
    closes: int
    closes_by_code: dict[str, int]
    refreshes: int
    sign_ins: int
    drops_avoided: int
    publications: int
    deliveries: int
    subscriptions: int


class HasTimeline(Protocol):
    """What a sampler looks at in a connection."""

    @property
    def timeline(self) -> Iterable[Moment]: ...


class Live(Protocol):
    """The live connections of this process."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[HasTimeline]: ...


class Sampler:
    """Takes a sample every five seconds and keeps an hour of them."""

    def __init__(self, meter: Meter, live: Live, clock: Clock) -> None:
        self._meter = meter
        self._live = live
        self._clock = clock
        self._looked_at = clock.now()
        self._task: asyncio.Task[None] | None = None
        self.samples: deque[Sample] = deque(maxlen=KEPT)

    def start(self) -> None:
        """Begin; call from the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="holdfast-sampler")

    async def aclose(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def take(self) -> Sample:
        """Look at everything now."""
        await self._count_outlived()
        sample = self.present()
        self.samples.append(sample)
        return sample

    def present(self) -> Sample:
        """The counts of this moment; not kept."""
        meter = self._meter
        return Sample(
            at=self._clock.now(),
            connections=len(self._live),
            opened=meter.connections.total(),
            renewals=meter.renewals.total(),
            closes=meter.closes.total(),
            closes_by_code=meter.closes_by_code(),
            refreshes=sum(meter.refreshes().values()),
            sign_ins=meter.sign_ins()["ok"],
            drops_avoided=meter.drops_avoided,
            publications=meter.channels["published"],
            deliveries=meter.channels["delivered"] + meter.channels["recovered"],
            subscriptions=meter.subscriptions,
        )

    async def _run(self) -> None:
        while True:
            await self.take()
            await self._clock.sleep(INTERVAL)

    async def _count_outlived(self) -> None:
        """Count the expiries since the last look that a connection, thanks to a renewal, is still here after."""
        since, now = self._looked_at, self._clock.now()
        self._looked_at = now
        for place, connection in enumerate(self._live):
            if place % BREATHER == BREATHER - 1:
                await asyncio.sleep(0)
            for moment in connection.timeline:
                if moment.what in ("renewed", "healed") and since < _old_expiry(moment) <= now:
                    self._meter.drops_avoided += 1


def _old_expiry(moment: Moment) -> float:
    """When the connection would have begun to die without this renewal; a healed one had its expiry behind it."""
    return moment.at + max(0.0, moment.seconds or 0.0)

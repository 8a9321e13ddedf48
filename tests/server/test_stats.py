from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from holdfast.asgi.timeline import Moment
from holdfast.server.metrics import Meter
from holdfast.server.stats import INTERVAL, KEPT, Sampler
from holdfast.testing.clock import ManualClock


@dataclass
class Connected:
    timeline: deque[Moment] = field(default_factory=deque)


class Live:
    def __init__(self, *connections: Connected) -> None:
        self.connections = list(connections)

    def __len__(self) -> int:
        return len(self.connections)

    def __iter__(self) -> Iterator[Connected]:
        return iter(self.connections)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_000.0)


async def test_a_sample_holds_the_counts_of_its_moment(clock: ManualClock) -> None:
    meter = Meter()
    sampler = Sampler(meter, Live(Connected(), Connected()), clock)
    meter.connection("proven", detail="query")
    meter.connection("renewed", detail="in band", seconds=3.0)
    meter.connection("gone", detail="closed by the peer with 1001")
    meter.connection("ended", detail="1001 Disconnected by an administrator.")
    meter.connection("ended", detail="4003 Token expired. Please refresh the page to get a new token.")
    meter.session("refresh.rotated")
    meter.session("user.signed_in")
    meter.session("user.sign_in_failed")
    sample = await sampler.take()
    assert (sample.at, sample.connections, sample.opened, sample.renewals) == (1_000.0, 2, 1, 1)
    assert (sample.closes, sample.refreshes, sample.sign_ins) == (3, 1, 1)
    assert sample.closes_by_code == {"1001": 2, "4003": 1}


@pytest.mark.parametrize(("later", "outlived"), [(9.0, 0), (10.0, 1), (11.0, 1)])
async def test_an_expiry_is_outlived_once_its_time_has_come(
    clock: ManualClock, later: float, outlived: int
) -> None:
    """A renewal with ten seconds left has saved nothing yet: only after those would the connection have gone."""
    connection = Connected()
    meter = Meter()
    sampler = Sampler(meter, Live(connection), clock)
    connection.timeline.append(Moment(1_000.0, "renewed", "in band", 10.0))
    clock.set(1_000.0 + later)
    await sampler.take()
    assert meter.drops_avoided == outlived


async def test_each_outlived_expiry_counts_once(clock: ManualClock) -> None:
    connection = Connected(deque([Moment(1_000.0, "renewed", "in band", 4.0)]))
    meter = Meter()
    sampler = Sampler(meter, Live(connection), clock)
    for second in range(1, 20):
        clock.set(1_000.0 + second)
        await sampler.take()
    assert meter.drops_avoided == 1


async def test_a_connection_that_left_before_its_old_expiry_avoided_no_drop(clock: ManualClock) -> None:
    live = Live(Connected(deque([Moment(1_000.0, "renewed", "in band", 10.0)])))
    meter = Meter()
    sampler = Sampler(meter, live, clock)
    clock.set(1_005.0)
    await sampler.take()
    live.connections.clear()
    clock.set(1_020.0)
    await sampler.take()
    assert meter.drops_avoided == 0


async def test_a_renewal_in_the_grace_outlives_its_expiry_at_once(clock: ManualClock) -> None:
    connection = Connected()
    meter = Meter()
    sampler = Sampler(meter, Live(connection), clock)
    clock.set(1_001.0)
    connection.timeline.append(Moment(1_001.0, "healed", "in band", -3.0))
    await sampler.take()
    assert meter.drops_avoided == 1


async def test_samples_are_taken_every_five_seconds_and_an_hour_of_them_is_kept(clock: ManualClock) -> None:
    sampler = Sampler(Meter(), Live(), clock)
    sampler.start()
    try:
        await clock.advance(INTERVAL * 3)
        assert [sample.at for sample in sampler.samples] == [1_000.0, 1_005.0, 1_010.0, 1_015.0]
        await clock.advance(INTERVAL * KEPT)
        assert len(sampler.samples) == KEPT == 3600 / INTERVAL
    finally:
        await sampler.aclose()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "holdfast-sampler"]

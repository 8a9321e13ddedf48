from __future__ import annotations

import asyncio

from holdfast.asgi.scheduler import Scheduler
from holdfast.testing.clock import ManualClock


async def test_alarms_ring_at_their_time_and_in_order():
    clock = ManualClock(1000.0)
    scheduler = Scheduler(clock)
    scheduler.start()
    rung: list[tuple[str, float]] = []
    scheduler.at(1010.0, lambda: rung.append(("b", clock.now())))
    scheduler.at(1005.0, lambda: rung.append(("a", clock.now())))
    scheduler.at(1010.0, lambda: rung.append(("c", clock.now())))
    await clock.advance(4.999)
    assert rung == []
    await clock.advance(100)
    assert [name for name, _ in rung] == ["a", "b", "c"]
    assert all(when <= due + 1 for (_, when), due in zip(rung, (1005, 1010, 1010), strict=True))
    await scheduler.aclose()


async def test_an_alarm_set_while_waiting_for_a_later_one_rings_in_time():
    clock = ManualClock(1000.0)
    scheduler = Scheduler(clock)
    scheduler.start()
    rung: list[float] = []
    scheduler.at(1500.0, lambda: None)
    await clock.advance(1)
    scheduler.at(1001.5, lambda: rung.append(clock.now()))
    await clock.advance(0.5)
    assert rung == [1001.5]
    await scheduler.aclose()


async def test_a_cancelled_alarm_does_not_ring():
    clock = ManualClock(1000.0)
    scheduler = Scheduler(clock)
    scheduler.start()
    rung: list[float] = []
    scheduler.at(1001.0, lambda: rung.append(1)).cancel()
    await clock.advance(10)
    assert rung == []
    await scheduler.aclose()


async def test_a_machine_that_slept_rings_what_it_missed_soon_after_waking():
    clock = ManualClock(1000.0)
    scheduler = Scheduler(clock)
    scheduler.start()
    rung: list[float] = []
    scheduler.at(2000.0, lambda: rung.append(clock.now()))
    await clock.advance(0.5)
    clock.set(5000.0)
    await clock.advance(1.0)
    assert len(rung) == 1
    await scheduler.aclose()


async def test_cancelled_alarms_are_forgotten_long_before_their_time():
    clock = ManualClock(1000.0)
    scheduler = Scheduler(clock)
    scheduler.start()
    rung: list[int] = []
    far = 50.0
    kept = [scheduler.at(1000.0 + far + number, lambda n=number: rung.append(n)) for number in range(10)]
    for _ in range(5_000):
        scheduler.at(1000.0 + far, lambda: rung.append(-1)).cancel()
    assert len(scheduler) < 200
    kept[3].cancel()
    await clock.advance(far + 20)
    assert rung == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert len(scheduler) == 0
    await scheduler.aclose()


async def test_cancelling_twice_or_after_the_ring_disturbs_no_other_alarm():
    clock = ManualClock(1000.0)
    scheduler = Scheduler(clock)
    scheduler.start()
    rung: list[float] = []
    for _ in range(200):
        alarm = scheduler.at(1001.0, lambda: rung.append(clock.now()))
    await clock.advance(2)
    for _ in range(3):
        alarm.cancel()
    waiting = [scheduler.at(1020.0, lambda: rung.append(clock.now())) for _ in range(100)]
    for _ in range(1_000):
        waiting[0].cancel()
    await clock.advance(30)
    assert len(rung) == 200 + 99
    assert len(scheduler) == 0
    await scheduler.aclose()


async def test_an_alarm_that_fails_is_logged_and_stops_no_other(caplog):
    clock = ManualClock(1000.0)
    scheduler = Scheduler(clock)
    scheduler.start()
    rung: list[float] = []

    def broken() -> None:
        raise RuntimeError("it rang badly")

    scheduler.at(1001.0, broken)
    scheduler.at(1001.0, lambda: rung.append(clock.now()))
    scheduler.at(1005.0, lambda: rung.append(clock.now()))
    await clock.advance(10)
    assert rung == [1001.0, 1005.0]
    assert [record.getMessage() for record in caplog.records] == ["an alarm failed"]
    assert "it rang badly" in caplog.text
    await scheduler.aclose()


class Counting(ManualClock):
    """Knows how often somebody has begun to wait for it."""

    waits = 0

    async def sleep(self, seconds: float) -> None:
        self.waits += 1
        await super().sleep(seconds)


def test_in_a_second_event_loop_it_rings_as_in_the_first_and_waits_as_long():
    clock = Counting(1000.0)
    scheduler = Scheduler(clock)

    async def once() -> tuple[int, list[float]]:
        clock.waits, began = 0, clock.now()
        scheduler.start()
        rung: list[float] = []
        scheduler.at(began + 5, lambda: rung.append(clock.now() - began))
        await clock.advance(1)
        scheduler.at(began + 1.5, lambda: rung.append(clock.now() - began))
        await clock.advance(9)
        await scheduler.aclose()
        return clock.waits, rung

    first, second = asyncio.run(once()), asyncio.run(once())
    assert first == second
    assert first[1] == [1.5, 5.0]


def test_alarms_of_an_event_loop_that_is_gone_do_not_ring_in_the_next():
    clock = ManualClock(1000.0)
    scheduler = Scheduler(clock)
    rung: list[str] = []

    async def once(name: str) -> None:
        scheduler.start()
        scheduler.at(clock.now() + 5, lambda: rung.append(name))
        await clock.advance(1)

    async def rest() -> None:
        await once("second")
        await clock.advance(10)
        await scheduler.aclose()

    asyncio.run(once("first"))
    asyncio.run(rest())
    assert rung == ["second"]

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from holdfast.errors import Unavailable
from holdfast.ports import AuditEvent
from holdfast.sessions import log as module
from holdfast.sessions.log import EventLog
from holdfast.stores.sql import SqlStore
from holdfast.testing.clock import ManualClock
from holdfast.testing.logs import capture_logs


class Reader:
    """The log of a store that can be slow or away."""

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []
        self.reads = 0
        self.away = False
        self.gate = asyncio.Event()
        self.gate.set()

    def happen(self, kind: str) -> int:
        self.events.append(AuditEvent(kind=kind, at=0.0, id=len(self.events) + 1))
        return len(self.events)

    async def latest_event_id(self) -> int:
        return len(self.events)

    async def events_after(self, event_id: int, *, limit: int = 500) -> list[AuditEvent]:
        self.reads += 1
        if self.away:
            raise Unavailable("the store is away")
        found = self.events[event_id : event_id + limit]
        await self.gate.wait()
        return found


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture
async def log(reader: Reader, clock: ManualClock) -> AsyncIterator[EventLog]:
    log = EventLog(reader, clock)
    yield log
    await log.aclose()


async def test_subscribers_are_told_in_order_and_once(reader: Reader, log: EventLog) -> None:
    told: list[str] = []
    log.subscribe(lambda event: told.append(event.kind))
    for kind in "abc":
        reader.happen(kind)
    await log.catch_up()
    await log.catch_up()
    assert told == ["a", "b", "c"]


async def test_following_begins_at_the_present_end(reader: Reader, log: EventLog) -> None:
    told: list[str] = []
    log.subscribe(lambda event: told.append(event.kind))
    reader.happen("before")
    await log.start()
    reader.happen("after")
    await log.catch_up()
    assert told == ["after"]


async def test_events_of_other_processes_arrive_by_themselves(
    reader: Reader, log: EventLog, clock: ManualClock
) -> None:
    told: list[str] = []
    log.subscribe(lambda event: told.append(event.kind))
    await log.start()
    reader.happen("elsewhere")
    await clock.advance(0.49)
    assert told == []
    await clock.advance(0.01)
    assert told == ["elsewhere"]


async def test_callers_who_wait_together_share_one_read(reader: Reader, log: EventLog) -> None:
    reader.gate.clear()
    first = asyncio.create_task(log.catch_up())
    await asyncio.sleep(0)
    others = [asyncio.create_task(log.catch_up()) for _ in range(10)]
    await asyncio.sleep(0)
    reader.gate.set()
    await asyncio.gather(first, *others)
    assert reader.reads == 2


async def test_whoever_asks_during_a_read_is_told_what_that_read_was_too_early_for(
    reader: Reader, log: EventLog
) -> None:
    told: list[str] = []
    log.subscribe(lambda event: told.append(event.kind))
    reader.gate.clear()
    early = asyncio.create_task(log.catch_up())
    await asyncio.sleep(0)
    reader.happen("late")
    late = asyncio.create_task(log.catch_up())
    await asyncio.sleep(0)
    reader.gate.set()
    await late
    assert told == ["late"]
    await early


async def test_an_event_that_was_told_already_costs_no_read(reader: Reader, log: EventLog) -> None:
    number = reader.happen("a")
    await log.catch_up(number)
    await log.catch_up(number)
    assert reader.reads == 1


async def test_a_caller_who_gives_up_leaves_the_others_a_working_log(reader: Reader, log: EventLog) -> None:
    told: list[str] = []
    log.subscribe(lambda event: told.append(event.kind))
    reader.gate.clear()
    reader.happen("a")
    given_up = asyncio.create_task(log.catch_up())
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    reader.gate.set()
    await log.catch_up()
    assert told == ["a"]


async def test_a_subscriber_that_fails_keeps_nobody_else_from_being_told(
    reader: Reader, log: EventLog
) -> None:
    told: list[str] = []

    def broken(event: AuditEvent) -> None:
        raise RuntimeError(event.kind)

    log.subscribe(broken)
    log.subscribe(lambda event: told.append(event.kind))
    reader.happen("a")
    with capture_logs() as lines:
        await log.catch_up()
    assert told == ["a"]
    assert log.healthy
    assert [line["log_level"] for line in lines] == ["error"]


async def test_a_subscription_can_be_taken_back(reader: Reader, log: EventLog) -> None:
    told: list[str] = []
    unsubscribe = log.subscribe(lambda event: told.append(event.kind))
    unsubscribe()
    unsubscribe()
    reader.happen("a")
    await log.catch_up()
    assert told == []


async def test_a_store_that_is_away_is_told_once_and_tried_ever_more_rarely(
    reader: Reader, log: EventLog, clock: ManualClock
) -> None:
    told: list[str] = []
    log.subscribe(lambda event: told.append(event.kind))
    await log.start()
    reader.away = True
    with capture_logs() as lines:
        await clock.advance(120)
        assert not log.healthy
        assert reader.reads < 20
        reader.happen("missed")
        reader.away = False
        await clock.advance(module.MAX_BACKOFF)
    assert log.healthy
    assert told == ["missed"]
    assert [line["log_level"] for line in lines] == ["error", "info"]


async def test_what_was_written_while_reading_failed_is_not_the_writers_affair(
    reader: Reader, log: EventLog
) -> None:
    reader.away = True
    await log.catch_up()  # does not raise: the write is committed
    assert not log.healthy


async def test_more_than_one_batch_is_read_to_the_end(
    store: SqlStore, clock: ManualClock, monkeypatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 3)
    log = EventLog(store, clock)
    told: list[int] = []
    log.subscribe(lambda event: told.append(event.id or 0))
    written = [(await store.record(AuditEvent(kind="x", at=1.0))).id for _ in range(8)]
    await log.catch_up()
    assert told == written

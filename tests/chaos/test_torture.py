"""S9 and S11 at their worst: everything fails all the time, and no client's record differs from the publishers'.

A minute in `make test`, longer with `make torture ARGS=600`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from holdfast.client import LiveConnection, Session
from holdfast.errors import Unavailable

SECONDS = float(os.environ.get("TORTURE_SECONDS", "60"))
SEED = int(os.environ.get("TORTURE_SEED", str(random.randrange(10**6))))
SUBSCRIBERS, CHANNELS, SESSIONS, PUBLISHERS = 200, 20, 4, 4
QUIET = 60.0
"""Seconds that the last publication may take to reach everybody once the storm is over."""
PASSWORD = "a password of the storm's own"


@dataclass
class Published:
    """What the publishers know of one channel: the place of each publication, as the server has answered."""

    at: dict[tuple[str, int], int] = field(default_factory=dict)
    numbers: int = 0


@dataclass
class Heard:
    """One subscriber's record; checked as it is made."""

    name: str
    published: Published
    epoch: str = ""
    offset: int = 0
    events: int = 0
    told: int = 0
    """How often it was told that something cannot be recovered."""
    recovered: int = 0
    seen: dict[tuple[str, int], int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def subscribed(self, news: Any) -> None:
        """The channel is there, for the first time or again."""
        position = news.position
        if news.recovered:
            self.recovered += 1
            if position.epoch != self.epoch:
                self.faults.append(f"recovered into another life: {self.epoch} -> {position.epoch}")
            return
        self.told += 1
        self.epoch, self.offset = position.epoch, position.offset

    def event(self, offset: int, number: int) -> None:
        """A publication has come."""
        self.events += 1
        if offset != self.offset + 1:
            kind = "doubled or out of order" if offset <= self.offset else "lost without a word"
            self.faults.append(f"{kind}: {offset} after {self.offset} of {self.epoch}")
        self.offset = offset
        self.seen[self.epoch, offset] = number


async def publish(live: LiveConnection, channel: str, published: Published, over: asyncio.Event) -> None:
    """At full speed: the next number as soon as the last one has its place; the same key until it has."""
    while not over.is_set():
        number = published.numbers = published.numbers + 1
        while True:
            try:
                position = await live.publish(channel, number, key=str(number), timeout=5)
            except Unavailable:
                continue  # it may have arrived; with the same key that is all the same, but for a server's new life
            published.at[position.epoch, position.offset] = number
            break


async def trouble(phoenix: Any, storm: Any, chance: random.Random, until: float) -> Counter[str]:
    """Cuts several times a second, frozen networks, and a server that falls every ten seconds or so."""
    happened: Counter[str] = Counter()
    next_fall = time.monotonic() + 6
    while time.monotonic() < until:
        await asyncio.sleep(chance.uniform(0.05, 0.3))  # the storm's own rhythm; nothing is waited for
        storm.cut(chance.choice([1, 1, 2, 5, 20]))
        if chance.random() < 0.02:
            async with storm.hold():
                await asyncio.sleep(
                    chance.uniform(1, 6)
                )  # the same; past the expiry of a token, and its grace
            happened["holds"] += 1
        if time.monotonic() > next_fall:
            how = chance.choice([signal.SIGTERM, signal.SIGKILL])
            happened[how.name] += 1
            await phoenix.fall(how)
            await phoenix.rise()
            next_fall = time.monotonic() + chance.uniform(6, 14)
    return happened


@pytest.mark.parametrize("seconds", [SECONDS])
async def test_p2_nothing_is_lost_doubled_or_reordered_whatever_happens(
    phoenix: Any, storm_over: Any, seconds: float, record_property: Callable[[str, object], None]
) -> None:
    """The memory broker starts a new life with its server, which every client must be told, never silence."""
    chance = random.Random(SEED)
    await phoenix.rise()
    storm = storm_over(phoenix.port, chance)
    url = f"http://127.0.0.1:{await storm.open()}"
    records = {f"job:{n}": Published() for n in range(CHANNELS)}
    heard = [Heard(f"subscriber {n}", records[f"job:{n % CHANNELS}"]) for n in range(SUBSCRIBERS)]
    over = asyncio.Event()
    async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        sessions = [await stack.enter_async_context(Session(url)) for _ in range(SESSIONS + 1)]
        for session in sessions:
            await session.sign_in("admin", PASSWORD)
        followers = []
        for n, record in enumerate(heard):
            live = await stack.enter_async_context(sessions[n % SESSIONS].connect("/ws", timeout=60))
            followers.append(group.create_task(follow(live, f"job:{n % CHANNELS}", record)))
        publishing = []
        for n in range(PUBLISHERS):
            live = await stack.enter_async_context(sessions[-1].connect("/ws", timeout=60))
            for channel, record in list(records.items())[n::PUBLISHERS]:
                publishing.append(group.create_task(publish(live, channel, record, over)))
        happened = await trouble(phoenix, storm, chance, time.monotonic() + seconds)
        over.set()
        await asyncio.wait(publishing)
        await caught_up(heard, records)
        for task in followers:
            task.cancel()
    await storm.close()
    await phoenix.fall(signal.SIGTERM)
    total = sum(record.events for record in heard)
    told = sum(record.told for record in heard)
    recovered = sum(record.recovered for record in heard)
    summary = (
        f"{seconds:.0f} s, seed {SEED}: {sum(r.numbers for r in records.values())} published, {total} delivered, "
        f"{storm.cuts} connections cut, {dict(happened)}, {recovered} recoveries, "
        f"{told - SUBSCRIBERS} told of a new life"
    )
    record_property("torture", summary)
    print(summary)
    assert [fault for record in heard for fault in record.faults] == [], summary
    assert wrong(heard) == [], summary
    # It was a storm, and it was weathered.
    assert storm.cuts > SUBSCRIBERS / 2, summary
    assert recovered > SUBSCRIBERS / 10, summary
    assert told > SUBSCRIBERS, summary
    assert total > SUBSCRIBERS, summary


async def follow(live: LiveConnection, channel: str, record: Heard) -> None:
    """Listen to one channel for as long as it takes."""
    subscription = live.subscribe(channel, queue=100_000)
    subscription.on("subscribed", record.subscribed)
    async with subscription:
        async for event in subscription:
            record.event(event.offset, event.data)


async def caught_up(heard: list[Heard], records: dict[str, Published]) -> None:
    """Return once everybody has the newest of their channel; fail when somebody stays silent."""
    newest = {}
    for published in records.values():
        (epoch, offset) = max(published.at, key=lambda place: published.at[place])
        newest[id(published)] = (epoch, offset)
    deadline = time.monotonic() + QUIET
    while behind := [r for r in heard if (r.epoch, r.offset) != newest[id(r.published)]]:
        assert time.monotonic() < deadline, (
            f"{len(behind)} are behind, such as {behind[0].name} at {behind[0].epoch} {behind[0].offset} "
            f"of {newest[id(behind[0].published)]}"
        )
        await asyncio.sleep(0.1)  # between two looks, under the deadline above


def wrong(heard: list[Heard]) -> list[str]:
    """What a subscriber has been given in the place of something else."""
    return [
        f"{record.name}: {number} at {place}, where {record.published.at[place]} was published"
        for record in heard
        for place, number in record.seen.items()
        if record.published.at.get(place, number) != number
    ]

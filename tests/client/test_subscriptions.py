"""Channels as a program has them, against a server that keeps them as the real one does."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from holdfast.client import (
    ClientError,
    Event,
    LiveConnection,
    LiveState,
    Position,
    RequestError,
    Session,
    Subscription,
    SubscriptionState,
)
from holdfast.core.channel import Stream
from holdfast.core.policy import Retention
from holdfast.errors import MisuseError, Unavailable
from holdfast.protocol import frames
from holdfast.protocol.codec import HoldfastV1

Eventually = Callable[[Callable[[], bool]], Awaitable[None]]

CODEC = HoldfastV1()
KEPT = Retention(size=1_000, seconds=3_600.0)


class Hub:
    """The channels of the server; a test may refuse requests, cut sockets, and start it again."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.retention = KEPT
        self.refusals: dict[str, str] = {}
        """Error codes by the type of request."""
        self.silent = False
        self.asked: list[dict[str, Any]] = []
        self.lines: dict[Any, set[str]] = {}
        self._streams: dict[str, Stream] = {}
        self._lives = 0

    def stream(self, channel: str) -> Stream:
        if channel not in self._streams:
            self._lives += 1
            self._streams[channel] = Stream(f"e{self._lives}")
        return self._streams[channel]

    async def publish(self, *numbers: int, channel: str = "job:1") -> None:
        for number in numbers:
            done = self.stream(channel).publish(str(number), retention=self.retention, now=0.0)
            assert done.publication is not None
            for line, channels in tuple(self.lines.items()):
                if channel in channels:
                    await self.tell(line, frames.Event(channel, done.publication.offset, str(number)))

    def restart(self) -> None:
        """Forget everything, and cut every socket."""
        self._streams.clear()
        self.cut()

    def cut(self) -> None:
        for line in tuple(self.lines):
            line.cut()

    async def end(self, channel: str, reason: str) -> None:
        for line, channels in self.lines.items():
            channels.discard(channel)
            await self.tell(line, frames.Unsubscribed(channel, reason))

    async def prompt(self) -> None:
        """Have everybody show a new token."""
        for line in self.lines:
            await self.tell(line, frames.AuthDue(300))

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [frame for frame in self.asked if frame["type"] == kind]

    async def serve(self) -> None:
        """Welcome whoever comes, and answer them."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                line = await self.server.sockets.get()
                tasks.create_task(self._attend(line))

    async def _attend(self, line: Any) -> None:
        self.lines[line] = set()
        try:
            await line.welcome()
            async for frame in line.frames():
                self.asked.append(frame)
                if not self.silent:
                    await self._answer(line, frame)
        except ConnectionClosed:
            pass
        finally:
            del self.lines[line]

    async def _answer(self, line: Any, frame: dict[str, Any]) -> None:
        kind = frame["type"]
        if kind == "auth":
            await self.tell(line, frames.AuthOk(900, 600, frame["id"]))
        if kind not in ("subscribe", "unsubscribe", "publish", "history", "presence"):
            return
        request, channel = frame["id"], frame["channel"]
        if kind in self.refusals:
            await self.tell(line, frames.Error(self.refusals[kind], "No.", request))
            return
        stream = self.stream(channel)
        since = Position(**frame["since"]) if "since" in frame else None
        match kind:
            case "subscribe":
                self.lines[line].add(channel)
                found = stream.recover(since, now=0.0)
                await self.tell(
                    line, frames.Subscribed(channel, found.position, found.recovered, True, None, request)
                )
                for missed in found.publications:
                    await self.tell(line, frames.Event(channel, missed.offset, missed.data))
            case "unsubscribe":
                self.lines[line].discard(channel)
                await self.tell(line, frames.Ok(request, {}))
            case "publish":
                await self.publish(frame["data"], channel=channel)
                await self.tell(line, frames.Published(request, stream.position))
            case "history":
                found = stream.read(since, limit=frame["limit"], now=0.0)
                await self.tell(
                    line,
                    frames.HistoryRead(request, found.position, found.publications, found.recovered),
                )
            case "presence":
                await self.tell(line, frames.PresenceRead(request, [frames.Member("c1", "u1", "ann")]))

    async def tell(self, line: Any, frame: frames.ServerFrame) -> None:
        await line.say(CODEC.encode(frame))


@pytest.fixture
async def hub(server: Any) -> AsyncIterator[Hub]:
    made = Hub(server)
    serving = asyncio.create_task(made.serve())
    yield made
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


@pytest.fixture
async def live(hub: Hub, signed_in: Session) -> AsyncIterator[LiveConnection]:
    async with signed_in.connect("/ws") as opened:
        yield opened


async def took(subscription: Subscription, count: int) -> list[Event]:
    """The next events."""
    async with asyncio.timeout(10):
        return [await anext(subscription) for _ in range(count)]


async def read(subscription: Subscription, count: int) -> list[int]:
    """What the next events say."""
    return [event.data for event in await took(subscription, count)]


async def test_events_come_whole_and_in_order(hub: Hub, live: LiveConnection) -> None:
    await hub.publish(1)
    async with live.subscribe("job:1") as job:
        assert await job.subscribed() == Position("e1", 1)
        await hub.publish(2, 3)
        assert await took(job, 2) == [Event("job:1", 2, 2), Event("job:1", 3, 3)]
        assert job.position == Position("e1", 3)


async def test_leaving_the_block_leaves_the_channel(
    hub: Hub, live: LiveConnection, eventually: Eventually
) -> None:
    async with live.subscribe("job:1") as job:
        await job.subscribed()
    assert job.state is SubscriptionState.UNSUBSCRIBED
    await eventually(lambda: len(hub.of_type("unsubscribe")) == 1)
    with pytest.raises(StopAsyncIteration):
        await anext(job)


async def test_many_subscribers_share_what_the_server_is_asked_for(hub: Hub, live: LiveConnection) -> None:
    first = live.subscribe("job:1")
    await first.subscribed()
    await hub.publish(1)
    assert await read(first, 1) == [1]
    second = live.subscribe("job:1")
    assert await second.subscribed() == Position("e1", 1)
    await hub.publish(2)
    assert await read(first, 1) == await read(second, 1) == [2]
    first.unsubscribe()
    await hub.publish(3)
    assert await read(second, 1) == [3]
    assert len(hub.of_type("subscribe")) == 1
    assert hub.of_type("unsubscribe") == []


async def test_what_became_of_it_is_told_to_all(hub: Hub, live: LiveConnection) -> None:
    told: list[tuple[bool, bool]] = []
    for _ in range(2):
        job = live.subscribe("job:1")
        job.on("subscribed", lambda news: told.append((news.fresh, news.recovered)))
        await job.subscribed()
    assert told == [(True, False), (True, False)]
    with pytest.raises(ValueError, match="event"):
        job.on("event", print)


async def test_nothing_is_missed_or_doubled_through_a_hundred_losses(
    hub: Hub, live: LiveConnection, clocks: Any, eventually: Eventually
) -> None:
    chance = random.Random(4)
    job = live.subscribe("job:1")
    await job.subscribed()
    events: list[Event] = []

    async def listen() -> None:
        async for event in job:
            events.append(event)  # they are counted as they come

    listening = asyncio.create_task(listen())
    number = 0
    for _ in range(100):
        await hub.publish(*range(number, number + 5))
        number += 5
        hub.cut()
        await eventually(lambda: live.state is not LiveState.READY)
        await hub.publish(number)
        number += 1
        clocks.move(0.6)
        await eventually(lambda: live.state is LiveState.READY)
        clocks.move(31)  # so long that the next loss is as the first
        if chance.random() < 0.5:
            await job.subscribed()
    await eventually(lambda: len(events) >= number)
    job.unsubscribe()
    await listening
    assert [event.data for event in events] == list(range(number))
    assert not any(event.missed for event in events)


async def test_what_is_gone_for_good_is_told_in_its_place(
    hub: Hub, live: LiveConnection, clocks: Any, eventually: Eventually
) -> None:
    told: list[bool] = []
    job = live.subscribe("job:1")
    job.on("subscribed", lambda news: told.append(news.recovered))
    await job.subscribed()
    await hub.publish(1, 2)
    await eventually(lambda: job.position == Position("e1", 2))
    hub.restart()
    await eventually(lambda: live.state is LiveState.WAITING)
    await hub.publish(3)
    clocks.move(1)
    await eventually(lambda: told == [False, False])
    await hub.publish(4, 5)
    events = await took(job, 4)
    assert [(event.data, event.missed) for event in events] == [(1, False), (2, False), (4, True), (5, False)]


async def test_it_may_begin_from_a_position_as_after_a_return(hub: Hub, live: LiveConnection) -> None:
    await hub.publish(1, 2, 3)
    job = live.subscribe("job:1", since=Position("e1", 1))
    told: list[Any] = []
    job.on("subscribed", told.append)
    await hub.publish(4)
    assert [await anext(job) for _ in range(3)] == [Event("job:1", n, n) for n in (2, 3, 4)]
    assert [(news.fresh, news.recovered) for news in told] == [(False, True)]
    (asked,) = hub.of_type("subscribe")
    assert asked["since"] == {"epoch": "e1", "offset": 1}


@pytest.mark.parametrize("since", [Position("another", 1), Position("e1", 99), Position("e1", 0)])
async def test_what_came_after_the_position_that_it_begins_from_may_be_gone(
    hub: Hub, live: LiveConnection, since: Position
) -> None:
    hub.retention = Retention(size=2, seconds=3_600.0)
    await hub.publish(1, 2, 3)
    job = live.subscribe("job:1", since=since)
    told: list[Any] = []
    job.on("subscribed", told.append)
    await job.subscribed()
    assert [(news.fresh, news.recovered) for news in told] == [(False, False)]
    await hub.publish(4)
    first = await anext(job)
    assert first.missed
    rest = [first.offset]
    while rest[-1] < 4:
        rest.append((await anext(job)).offset)
    assert rest == list(range(rest[0], 5))


async def test_who_begins_before_where_the_others_are_reads_what_is_between_from_the_history(
    hub: Hub, live: LiveConnection
) -> None:
    await hub.publish(1)
    first = live.subscribe("job:1")
    await first.subscribed()
    await hub.publish(2, 3, 4)
    assert [(await anext(first)).offset for _ in range(3)] == [2, 3, 4]
    second = live.subscribe("job:1", since=Position("e1", 1))
    told: list[Any] = []
    second.on("subscribed", told.append)
    assert [await anext(second) for _ in range(3)] == [Event("job:1", n, n) for n in (2, 3, 4)]
    assert [(news.fresh, news.recovered) for news in told] == [(False, True)]
    await hub.publish(5)
    assert [(await anext(one)).offset for one in (first, second)] == [5, 5]
    assert len(hub.of_type("subscribe")) == 1


async def test_who_begins_from_another_life_of_the_channel_is_told_though_others_are_there(
    hub: Hub, live: LiveConnection
) -> None:
    await hub.publish(1)
    await live.subscribe("job:1").subscribed()
    late = live.subscribe("job:1", since=Position("another", 7))
    await late.subscribed()
    await hub.publish(2)
    assert await anext(late) == Event("job:1", 2, 2, missed=True)


async def test_a_slow_subscriber_holds_nobody_up_and_reads_on_from_the_history(
    hub: Hub, live: LiveConnection
) -> None:
    slow, fast = live.subscribe("job:1", queue=10), live.subscribe("job:1")
    await fast.subscribed()
    for start in range(0, 500, 100):
        await hub.publish(*range(start, start + 100))
        assert await read(fast, 100) == list(range(start, start + 100))
    events = await took(slow, 500)
    assert [event.data for event in events] == list(range(500))
    assert not any(event.missed for event in events)
    await hub.publish(500)
    assert await read(slow, 1) == [500]
    pages = [frame["limit"] for frame in hub.of_type("history")]
    assert set(pages) == {10}


async def test_a_subscriber_that_is_too_slow_for_the_history_is_told(hub: Hub, live: LiveConnection) -> None:
    hub.retention = Retention(size=20, seconds=60.0)
    slow, fast = live.subscribe("job:1", queue=10), live.subscribe("job:1")
    await fast.subscribed()
    await hub.publish(*range(100))
    await read(fast, 100)
    events = await took(slow, 30)
    assert [event.data for event in events] == [*range(10), *range(80, 100)]
    assert [event.data for event in events if event.missed] == [80]


async def test_a_slow_subscriber_where_history_is_refused_is_told(
    hub: Hub, live: LiveConnection, eventually: Eventually
) -> None:
    hub.refusals["history"] = "forbidden"
    slow, fast = live.subscribe("job:1", queue=2), live.subscribe("job:1")
    await fast.subscribed()
    await hub.publish(1, 2, 3, 4)
    await read(fast, 4)
    assert await read(slow, 2) == [1, 2]
    waiting = asyncio.create_task(took(slow, 1))
    await eventually(lambda: len(hub.of_type("history")) == 1)
    await live.presence("job:1")  # by now the refusal has been heard
    await hub.publish(5)
    assert [(event.data, event.missed) for event in await waiting] == [(5, True)]


async def test_a_slow_subscriber_waits_for_the_connection_to_read_on(
    hub: Hub, live: LiveConnection, clocks: Any, eventually: Eventually
) -> None:
    slow, fast = live.subscribe("job:1", queue=2), live.subscribe("job:1")
    await fast.subscribed()
    await hub.publish(*range(6))
    await read(fast, 6)
    hub.silent = True
    reading = asyncio.create_task(read(slow, 6))
    await eventually(lambda: len(hub.of_type("history")) == 1)
    hub.cut()
    await eventually(lambda: live.state is LiveState.WAITING)
    hub.silent = False
    clocks.move(1)
    assert await reading == list(range(6))


async def test_a_refusal_is_raised_once_and_the_next_token_may_open_it(
    hub: Hub, live: LiveConnection, eventually: Eventually
) -> None:
    hub.refusals["subscribe"] = "forbidden"
    job = live.subscribe("job:1")
    with pytest.raises(RequestError, match="forbidden: No") as refused:
        await job.subscribed()
    assert refused.value.refusal == "forbidden"
    assert job.state is SubscriptionState.REFUSED
    del hub.refusals["subscribe"]
    reading = asyncio.create_task(read(job, 1))
    await hub.prompt()
    await eventually(lambda: job.state is SubscriptionState.SUBSCRIBED)
    await hub.publish(1)
    assert await reading == [1]


async def test_a_right_that_is_taken_away_is_raised_and_comes_back_whole(
    hub: Hub, live: LiveConnection, eventually: Eventually
) -> None:
    job, other = live.subscribe("job:1"), live.subscribe("job:2")
    await job.subscribed()
    await other.subscribed()
    await hub.publish(1)
    await hub.end("job:1", "revoked")
    assert await read(job, 1) == [1]
    with pytest.raises(RequestError, match="revoked"):
        await anext(job)
    await hub.publish(2)
    await hub.publish(7, channel="job:2")
    assert await read(other, 1) == [7]
    await hub.prompt()
    await eventually(lambda: job.state is SubscriptionState.SUBSCRIBED)
    assert await read(job, 1) == [2]
    assert len(hub.lines) == 1


async def test_a_channel_that_is_closed_ends_the_iteration_after_what_was_left_to_read(
    hub: Hub, live: LiveConnection, eventually: Eventually
) -> None:
    job = live.subscribe("job:1")
    await job.subscribed()
    await hub.publish(1, 2)
    await hub.end("job:1", "channel_closed")
    await eventually(lambda: job.state is SubscriptionState.UNSUBSCRIBED)
    assert [event.data async for event in job] == [1, 2]
    job.unsubscribe()
    again = live.subscribe("job:1")
    await again.subscribed()
    await hub.publish(3)
    assert await read(again, 1) == [3]


async def test_a_connection_that_is_closed_ends_its_subscriptions(hub: Hub, signed_in: Session) -> None:
    async with signed_in.connect("/ws") as live:
        job = live.subscribe("job:1")
        await job.subscribed()
    assert [event async for event in job] == []
    late = live.subscribe("job:1")
    assert [event async for event in late] == []
    with pytest.raises(ClientError):
        await live.publish("job:1", 1)


async def test_an_ended_session_is_raised_and_a_new_sign_in_goes_on(
    hub: Hub, signed_in: Session, live: LiveConnection, server: Any, eventually: Eventually
) -> None:
    job = live.subscribe("job:1")
    await job.subscribed()
    server.refuse("/auth/refresh", "session_ended")
    for line in tuple(hub.lines):
        await line.end(4001, "Session ended: revoked.", "relogin")
    with pytest.raises(ClientError, match="sign in again"):
        await took(job, 1)
    await hub.publish(1)
    await signed_in.sign_in("ann", "right")
    await eventually(lambda: job.state is SubscriptionState.SUBSCRIBED)
    assert await read(job, 1) == [1]


async def test_somebody_else_begins_from_nothing(
    hub: Hub,
    signed_in: Session,
    live: LiveConnection,
    server: Any,
    eventually: Eventually,
    reply: Any,
) -> None:
    job = live.subscribe("job:1")
    await job.subscribed()
    await hub.publish(1, 2)
    assert await read(job, 1) == [1]
    await eventually(lambda: job.position == Position("e1", 2))
    grant = server.grant()
    grant["user"] = {"id": "u2", "name": "bob", "roles": []}
    server.reply("/token", reply(body=grant))
    await signed_in.sign_in("bob", "right")
    assert job.position is None
    await job.subscribed()
    assert "since" not in hub.of_type("subscribe")[-1]
    await hub.publish(3)
    assert [(event.data, event.missed) for event in await took(job, 1)] == [(3, True)]


async def test_somebody_else_does_not_begin_from_a_position_of_the_first(
    hub: Hub, signed_in: Session, live: LiveConnection, server: Any, eventually: Eventually, reply: Any
) -> None:
    hub.silent = True
    await hub.publish(1, 2, 3)
    job = live.subscribe("job:1", since=Position("e1", 1))
    told: list[Any] = []
    job.on("subscribed", told.append)
    await eventually(lambda: bool(hub.of_type("subscribe")))
    grant = server.grant()
    grant["user"] = {"id": "u2", "name": "bob", "roles": []}
    server.reply("/token", reply(body=grant))
    hub.silent = False
    await signed_in.sign_in("bob", "right")
    assert await job.subscribed() == Position("e1", 3)
    assert [(news.fresh, news.recovered) for news in told] == [(True, False)]
    await hub.publish(4)
    assert await anext(job) == Event("job:1", 4, 4)


async def test_requests_are_answered(hub: Hub, live: LiveConnection) -> None:
    assert await live.publish("job:1", 5, key="k") == Position("e1", 1)
    assert hub.of_type("publish")[0]["key"] == "k"
    await live.publish("job:1", 6)
    found = await live.history("job:1", since=Position("e1", 1), limit=10)
    assert (found.position, found.recovered) == (Position("e1", 2), True)
    assert found.publications == [Event("job:1", 2, 6)]
    assert [member.name for member in await live.presence("job:1")] == ["ann"]


async def test_a_refused_request_says_why(hub: Hub, live: LiveConnection) -> None:
    hub.refusals["publish"] = "forbidden"
    with pytest.raises(RequestError, match="forbidden: No") as refused:
        await live.publish("job:1", 1)
    assert refused.value.retry_after is None


async def test_an_answer_that_makes_no_sense_is_an_error(
    hub: Hub, live: LiveConnection, eventually: Eventually
) -> None:
    hub.silent = True
    publishing = asyncio.create_task(live.publish("job:1", 1))
    await eventually(lambda: len(hub.of_type("publish")) == 1)
    for line in hub.lines:
        await hub.tell(line, frames.Ok(hub.of_type("publish")[0]["id"], {"offset": "one"}))
    with pytest.raises(RequestError, match="no sense"):
        await publishing


async def test_a_request_that_was_lost_may_have_arrived(
    hub: Hub, live: LiveConnection, eventually: Eventually
) -> None:
    hub.silent = True
    publishing = asyncio.create_task(live.publish("job:1", 1))
    await eventually(lambda: len(hub.of_type("publish")) == 1)
    hub.cut()
    with pytest.raises(Unavailable, match="may or may not have arrived"):
        await publishing


async def test_a_request_that_waited_in_vain_is_not_sent_later(
    hub: Hub, live: LiveConnection, clocks: Any, eventually: Eventually
) -> None:
    hub.cut()
    await eventually(lambda: live.state is LiveState.WAITING)
    with pytest.raises(Unavailable, match="nothing was sent"):
        await live.publish("job:1", 1, timeout=0.01)
    given_up = asyncio.create_task(live.publish("job:1", 2))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    waiting = asyncio.create_task(live.publish("job:1", 3))
    await asyncio.sleep(0)
    clocks.move(1)
    await waiting
    assert [frame["data"] for frame in hub.of_type("publish")] == [3]


async def test_no_answer_in_time_says_that_it_may_have_arrived(hub: Hub, live: LiveConnection) -> None:
    hub.silent = True
    with pytest.raises(Unavailable, match="may or may not have arrived"):
        await live.publish("job:1", 1, timeout=0.1)


@pytest.mark.parametrize("data", [object(), float("nan"), "half \ud83d", "x" * 70_000])
async def test_what_cannot_be_sent_is_refused_here(hub: Hub, live: LiveConnection, data: object) -> None:
    with pytest.raises(MisuseError):
        await live.publish("job:1", data)
    assert live.state is LiveState.READY


async def test_presence_is_kept_up(hub: Hub, live: LiveConnection, eventually: Eventually) -> None:
    job = live.subscribe("job:1", presence=True)
    told: list[int] = []
    job.on("presence", lambda members: told.append(len(members)))
    await job.subscribed()
    assert hub.of_type("subscribe")[0]["presence"] is True
    bob = frames.Member("c2", "u2", "bob")
    for line in hub.lines:
        await hub.tell(line, frames.PresenceJoined("job:1", bob))
    await eventually(lambda: job.members == (bob,))
    for line in hub.lines:
        await hub.tell(line, frames.PresenceLeft("job:1", bob))
    await eventually(lambda: told == [1, 0])

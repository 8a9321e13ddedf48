"""What sockets do seldom: come while something is published, leave while something is decided, not keep up."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest

from holdfast.asgi.channel import Channel
from holdfast.asgi.clock import SystemRandom
from holdfast.asgi.hub import Hub
from holdfast.asgi.requests import WAITING_REQUESTS
from holdfast.asgi.rules import ChannelRule, Rules
from holdfast.brokers.memory import MemoryBroker
from holdfast.core.policy import LivePolicy, Retention
from holdfast.errors import TooLarge, Unavailable
from holdfast.protocol import endings
from holdfast.protocol.frames import Member, Position, Publication
from holdfast.testing.logs import capture_logs

DEADLINE = 20.0
KEPT = Retention(size=1000, seconds=600)


class SlowBroker(MemoryBroker):
    """The broker of memory as one that has to ask somebody: every verb waits before and after it."""

    instant = False

    def __getattribute__(self, name: str) -> Any:
        found = object.__getattribute__(self, name)
        if name not in (
            "publish",
            "subscribe",
            "unsubscribe",
            "recover",
            "history",
            "join",
            "leave",
            "presence",
        ):
            return found

        async def slowly(*given: Any, **named: Any) -> Any:
            for _ in range(random.randrange(3)):  # which interleaving is tried
                await asyncio.sleep(0)
            result = await found(*given, **named)
            for _ in range(random.randrange(3)):  # the same
                await asyncio.sleep(0)
            return result

        return slowly


def rules(*patterns: str, reader: Any = lambda user, **_: True, presence: bool = False) -> Rules:  # noqa: ARG005  # a rule's shape
    made = Rules(KEPT)
    for pattern in patterns or ("room:{id}",):
        rule = ChannelRule(pattern, reader, retention=KEPT, presence=presence)
        rule.publisher(reader)
        made.add(rule)
    return made


async def settled(socket: Any, count: int, kind: str = "event") -> list[dict[str, Any]]:
    await socket.until(lambda: sum(frame.get("type") == kind for frame in socket.frames()) >= count)
    return [frame for frame in socket.frames() if frame.get("type") == kind]


async def subscribed(socket: Any, channel: str = "room:1", **fields: Any) -> dict[str, Any]:
    socket.say({"type": "subscribe", "id": "s", "channel": channel, **fields})
    return (await settled(socket, 1, "subscribed"))[-1]


async def empty(hub: Hub) -> None:
    """Return once no channel has anybody here; the broker may have to be told first."""
    async with asyncio.timeout(DEADLINE):
        while len(hub):  # noqa: ASYNC110  # what is waited for is a number
            await asyncio.sleep(0)


@pytest.fixture(params=[MemoryBroker, SlowBroker])
async def rooms(request: pytest.FixtureRequest, make_node: Any) -> Any:
    node = make_node(broker=request.param(SystemRandom()), rules=rules(presence=True))
    await node.start()
    yield node
    await node.aclose()


async def test_p1_whenever_they_come_and_go_nobody_misses_doubles_or_reorders(rooms, live, fake_socket):
    """Publications at full speed while connections subscribe, unsubscribe and come back with their positions."""
    published: list[int] = []
    over = asyncio.Event()

    async def publish() -> None:
        for n in range(600):
            published.append((await rooms.hub.publish("room:1", json.dumps(n))).offset)
            if n % 3 == 0:
                await asyncio.sleep(0)
        over.set()

    async def follow() -> None:
        since: dict[str, Any] | None = None
        seen = 0
        first = None
        while not over.is_set() or seen < len(published):
            socket = fake_socket()
            async with live(rooms, socket):
                answer = await subscribed(socket, since=since)
                if since is None:
                    first = seen = answer["offset"]
                else:
                    assert answer["recovered"]
                for _ in range(random.randrange(1, 30)):  # which interleaving is tried
                    await asyncio.sleep(0)
                if over.is_set():
                    await caught_up(socket, len(published) - seen)
            for offset in got(socket):
                assert offset == seen + 1
                seen = offset
            since = {"epoch": answer["epoch"], "offset": seen}
        assert first is not None

    async def caught_up(socket: Any, count: int) -> None:
        await socket.until(lambda: len(got(socket)) >= count)

    def got(socket: Any) -> list[int]:
        return [frame["offset"] for frame in socket.frames() if frame.get("type") == "event"]

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(follow())
        group.create_task(publish())
    assert published == list(range(1, 601))
    await empty(rooms.hub)


async def test_nobody_is_left_in_a_channel_that_they_have_left(rooms, live, fake_socket):
    """A stale place would hand one person's events to whoever comes next."""
    leaver, stayer = fake_socket(), fake_socket()
    async with live(rooms, stayer):
        async with live(rooms, leaver):
            await subscribed(leaver)
            await subscribed(stayer)
            await rooms.hub.publish("room:1", "1")
            await settled(stayer, 1)
        count = len(leaver.sent)
        await rooms.hub.publish("room:1", "2")
        await settled(stayer, 2)
        assert len(leaver.sent) == count
        assert rooms.hub.subscriptions() == 1
    assert rooms.hub.subscriptions() == 0
    await empty(rooms.hub)


async def test_a_connection_that_ends_while_it_is_being_decided_leaves_nothing_behind(
    make_node, live, fake_socket
):
    asked, decided = asyncio.Event(), asyncio.Event()

    async def reader(user: Any, **_: str) -> bool:
        asked.set()
        await decided.wait()
        return True

    node = make_node(rules=rules(reader=reader))
    await node.start()
    socket = fake_socket()
    async with live(node, socket):
        socket.say({"type": "subscribe", "id": 1, "channel": "room:1"})
        socket.say({"type": "subscribe", "id": 2, "channel": "room:2"})
        await asyncio.wait_for(asked.wait(), DEADLINE)
    decided.set()
    await socket.until(lambda: len(node.hub.requests) == 0)
    await node.hub.publish("room:1", "1")
    await asyncio.sleep(0)
    assert [frame["type"] for frame in socket.frames()] == ["welcome"]
    assert len(node.hub) == 0
    await node.aclose()


async def test_requests_of_a_connection_are_answered_in_their_order(make_node, live, fake_socket):
    first_may_pass = asyncio.Event()

    async def reader(user: Any, id: str) -> bool:
        if id == "slow":
            await first_may_pass.wait()
        return True

    node = make_node(rules=rules(reader=reader))
    await node.start()
    socket = fake_socket()
    async with live(node, socket):
        socket.say({"type": "publish", "id": 1, "channel": "room:slow", "data": 1})
        socket.say({"type": "publish", "id": 2, "channel": "room:fast", "data": 2})
        socket.say({"type": "ping", "id": "not held up"})
        await settled(socket, 1, "pong")
        first_may_pass.set()
        assert [frame["id"] for frame in await settled(socket, 2, "ok")] == [1, 2]
    await node.aclose()


async def test_who_asks_faster_than_can_be_decided_is_told(make_node, live, fake_socket):
    async def reader(user: Any, **_: str) -> bool:
        await asyncio.Event().wait()
        return True

    node = make_node(rules=rules(reader=reader), policy=LivePolicy(max_frames_per_second=5000))
    await node.start()
    socket = fake_socket()
    async with live(node, socket):
        for n in range(WAITING_REQUESTS + 2):
            socket.say({"type": "history", "id": n, "channel": "room:1"})
        (error,) = await settled(socket, 1, "error")
        assert (error["code"], error["id"], error["retry_after_ms"]) == (
            "try_later",
            WAITING_REQUESTS + 1,
            1000,
        )
    await node.aclose()


async def test_p9_somebody_who_stalls_is_cut_off_and_holds_nobody_up(make_node, live, fake_socket):
    node = make_node(rules=rules(), policy=LivePolicy(max_backlog_bytes=2000))
    await node.start()
    stalled, healthy = fake_socket(), fake_socket()
    async with live(node, stalled), live(node, healthy):
        await subscribed(stalled)
        await subscribed(healthy)
        stalled.flowing.clear()
        for n in range(40):
            await node.hub.publish("room:1", json.dumps("x" * 100))
            assert len(await settled(healthy, n + 1)) == n + 1
        await stalled.until(lambda: stalled.sent[-1]["type"] == "websocket.close")
        assert stalled.sent[-1]["code"] == 4008
        assert node.hub.subscriptions() == 1
    await node.aclose()


@pytest.mark.parametrize("extra", range(0, 160, 10))
async def test_who_is_cut_off_by_the_answer_to_a_subscription_is_in_no_list_any_more(
    make_node, live, fake_socket, extra
):
    """With ever more before it, so that each of the frames is once the one too many."""
    node = make_node(rules=rules(presence=True), policy=LivePolicy(max_backlog_bytes=2000))
    await node.start()
    stalled, healthy = fake_socket(), fake_socket()
    async with live(node, healthy), live(node, stalled):
        await subscribed(healthy)
        stalled.flowing.clear()
        with capture_logs() as logs:
            stalled.say({"type": "ping", "id": "held up"})
            stalled.say({"type": "unsubscribe", "id": "x" * 60, "channel": "room:1"})
            stalled.say({"type": "publish", "id": 1, "channel": "c" * (extra + 1), "data": 1})
            for n in range(40):
                stalled.say({"type": "subscribe", "id": n, "channel": "room:1", "presence": True})
                stalled.say({"type": "unsubscribe", "id": n, "channel": "room:1"})
            await stalled.until(stalled.incoming.empty)
            await stalled.until(lambda: node.hub.subscriptions() == 1)
        assert not [line for line in logs if line["event"] == "channel request failed"]
        assert not node.hub._channels["room:1"].watchers
        stalled.flowing.set()
    await node.aclose()


async def test_a_channel_that_cannot_be_sent_keeps_no_other_from_its_subscribers(
    make_node, live, fake_socket, monkeypatch
):
    burst = Channel.burst

    def fails(channel: Channel, *given: Any, **named: Any) -> Any:
        if channel.name == "room:bad":
            raise UnicodeError("on purpose")
        return burst(channel, *given, **named)

    monkeypatch.setattr(Channel, "burst", fails)
    node = make_node(rules=rules())
    await node.start()
    socket = fake_socket()
    async with live(node, socket):
        await subscribed(socket, "room:bad")
        socket.say({"type": "subscribe", "id": "t", "channel": "room:good"})
        await settled(socket, 2, "subscribed")
        with capture_logs() as logs:
            for n in (1, 2, 3):
                await node.hub.publish("room:bad", "1")
                await node.hub.publish("room:good", "1")
                assert [frame["offset"] for frame in await settled(socket, n)] == list(range(1, n + 1))
        assert [line["channel"] for line in logs if line.get("exc_info")] == ["room:bad"] * 3
    await node.aclose()


async def test_a_key_is_its_users_own_whatever_is_in_it(make_node, live, fake_socket):
    node = make_node(rules=rules())
    await node.start()
    ann, other = fake_socket(query="token=ann"), fake_socket(query="token=ann%20b")
    async with live(node, ann), live(node, other):
        ann.say({"type": "publish", "id": 1, "channel": "room:1", "data": 1, "key": "b c"})
        other.say({"type": "publish", "id": 1, "channel": "room:1", "data": 1, "key": "c"})
        offsets = {(await settled(socket, 1, "ok"))[0]["result"]["offset"] for socket in (ann, other)}
        assert offsets == {1, 2}
    await node.aclose()


async def test_a_loop_that_publishes_much_lets_its_subscribers_have_it_meanwhile(
    make_node, live, fake_socket
):
    """A broker that answers at once gives the event loop no turn, and all of it would be a backlog at the end."""
    node = make_node(rules=rules(), policy=LivePolicy(max_backlog_bytes=800_000))
    await node.start()
    socket = fake_socket()
    async with live(node, socket):
        await subscribed(socket)
        waiting = []
        for n in range(400):
            await node.hub.publish("room:1", json.dumps("x" * 2_000))
            waiting.append(n + 1 - sum(frame["type"] == "event" for frame in socket.frames()))
        assert max(waiting) < 100
        assert len(await settled(socket, 400)) == 400
    await node.aclose()


async def test_a_publication_that_would_fill_a_backlog_alone_is_refused(make_node, live, fake_socket):
    node = make_node(rules=rules(), policy=LivePolicy(max_backlog_bytes=400))
    await node.start()
    socket = fake_socket()
    async with live(node, socket):
        await subscribed(socket)
        for request, data in enumerate(("x" * 98, "x" * 99, "ы" * 49, "ы" * 50)):
            socket.say({"type": "publish", "id": request, "channel": "room:1", "data": data})
        errors = await settled(socket, 2, "error")
        assert [(error["id"], error["code"]) for error in errors] == [(1, "too_large"), (3, "too_large")]
        assert "100 bytes" in errors[0]["message"]
        assert [frame["data"] for frame in await settled(socket, 2)] == ["x" * 98, "ы" * 49]
        with pytest.raises(TooLarge, match="HOLDFAST_MAX_BACKLOG_BYTES"):
            await node.hub.publish("room:1", json.dumps("x" * 99))
    await node.aclose()


@pytest.mark.parametrize(
    ("most", "data"), [(200_000, "x" * 49_000), (65_536, "ы" * 500), (65_536, "x" * 16_000)]
)
async def test_what_was_missed_is_sent_no_faster_than_it_is_taken(make_node, live, fake_socket, most, data):
    """Or whoever missed more than may wait for one connection could never come back."""
    node = make_node(rules=rules(), policy=LivePolicy(max_backlog_bytes=most))
    await node.start()
    count = 2 * most // len(data)
    for _ in range(count):
        position = await node.hub.publish("room:1", json.dumps(data, ensure_ascii=False))
    socket = fake_socket()
    socket.slowness = 1
    async with live(node, socket) as connection:
        since = {"epoch": position.epoch, "offset": 0}
        answer = await subscribed(socket, since=since)
        assert answer["recovered"]
        await node.hub.publish("room:1", '"the newest"')
        offsets = [frame["offset"] for frame in await settled(socket, count + 1)]
        assert offsets == list(range(1, count + 2))
        assert connection.state == "ready"
    await node.aclose()


async def test_a_broker_that_is_away_is_told_and_nothing_is_half_done(make_node, live, fake_socket):
    broker = MemoryBroker(SystemRandom())
    node = make_node(broker=broker, rules=rules())
    await node.start()

    async def away(*_: Any, **__: Any) -> Any:
        raise Unavailable("the broker does not answer")

    socket = fake_socket()
    async with live(node, socket):
        recover, broker.recover = broker.recover, away
        socket.say({"type": "subscribe", "id": 1, "channel": "room:1"})
        (error,) = await settled(socket, 1, "error")
        assert (error["code"], error["id"]) == ("try_later", 1)
        assert error["message"].endswith("cannot be reached just now; send this again later")
        broker.recover = recover
        assert (await subscribed(socket))["offset"] == 0
    await node.aclose()


async def test_a_broker_that_has_lost_its_place_has_everybody_start_over(rooms, live, fake_socket):
    socket, plain = fake_socket(), fake_socket(v1=False)
    async with live(rooms, socket), live(rooms, plain):
        await subscribed(socket)
        rooms.hub.lost("room:1", Position("another life", 7))
        frames = await settled(socket, 2, "subscribed")
        assert frames[-1] == {
            "type": "subscribed",
            "channel": "room:1",
            "epoch": "another life",
            "offset": 7,
            "recovered": False,
            "positioned": True,
        }


async def test_a_rule_that_fails_at_a_renewal_gives_no_right(make_node, live, fake_socket):
    fails: list[bool] = []

    def reader(user: Any, **_: str) -> bool:
        if fails:
            raise RuntimeError("the database is away")
        return True

    node = make_node(rules=rules(reader=reader))
    await node.start()
    socket = fake_socket()
    async with live(node, socket) as connection:
        await subscribed(socket)
        fails.append(True)
        socket.say({"type": "auth", "id": 1, "token": "ann"})
        (gone,) = await settled(socket, 1, "unsubscribed")
        assert gone["reason"] == "revoked"
        await node.hub.publish("room:1", "1")
        await asyncio.sleep(0)
        assert "event" not in [frame["type"] for frame in socket.frames()]
        assert connection.state == "ready"
    await node.aclose()


async def test_who_died_without_a_word_is_not_present_for_ever(make_node, clock, live, fake_socket):
    """A node that runs says so again and again."""
    node = make_node(rules=rules(presence=True))
    await node.start()
    socket = fake_socket()
    async with live(node, socket):
        await subscribed(socket)
        for _ in range(10):
            await clock.advance(20)
            socket.say({"type": "auth", "token": "ann"})
            await socket.until(socket.incoming.empty)
        assert [member.user for member in await node.hub.presence("room:1")] == ["ann"]
    assert await node.hub.presence("room:1") == []
    await node.aclose()


async def test_somebody_banned_while_a_rule_decides_publishes_nothing_any_more(make_node, live, fake_socket):
    asked, decided = asyncio.Event(), asyncio.Event()

    async def reader(user: Any, **_: str) -> bool:
        asked.set()
        await decided.wait()
        return True

    node = make_node(rules=rules(reader=reader))
    await node.start()
    socket = fake_socket()
    async with live(node, socket) as connection:
        socket.say({"type": "publish", "id": 1, "channel": "room:1", "data": "from beyond"})
        await asyncio.wait_for(asked.wait(), DEADLINE)
        node.connections.get(connection.id).end(endings.REVOKED)
        decided.set()
        await socket.until(lambda: len(node.hub.requests) == 0)
        assert (await node.hub.history("room:1", None, limit=10)).publications == ()
    await node.aclose()


async def test_a_right_is_decided_by_the_newest_proof_however_long_the_rule_takes(
    make_node, live, fake_socket
):
    """A renewal while the rule is asked would otherwise leave the right of the token before it in force."""
    asked, decided = asyncio.Event(), asyncio.Event()

    async def reader(user: Any, **_: str) -> bool:
        if user.session == "old":
            asked.set()
            await decided.wait()
        return user.session == "old"

    node = make_node(rules=rules(reader=reader))
    await node.start()
    socket = fake_socket(query="token=ann:old")
    async with live(node, socket):
        socket.say({"type": "subscribe", "id": 1, "channel": "room:1"})
        await asyncio.wait_for(asked.wait(), DEADLINE)
        socket.say({"type": "auth", "token": "ann:new"})
        await settled(socket, 1, "auth.ok")
        decided.set()
        (error,) = await settled(socket, 1, "error")
        assert error["code"] == "forbidden"
        assert node.hub.subscriptions() == 0
    await node.aclose()


async def test_a_renewal_that_is_refused_asks_no_rule(make_node, live, fake_socket):
    """Or anybody could have them run as often as they like."""
    asked = []
    node = make_node(rules=rules(reader=lambda user, **_: asked.append(user) is None))
    await node.start()
    socket = fake_socket()
    async with live(node, socket):
        await subscribed(socket)
        socket.say({"type": "auth", "id": 1, "token": "bad"})
        await settled(socket, 1, "error")
        assert len(asked) == 1
    await node.aclose()


async def asked(socket: Any, kind: str, channel: str = "room:1", **fields: Any) -> dict[str, Any]:
    """The result of a request."""
    count = sum(frame.get("type") == "ok" for frame in socket.frames())
    socket.say({"type": kind, "id": count, "channel": channel, **fields})
    result: dict[str, Any] = (await settled(socket, count + 1, "ok"))[-1]["result"]
    return result


async def test_the_keys_of_one_person_are_not_those_of_another(make_node, live, fake_socket):
    """Or somebody could swallow what others are going to publish by guessing their keys."""
    node = make_node(rules=rules())
    await node.start()
    ann, bob = fake_socket(), fake_socket(query="token=bob")
    async with live(node, ann), live(node, bob):
        assert (await asked(ann, "publish", data=1, key="k"))["offset"] == 1
        assert (await asked(bob, "publish", data=2, key="k"))["offset"] == 2
        assert (await asked(ann, "publish", data=1, key="k"))["offset"] == 1
    await node.aclose()


async def test_a_large_history_is_told_in_parts_that_a_connection_can_take(make_node, live, fake_socket):
    node = make_node(rules=rules())
    await node.start()
    for _ in range(20):
        await node.hub.publish("room:1", json.dumps("x" * 60_000))
    socket = fake_socket()
    async with live(node, socket) as connection:
        newest = await asked(socket, "history", limit=20)
        offsets = [one["offset"] for one in newest["publications"]]
        assert offsets == list(range(21 - len(offsets), 21))
        assert 1 < len(offsets) < 20
        since = {"epoch": newest["epoch"], "offset": 0}
        oldest = await asked(socket, "history", since=since, limit=20)
        assert [one["offset"] for one in oldest["publications"]] == list(range(1, len(offsets) + 1))
        assert connection.state == "ready"
    await node.aclose()


class Waiting(MemoryBroker):
    """A broker whose `recover` waits until the test lets it."""

    instant = False

    def __init__(self) -> None:
        super().__init__(SystemRandom())
        self.asked, self.may_answer = asyncio.Event(), asyncio.Event()

    async def recover(self, *given: Any, **named: Any) -> Any:
        history = await super().recover(*given, **named)
        self.asked.set()
        await self.may_answer.wait()
        return history


async def test_a_place_that_the_broker_lost_while_somebody_was_coming_is_told_to_them_too(
    make_node, live, fake_socket
):
    broker = Waiting()
    node = make_node(broker=broker, rules=rules())
    await node.start()
    socket = fake_socket()
    async with live(node, socket):
        socket.say({"type": "subscribe", "id": 1, "channel": "room:1"})
        await asyncio.wait_for(broker.asked.wait(), DEADLINE)
        node.hub.lost("room:1", Position("another life", 7))
        broker.may_answer.set()
        frames = await settled(socket, 2, "subscribed")
        assert (frames[-1]["epoch"], frames[-1]["offset"]) == ("another life", 7)
        node.hub.published("room:1", Publication(8, '"next"'), "another life")
        assert [frame["offset"] for frame in await settled(socket, 1)] == [8]
    await node.aclose()


async def test_what_is_kept_for_who_is_coming_is_bounded_in_bytes(make_node, live, fake_socket):
    broker = Waiting()
    node = make_node(broker=broker, rules=rules(), policy=LivePolicy(max_backlog_bytes=2_000))
    await node.start()
    socket = fake_socket()
    async with live(node, socket) as connection:
        socket.say({"type": "subscribe", "id": 1, "channel": "room:1"})
        await asyncio.wait_for(broker.asked.wait(), DEADLINE)
        for n in range(10):  # of 202 bytes each, and 102 characters
            assert connection.state == "ready", n
            await node.hub.publish("room:1", json.dumps("ы" * 100, ensure_ascii=False))
        assert connection.state == "ended"
        broker.may_answer.set()
        await socket.until(lambda: socket.sent[-1]["type"] == "websocket.close")
        assert socket.sent[-1]["code"] == 4008
    await node.aclose()


async def test_who_is_coming_when_a_pause_was_too_long_is_there_too(make_node, clock, live, fake_socket):
    broker = Waiting()
    node = make_node(broker=broker, rules=rules(presence=True))
    node.prover.lifetime = 100_000
    await node.start()
    socket = fake_socket(v1=False, query="token=ann&channel=room:1")
    async with live(node, socket):
        await asyncio.wait_for(broker.asked.wait(), DEADLINE)
        clock.set(clock.now() + 3_600)
        assert await node.hub.presence("room:1") == []
        await clock.advance(1)
        async with asyncio.timeout(DEADLINE):
            while not await node.hub.presence("room:1"):  # noqa: ASYNC110  # what is waited for is a list
                await asyncio.sleep(0)
        broker.may_answer.set()
        await socket.until(node.hub.subscriptions)
    await node.aclose()


async def test_a_plain_socket_that_was_proven_before_its_accept_has_its_channels_too(
    make_node, live, fake_socket
):
    node = make_node(rules=rules(), refuse_over_http=True)
    await node.start()
    socket = fake_socket(v1=False, query="token=ann&channel=room:1")
    async with live(node, socket) as connection:
        assert node.hub.channels_of(node.connections.get(connection.id)) == ["room:1"]
    await node.aclose()


async def test_a_history_is_told_in_smaller_parts_where_less_may_wait(make_node, live, fake_socket):
    node = make_node(rules=rules(), policy=LivePolicy(max_backlog_bytes=65_536))
    await node.start()
    for _ in range(5):
        await node.hub.publish("room:1", json.dumps("x" * 16_000))
    socket = fake_socket()
    async with live(node, socket):
        newest = await asked(socket, "history", limit=5)
        assert [one["offset"] for one in newest["publications"]] == [4, 5]
    await node.aclose()


async def test_who_comes_while_somebody_else_is_coming_is_told_to_them(make_node, live, fake_socket):
    broker = Waiting()
    node = make_node(broker=broker, rules=rules(presence=True))
    await node.start()
    ann, bob = fake_socket(), fake_socket(query="token=bob")
    async with live(node, ann), live(node, bob):
        ann.say({"type": "subscribe", "id": 1, "channel": "room:1", "presence": True})
        await asyncio.wait_for(broker.asked.wait(), DEADLINE)
        bob.say({"type": "subscribe", "id": 1, "channel": "room:1"})
        member = Member("elsewhere", "carl", "Carl")
        await broker.join("room:1", member, now=0)
        broker.may_answer.set()
        came = await settled(ann, 1, "presence.join")
        kinds = [frame["type"] for frame in ann.frames()]
        assert kinds.index("subscribed") < kinds.index("presence.join")
        assert "carl" in [frame["user"] for frame in came]
    await node.aclose()


async def test_after_a_pause_that_was_too_long_those_who_are_there_join_again(
    make_node, clock, live, fake_socket
):
    """A machine that was suspended: its node counts as gone, and its connections may not be."""
    broker = MemoryBroker(SystemRandom())
    node = make_node(broker=broker, rules=rules(presence=True))
    node.prover.lifetime = 100_000
    await node.start()
    socket = fake_socket(v1=False, query="token=ann&channel=room:1")
    async with live(node, socket):
        await socket.until(node.hub.subscriptions)
        assert len(await node.hub.presence("room:1")) == 1
        clock.set(clock.now() + 3_600)
        assert await node.hub.presence("room:1") == []
        await clock.advance(1)
        assert [member.user for member in await node.hub.presence("room:1")] == ["ann"]
    await node.aclose()

"""What happens to a subscription while the broker, which is somewhere else, is still being told of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from holdfast.asgi.clock import SystemRandom
from holdfast.asgi.rules import ChannelRule, Rules
from holdfast.brokers.memory import MemoryBroker
from holdfast.core.policy import Retention
from holdfast.protocol import endings

DEADLINE = 20.0
KEPT = Retention(size=100, seconds=600)


class HeldBroker(MemoryBroker):
    """The broker of memory, each verb of which waits while it is held: before it has done anything."""

    instant = False

    def __init__(self) -> None:
        super().__init__(SystemRandom())
        self._held: dict[str, tuple[asyncio.Event, asyncio.Event]] = {}

    def hold(self, verb: str) -> None:
        self._held[verb] = asyncio.Event(), asyncio.Event()

    async def asked(self, verb: str) -> None:
        """Return once somebody waits for this verb."""
        await asyncio.wait_for(self._held[verb][0].wait(), DEADLINE)

    def let_go(self, verb: str) -> None:
        self._held.pop(verb)[1].set()

    def __getattribute__(self, name: str) -> Any:
        found = object.__getattribute__(self, name)
        if name not in ("subscribe", "unsubscribe", "recover", "join", "leave"):
            return found

        async def when_let(*given: Any, **named: Any) -> Any:
            held = self._held.get(name)
            if held is not None:
                held[0].set()
                await held[1].wait()
            return await found(*given, **named)

        return when_let

    def is_subscribed(self) -> bool:
        return bool(self._memory._subscribers)


class Door:
    """What the rule of the tests says: no to a session that is banned, and to everybody while it is shut."""

    def __init__(self) -> None:
        self.is_open = True

    async def lets_in(self, user: Any, **_: str) -> bool:
        return self.is_open and user.session != "banned"


@pytest.fixture
def broker() -> HeldBroker:
    return HeldBroker()


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
async def node(make_node, broker, door):
    rules = Rules(KEPT)
    rules.add(ChannelRule("room:{id}", door.lets_in, retention=KEPT, presence=True))
    made = make_node(broker=broker, rules=rules)
    await made.start()
    yield made
    await made.aclose()


async def frames(socket: Any, kind: str, count: int = 1) -> list[dict[str, Any]]:
    await socket.until(lambda: sum(frame.get("type") == kind for frame in socket.frames()) >= count)
    return [frame for frame in socket.frames() if frame.get("type") == kind]


def subscribe(socket: Any, request: str = "s") -> None:
    socket.say({"type": "subscribe", "id": request, "channel": "room:1"})


async def nobody_is_left(node: Any, broker: HeldBroker) -> None:
    async with asyncio.timeout(DEADLINE):
        # What is waited for is in three places.
        while len(node.hub) or broker.is_subscribed() or await node.hub.presence("room:1"):  # noqa: ASYNC110  # see above
            await asyncio.sleep(0)


@pytest.mark.parametrize("verb", ["subscribe", "join", "recover"])
async def test_who_goes_while_the_broker_is_told_leaves_nothing_behind(node, broker, live, fake_socket, verb):
    broker.hold(verb)
    socket = fake_socket()
    async with live(node, socket):
        subscribe(socket)
        await broker.asked(verb)
    broker.let_go(verb)
    await nobody_is_left(node, broker)


@pytest.mark.parametrize("verb", ["subscribe", "join", "recover"])
async def test_who_loses_the_right_while_the_broker_is_told_is_answered_and_hears_nothing(
    node, broker, live, fake_socket, verb
):
    broker.hold(verb)
    socket = fake_socket()
    async with live(node, socket):
        subscribe(socket)
        await broker.asked(verb)
        socket.say({"type": "auth", "id": "a", "token": "ann:banned"})
        await frames(socket, "unsubscribed")
        broker.let_go(verb)
        (error,) = await frames(socket, "error")
        assert (error["id"], error["code"]) == ("s", "forbidden")
        await node.hub.publish("room:1", "1")
        await nobody_is_left(node, broker)
        assert "event" not in [frame["type"] for frame in socket.frames()]


@pytest.mark.parametrize("how", ["a token", "the app"])
async def test_who_loses_the_right_while_the_channel_is_let_go_does_not_come_in(
    node, broker, door, live, fake_socket, how
):
    broker.hold("unsubscribe")
    socket = fake_socket()
    async with live(node, socket) as connection:
        subscribe(socket)
        await frames(socket, "subscribed")
        socket.say({"type": "unsubscribe", "id": "u", "channel": "room:1"})
        await broker.asked("unsubscribe")
        subscribe(socket, "again")
        if how == "a token":
            socket.say({"type": "auth", "id": "a", "token": "ann:banned"})
            await frames(socket, "auth.ok")
        else:
            socket.say({"type": "ping", "id": "the rule has been asked"})
            await frames(socket, "pong")
            for _ in range(10):
                await asyncio.sleep(0)
            door.is_open = False
            node.hub.recheck(node.connections.get(connection.id))
        broker.let_go("unsubscribe")
        (error,) = await frames(socket, "error")
        assert (error["id"], error["code"]) == ("again", "forbidden")
        await nobody_is_left(node, broker)


async def test_who_comes_back_at_once_is_present_however_late_the_leave_is(node, broker, live, fake_socket):
    broker.hold("leave")
    socket = fake_socket()
    async with live(node, socket):
        subscribe(socket)
        await frames(socket, "subscribed")
        socket.say({"type": "unsubscribe", "id": "u", "channel": "room:1"})
        await broker.asked("leave")
        subscribe(socket, "again")
        broker.let_go("leave")
        await frames(socket, "subscribed", 2)
        assert [member.user for member in await node.hub.presence("room:1")] == ["ann"]
    await nobody_is_left(node, broker)


async def test_a_channel_stays_while_the_broker_is_told_of_another_newcomer(node, broker, live, fake_socket):
    broker.hold("join")
    first, second = fake_socket(), fake_socket()
    async with live(node, first) as one, live(node, second):
        subscribe(first)
        await broker.asked("join")
        subscribe(second)
        node.connections.get(one.id).end(endings.REVOKED)
        broker.let_go("join")
        await frames(second, "subscribed")
        await node.hub.publish("room:1", "1")
        assert [event["offset"] for event in await frames(second, "event")] == [1]
    await nobody_is_left(node, broker)

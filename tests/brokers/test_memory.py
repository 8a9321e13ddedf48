"""`MemoryBroker` keeps every promise of the port, and no more in memory than it must."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from holdfast.brokers import Memory, MemoryBroker
from holdfast.brokers.memory import FORGET_SECONDS, PAUSE
from holdfast.core.policy import Retention
from holdfast.ports import Broker
from holdfast.protocol.frames import Member, Position, Publication
from holdfast.testing.broker_suite import BrokerSuite
from holdfast.testing.broker_suite.nodes import ANN, CHANNEL, KEPT, NOW, OTHER, Node, Told


class CountingRandom:
    """Every token is another, and none is a secret."""

    def __init__(self) -> None:
        self.drawn = 0

    def token(self, nbytes: int) -> bytes:
        self.drawn += 1
        return self.drawn.to_bytes(nbytes, "big")

    def unit(self) -> float:
        return 0.5


class TestMemory(BrokerSuite):
    @pytest.fixture
    async def brokers(self) -> AsyncIterator[tuple[Broker, Broker]]:
        random = CountingRandom()
        memory = Memory(random)
        pair = MemoryBroker(random, memory), MemoryBroker(random, memory)
        yield pair
        for broker in pair:
            await broker.aclose()


@pytest.fixture
async def node() -> Node:
    broker, told = MemoryBroker(CountingRandom()), Told()
    await broker.start(told)
    return Node(broker, told)


async def published(
    node: Node, channel: str = CHANNEL, *, after: float, retention: Retention = KEPT
) -> Position:
    return await node.publish(channel=channel, after=after, retention=retention)


async def test_two_brokers_know_nothing_of_each_other(node: Node) -> None:
    other = Node(MemoryBroker(CountingRandom()), Told())
    await other.broker.start(other.told)
    await other.subscribe()
    await node.publish()
    assert other.told.publications == []
    assert (await other.publish()).offset == 1


class Leaving(Told):
    """Unsubscribes its node as soon as it is told anything, as a hub does whose only subscriber overflows."""

    def __init__(self, memory: Memory) -> None:
        super().__init__()
        self.node = MemoryBroker(CountingRandom(), memory)
        self._memory = memory

    def published(self, channel: str, publication: Publication, epoch: str) -> None:
        super().published(channel, publication, epoch)
        self._memory.unsubscribe(self.node, channel, NOW)

    def joined(self, channel: str, member: Member) -> None:
        super().joined(channel, member)
        self._memory.unsubscribe(self.node, channel, NOW)

    def left(self, channel: str, member: Member) -> None:
        super().left(channel, member)
        self._memory.unsubscribe(self.node, channel, NOW)


@pytest.mark.parametrize("what", ["published", "joined", "left"])
async def test_a_node_that_unsubscribes_when_it_is_told_takes_nothing_from_the_next(what: str) -> None:
    memory = Memory(CountingRandom())
    leaving, staying = Leaving(memory), Told()
    next_one = MemoryBroker(CountingRandom(), memory)
    await leaving.node.start(leaving)
    await next_one.start(staying)
    if what == "left":
        await next_one.join(CHANNEL, ANN, now=NOW)
    await leaving.node.subscribe(CHANNEL, now=NOW)
    await next_one.subscribe(CHANNEL, now=NOW)
    if what == "published":
        await next_one.publish(CHANNEL, "1", retention=KEPT, now=NOW)
    elif what == "joined":
        await next_one.join(CHANNEL, ANN, now=NOW)
    else:
        await next_one.leave(CHANNEL, ANN.connection, now=NOW)
    await next_one.publish(CHANNEL, "2", retention=KEPT, now=NOW)
    assert len(leaving.publications) + len(leaving.comings) == 1
    assert len(staying.publications) + len(staying.comings) == 2


async def test_another_life_of_the_process_has_other_epochs() -> None:
    random = CountingRandom()
    epochs = set()
    for _ in range(2):
        broker = MemoryBroker(random)
        await broker.start(Told())
        epochs.add((await Node(broker, Told()).publish()).epoch)
    assert len(epochs) == 2


@pytest.mark.parametrize(("after", "known"), [(-1, True), (0, False), (1, False)])
async def test_an_idle_channel_is_forgotten_and_begins_another_life(
    node: Node, after: float, known: bool
) -> None:
    first = await published(node, after=0)
    await published(node, OTHER, after=FORGET_SECONDS + after)
    again = await published(node, after=FORGET_SECONDS + after)
    assert (again.epoch == first.epoch, again.offset) == (known, 2 if known else 1)
    assert (await node.recover(first, after=FORGET_SECONDS + after)).recovered is known


async def test_a_channel_that_keeps_something_is_not_forgotten(node: Node) -> None:
    forever = Retention(size=1, seconds=10 * FORGET_SECONDS)
    first = await published(node, after=0, retention=forever)
    for _ in range(3):
        await published(node, OTHER, after=2 * FORGET_SECONDS)
    again = await published(node, after=2 * FORGET_SECONDS, retention=forever)
    assert again == Position(first.epoch, 2)


async def test_a_channel_with_subscribers_is_not_forgotten(node: Node) -> None:
    await node.subscribe()
    first = await published(node, after=0)
    for _ in range(3):
        await published(node, OTHER, after=2 * FORGET_SECONDS)
    assert await published(node, after=2 * FORGET_SECONDS) == Position(first.epoch, 2)


async def test_a_subscriber_of_an_empty_channel_keeps_its_epoch(node: Node) -> None:
    await node.subscribe()
    before = (await node.recover(None)).position
    await published(node, OTHER, after=0)
    for _ in range(3):
        await published(node, "job:44", after=2 * FORGET_SECONDS)
    assert (await node.recover(None, channel=OTHER)).position.epoch != before.epoch
    assert await published(node, after=2 * FORGET_SECONDS) == Position(before.epoch, 1)


async def test_asking_about_channels_costs_no_memory(node: Node) -> None:
    memory = node.broker._memory
    for number in range(100):
        channel = f"made-up:{number}"
        await node.subscribe(channel)
        await node.recover(None, channel=channel)
        await node.history(channel=channel)
        await node.presence(channel=channel)
        await node.broker.unsubscribe(channel, now=NOW)
    assert not memory._streams
    assert not memory._subscribers
    assert not memory._members


async def test_forgetting_keeps_up_with_many_channels(node: Node) -> None:
    for number in range(1_000):
        await published(node, f"job:{number}", after=0)
    for look in range(501):
        await published(node, after=FORGET_SECONDS + look * 2 * PAUSE)
    assert len(node.broker._memory._streams) == 1


async def test_forgetting_keeps_up_with_channels_that_all_come_at_once(node: Node) -> None:
    for number in range(1_000):
        await published(node, f"job:{number}", after=0)
    for number in range(1_000):
        await published(node, f"late:{number}", after=FORGET_SECONDS)
    assert len(node.broker._memory._streams) == 1_000


async def test_forgetting_goes_on_when_the_clock_is_set_back(node: Node) -> None:
    for number in range(10):
        await published(node, f"job:{number}", after=0)
    await published(node, after=9 * FORGET_SECONDS)
    for look in range(6):
        await published(node, after=2 * FORGET_SECONDS + look * 2 * PAUSE)
    assert len(node.broker._memory._streams) == 1


def test_a_broker_says_what_it_is() -> None:
    assert repr(MemoryBroker(CountingRandom())) == "MemoryBroker()"


async def test_what_is_forgotten_weighs_nothing_any_more() -> None:
    memory = Memory(CountingRandom())
    broker = MemoryBroker(CountingRandom(), memory)
    await broker.start(Told())
    for n in range(20):
        await broker.publish(f"room:{n}", '"xyz"', retention=KEPT, now=NOW, key="k")
    full = memory.weight
    later = NOW + KEPT.seconds
    for n in range(20):
        await broker.recover(f"room:{n}", None, now=later)
    assert memory.weight < full
    for look in range(40):
        now = later + FORGET_SECONDS + look * 2 * PAUSE
        await broker.publish(OTHER, "1", retention=Retention(), now=now)
    assert memory.weight < full / 10

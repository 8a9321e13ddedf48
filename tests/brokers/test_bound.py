"""Past the bound whoever fills the memory pushes out their own, and what is left is the truth."""

from __future__ import annotations

import pytest

from holdfast.asgi.clock import SystemRandom
from holdfast.brokers import Memory, MemoryBroker
from holdfast.brokers.bound import SMALL, STREAM_WEIGHT
from holdfast.brokers.memory import PAUSE
from holdfast.core.channel import KEY_SECONDS
from holdfast.core.policy import Retention
from holdfast.protocol.frames import Position
from holdfast.testing.broker_suite.nodes import NOW, Node, Told, offsets

MOST = 300_000
KEPT = Retention(size=1_000, seconds=3_600.0)
ROOM, NEWS = "room:hall", "news"


class Full(Node):
    """A node whose memory is looked at after each thing that it does."""

    def __init__(self) -> None:
        self.memory = Memory(SystemRandom(), most_bytes=MOST)
        super().__init__(MemoryBroker(SystemRandom(), self.memory), Told())

    async def say(
        self, channel: str, count: int = 1, *, size: int = 100, after: float = 0, key: str | None = None
    ) -> Position:
        for _ in range(count):
            position = await self.publish(
                f'"{"x" * size}"', channel=channel, retention=KEPT, after=after, key=key
            )
            assert self.memory.weight <= MOST
        return position

    async def kept(self, channel: str, *, after: float = 0) -> list[int]:
        return offsets(await self.history(channel=channel, limit=1_000, after=after))

    async def leave(self, channel: str) -> None:
        await self.broker.unsubscribe(channel, now=NOW)
        assert self.memory.weight <= MOST


@pytest.fixture
async def node() -> Full:
    node = Full()
    await node.broker.start(node.told)
    return node


async def with_history(node: Full) -> dict[str, Position]:
    """One channel that is listened to, and one that everybody has left; each with some history."""
    await node.subscribe(ROOM, NEWS)
    places = {channel: await node.say(channel) for channel in (ROOM, NEWS)}
    for channel in places:
        await node.say(channel, 100)
    await node.leave(NEWS)
    return places


@pytest.mark.parametrize("size", [1, 100, 5_000, 90_000])
async def test_ever_new_names_push_out_neither_what_is_listened_to_nor_what_was(
    node: Full, size: int
) -> None:
    places = await with_history(node)
    for n in range(1_000):
        await node.say(f"made-up:{n}", size=size)
    for channel, place in places.items():
        assert offsets(await node.recover(place, channel=channel)) == [*range(2, 102)]
    assert await node.kept("made-up:999") == [1]
    assert await node.kept("made-up:0") == []


@pytest.mark.parametrize("is_left", [False, True])
async def test_what_was_ever_listened_to_keeps_all_that_it_had_before_the_new_names_came(
    node: Full, is_left: bool
) -> None:
    await node.subscribe(ROOM)
    place = await node.say(ROOM)
    await node.say(ROOM, 450)
    if is_left:
        await node.leave(ROOM)
    assert MOST / 2 < node.memory.weight < MOST * 2 / 3
    for n in range(1_000):
        await node.say(f"made-up:{n}")
    assert offsets(await node.recover(place, channel=ROOM)) == [*range(2, 452)]


async def test_ever_new_names_that_were_subscribed_to_once_push_out_nothing_that_is_listened_to(
    node: Full,
) -> None:
    place = (await with_history(node))[ROOM]
    for n in range(1_000):
        await node.subscribe(f"made-up:{n}")
        await node.say(f"made-up:{n}")
        await node.leave(f"made-up:{n}")
    assert offsets(await node.recover(place, channel=ROOM)) == [*range(2, 102)]


async def test_a_channel_that_is_filled_loses_its_own_oldest_publications(node: Full) -> None:
    places = await with_history(node)
    await node.subscribe("loud")
    first = await node.say("loud")
    last = await node.say("loud", 2_000)
    for channel, place in places.items():
        assert offsets(await node.recover(place, channel=channel)) == [*range(2, 102)]
    kept = await node.kept("loud")
    assert 100 < len(kept) < 1_000
    assert kept == [*range(kept[0], last.offset + 1)]
    assert not (await node.recover(first, channel="loud")).recovered
    assert offsets(await node.recover(Position(last.epoch, kept[0]), channel="loud")) == kept[1:]


async def test_those_that_take_most_lose_in_turns(node: Full) -> None:
    await node.subscribe("a", "b", "c")
    for channel in ("a", "b"):
        await node.say(channel, 23, size=5_000)
    await node.say("c", size=120_000)
    assert [len(await node.kept(channel)) for channel in ("a", "b", "c")] == [12, 21, 1]


async def test_what_somebody_listens_to_goes_on_counting_when_it_has_lost_all(node: Full) -> None:
    """Its subscribers miss nothing: only who comes back from before is told to start over."""
    await node.subscribe(ROOM)
    places = [await node.say(ROOM) for _ in range(10)]
    for n in range(300):
        await node.subscribe(f"other:{n}")
        await node.say(f"other:{n}", 10)
    assert await node.kept(ROOM) == []
    assert await node.say(ROOM) == Position(places[0].epoch, 11)
    assert not (await node.recover(places[0], channel=ROOM)).recovered
    assert offsets(await node.recover(places[-1], channel=ROOM)) == [11]


async def test_subscriptions_alone_push_out_nothing(node: Full) -> None:
    last = await node.say(NEWS, 3)
    await node.subscribe(*[f"job:{n}" for n in range(1_000)])
    for n in range(100):
        await node.say(f"job:{n}")
    assert (await node.history(channel=NEWS)).position == last
    assert await node.kept(NEWS) == [1, 2, 3]


async def test_keys_that_are_too_old_push_out_nothing(node: Full) -> None:
    for room in range(4):
        await node.subscribe(f"quiet:{room}")
        for n in range(100):
            await node.say(f"quiet:{room}", size=1, key=f"{n:0500d}")
    last = await node.say("free", 3, after=3_600)
    for n in range(3):
        await node.say("busy", after=3_600 + n * 2 * PAUSE)
    assert (await node.history(channel="free", after=3_601)).position == last
    assert await node.kept("free", after=3_601) == [1, 2, 3]
    assert node.memory.weight < 10_000


async def test_a_channel_that_loses_its_history_keeps_its_keys(node: Full) -> None:
    await node.subscribe(ROOM)
    first = await node.say(ROOM, size=SMALL, key="k")
    await node.say(ROOM, 200, size=SMALL)
    assert (await node.kept(ROOM))[0] > 1
    assert await node.say(ROOM, key="k", after=KEY_SECONDS - 1) == first


async def test_a_large_channel_that_nobody_listens_to_keeps_its_keys_too(node: Full) -> None:
    first = await node.say("made-up:0", size=90_000, key="k")
    for n in range(1, 20):
        await node.say(f"made-up:{n}", size=90_000)
    assert await node.kept("made-up:0") == []
    assert await node.say("made-up:0", size=90_000, key="k") == first


async def test_a_channel_that_has_nothing_left_is_forgotten_before_others_lose_anything(node: Full) -> None:
    kept, empty = await node.say(NEWS), []
    for n in range(300):
        empty.append(await node.publish(channel=f"made-up:{n}", retention=Retention()))
    assert await node.kept(NEWS) == [1]
    assert (await node.say(NEWS)).epoch == kept.epoch
    known = [(await node.history(channel=f"made-up:{n}")).position == place for n, place in enumerate(empty)]
    assert known == [False] * known.index(True) + [True] * known.count(True)


async def test_keys_fill_the_memory_no_more_than_publications_do(node: Full) -> None:
    place = (await with_history(node))[ROOM]
    await node.subscribe("loud")
    for n in range(2_000):
        await node.say("loud", key=f"k{n}")
    assert offsets(await node.recover(place, channel=ROOM)) == [*range(2, 102)]
    assert (await node.say("loud", key="k1999")).offset == 2_000


async def test_of_small_channels_that_goes_first_which_was_published_to_longest_ago(node: Full) -> None:
    first = await node.say(NEWS)
    for n in range(500):
        await node.say(f"made-up:{n}")
        if n % 20 == 0:
            await node.say(NEWS)
    assert (await node.say(NEWS)).epoch == first.epoch


async def test_who_leaves_many_channels_at_once_does_not_overfill_the_memory(node: Full) -> None:
    channels = [f"room:{n}" for n in range(300)]
    for channel in channels:
        await node.subscribe(channel)
        await node.say(channel)
    assert node.memory.weight + 300 * STREAM_WEIGHT > MOST
    for channel in channels:
        await node.leave(channel)
    assert await node.kept(channels[-1]) == [1]


async def test_a_node_that_closes_does_not_overfill_the_memory(node: Full) -> None:
    for n in range(300):
        await node.subscribe(f"room:{n}")
        await node.say(f"room:{n}")
    await node.broker.aclose()
    assert 0 < node.memory.weight <= MOST


async def test_what_does_not_fit_at_all_is_published_and_not_kept(node: Full) -> None:
    await node.subscribe(ROOM)
    await node.say(NEWS)
    position = await node.say(ROOM, size=2 * MOST)
    assert node.told.offsets(ROOM) == [position.offset]
    assert await node.kept(ROOM) == []
    assert await node.kept(NEWS) == [1]

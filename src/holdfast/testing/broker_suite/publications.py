"""Publishing: order, who is told, keys."""

from __future__ import annotations

import asyncio

import pytest

from holdfast.core.channel import KEY_SECONDS
from holdfast.ports import Broker
from holdfast.protocol.frames import Publication
from holdfast.testing.broker_suite.nodes import CHANNEL, OTHER, started


class Publications:
    async def test_offsets_begin_at_1_and_rise_by_1_in_each_channel(
        self, brokers: tuple[Broker, Broker]
    ) -> None:
        here, there = await started(brokers)
        positions = [await here.publish(), await there.publish(), await here.publish()]
        assert [position.offset for position in positions] == [1, 2, 3]
        assert len({position.epoch for position in positions}) == 1
        assert (await here.publish(channel=OTHER)).offset == 1

    async def test_a_subscribed_node_is_told_in_order(self, brokers: tuple[Broker, Broker]) -> None:
        here, there = await started(brokers)
        await there.subscribe()
        for data in ('{"n":1}', '"Привет"', "null", r'"\"\\\u2028"'):
            position = await here.publish(data)
        await there.told.all_of(4)
        assert there.told.publications == [
            (CHANNEL, Publication(1, '{"n":1}'), position.epoch),
            (CHANNEL, Publication(2, '"Привет"'), position.epoch),
            (CHANNEL, Publication(3, "null"), position.epoch),
            (CHANNEL, Publication(4, r'"\"\\\u2028"'), position.epoch),
        ]

    async def test_the_publishing_node_is_told_too_if_it_is_subscribed(
        self, brokers: tuple[Broker, Broker]
    ) -> None:
        here, _ = await started(brokers)
        await here.subscribe()
        await here.publish()
        await here.told.until(lambda: here.told.offsets() == [1])

    async def test_a_node_is_told_only_of_what_it_is_subscribed_to(
        self, brokers: tuple[Broker, Broker]
    ) -> None:
        here, there = await started(brokers)
        await there.subscribe(OTHER)
        await here.publish()
        await here.publish(channel=OTHER)
        await there.has_been_told_all()
        assert (there.told.offsets(), there.told.offsets(OTHER)) == ([], [1])
        assert here.told.publications == []

    async def test_subscribing_again_does_not_tell_twice(self, brokers: tuple[Broker, Broker]) -> None:
        here, there = await started(brokers)
        await there.subscribe(CHANNEL, CHANNEL)
        await here.publish()
        await there.has_been_told_all()
        assert there.told.offsets() == [1]

    async def test_a_node_is_told_nothing_after_it_has_unsubscribed(
        self, brokers: tuple[Broker, Broker]
    ) -> None:
        here, there = await started(brokers)
        await here.subscribe()
        await there.subscribe()
        await there.broker.unsubscribe(CHANNEL, now=0)
        await there.broker.unsubscribe(OTHER, now=0)
        await here.publish()
        await there.has_been_told_all()
        assert there.told.offsets() == []
        await here.told.until(lambda: here.told.offsets() == [1])

    async def test_a_node_may_subscribe_anew(self, brokers: tuple[Broker, Broker]) -> None:
        here, there = await started(brokers)
        await there.subscribe()
        await here.publish()
        await there.told.until(lambda: there.told.offsets() == [1])
        await there.broker.unsubscribe(CHANNEL, now=0)
        await here.publish()
        await there.subscribe()
        await here.publish()
        await there.has_been_told_all()
        assert there.told.offsets() == [1, 3]

    async def test_many_who_publish_at_once_get_an_offset_each(self, brokers: tuple[Broker, Broker]) -> None:
        here, there = await started(brokers)
        await here.subscribe()
        await there.subscribe()
        positions = await asyncio.gather(
            *[node.publish(f'"{number}"') for number in range(25) for node in (here, there)]
        )
        assert sorted(position.offset for position in positions) == [*range(1, 51)]
        for node in (here, there):
            await node.told.all_of(50)
            assert node.told.offsets() == [*range(1, 51)]
        assert here.told.publications == there.told.publications

    async def test_a_node_that_has_closed_is_told_nothing(self, brokers: tuple[Broker, Broker]) -> None:
        here, there = await started(brokers)
        await here.subscribe()
        await there.subscribe()
        await there.broker.aclose()
        await here.publish()
        await here.has_been_told_all()
        assert there.told.publications == []


class Keys:
    async def test_a_key_publishes_once_whatever_node_it_comes_to(
        self, brokers: tuple[Broker, Broker]
    ) -> None:
        here, there = await started(brokers)
        await here.subscribe()
        first = await here.publish('"first"', key="k")
        await here.publish('"other"')
        assert await there.publish('"again"', key="k") == first
        await here.has_been_told_all()
        assert [publication.data for _, publication, _ in here.told.publications[:-1]] == [
            '"first"',
            '"other"',
        ]

    async def test_of_many_with_one_key_at_once_one_is_published(
        self, brokers: tuple[Broker, Broker]
    ) -> None:
        here, there = await started(brokers)
        positions = await asyncio.gather(*[node.publish(key="k") for _ in range(8) for node in (here, there)])
        assert {position.offset for position in positions} == {1}

    async def test_each_channel_has_its_own_keys(self, brokers: tuple[Broker, Broker]) -> None:
        here, _ = await started(brokers)
        await here.publish(key="k")
        await here.publish(channel=OTHER)
        assert (await here.publish(channel=OTHER, key="k")).offset == 2

    @pytest.mark.parametrize(("after", "offset"), [(-1, 1), (0, 2), (1, 2)])
    async def test_a_key_is_forgotten_on_the_second(
        self, brokers: tuple[Broker, Broker], after: float, offset: int
    ) -> None:
        here, _ = await started(brokers)
        await here.publish(key="k")
        assert (await here.publish(key="k", after=KEY_SECONDS + after)).offset == offset

"""Presence: who is there, who is told of it, and nodes that die."""

from __future__ import annotations

import pytest

from holdfast.ports import Broker
from holdfast.testing.broker_suite.nodes import ANN, BOB, CHANNEL, NOW, OTHER, started


class Presence:
    async def test_everybody_on_every_node_is_there_in_the_order_they_came(
        self, brokers: tuple[Broker, Broker]
    ) -> None:
        here, there = await started(brokers)
        await here.broker.join(CHANNEL, ANN, now=NOW)
        await there.broker.join(CHANNEL, BOB, now=NOW + 1)
        for node in (here, there):
            assert await node.presence() == [ANN, BOB]
            assert await node.presence(channel=OTHER) == []

    async def test_who_leaves_is_gone(self, brokers: tuple[Broker, Broker]) -> None:
        here, there = await started(brokers)
        await here.broker.join(CHANNEL, ANN, now=NOW)
        await there.broker.join(CHANNEL, BOB, now=NOW)
        await here.broker.leave(CHANNEL, ANN.connection, now=NOW)
        assert await there.presence() == [BOB]
        await there.broker.leave(CHANNEL, BOB.connection, now=NOW)
        assert await there.presence() == []

    async def test_subscribed_nodes_are_told_who_comes_and_goes(self, brokers: tuple[Broker, Broker]) -> None:
        here, there = await started(brokers)
        await there.subscribe()
        await here.broker.join(CHANNEL, ANN, now=NOW)
        await here.broker.leave(CHANNEL, ANN.connection, now=NOW)
        await there.told.until(lambda: len(there.told.comings) == 2)
        assert there.told.comings == [("joined", CHANNEL, ANN), ("left", CHANNEL, ANN)]
        await here.has_been_told_all()
        assert here.told.comings == []

    async def test_nothing_is_told_of_what_changes_nothing(self, brokers: tuple[Broker, Broker]) -> None:
        here, _ = await started(brokers)
        await here.subscribe()
        await here.broker.leave(CHANNEL, ANN.connection, now=NOW)
        await here.broker.join(CHANNEL, ANN, now=NOW)
        await here.broker.join(CHANNEL, ANN, now=NOW)
        await here.broker.leave(CHANNEL, BOB.connection, now=NOW)
        await here.has_been_told_all()
        assert here.told.comings == [("joined", CHANNEL, ANN)]
        assert await here.presence() == [ANN]


class Leases:
    @pytest.mark.parametrize(("after", "there_still"), [(99, True), (100, False), (101, False)])
    async def test_members_count_while_the_lease_of_their_node_runs(
        self, brokers: tuple[Broker, Broker], after: float, there_still: bool
    ) -> None:
        here, there = await started(brokers)
        await there.broker.join(CHANNEL, BOB, now=NOW)
        assert await here.presence(after=after) == ([BOB] if there_still else [])

    async def test_a_lease_that_is_held_goes_on_for_all_who_joined(
        self, brokers: tuple[Broker, Broker]
    ) -> None:
        here, there = await started(brokers)
        await there.broker.join(CHANNEL, BOB, now=NOW)
        assert await there.broker.hold_presence(now=NOW + 99, seconds=100)
        assert await here.presence(after=198) == [BOB]
        assert await here.presence(after=199) == []

    async def test_the_members_of_a_node_that_died_leave(self, brokers: tuple[Broker, Broker]) -> None:
        here, there = await started(brokers)
        await here.subscribe()
        await there.broker.join(CHANNEL, BOB, now=NOW)
        await here.broker.join(CHANNEL, ANN, now=NOW)
        await here.broker.hold_presence(now=NOW + 99, seconds=100)
        await here.broker.hold_presence(now=NOW + 100, seconds=100)
        await here.told.until(lambda: len(here.told.comings) == 3)
        assert here.told.comings[2:] == [("left", CHANNEL, BOB)]
        assert await here.presence(after=100) == [ANN]

    @pytest.mark.parametrize(("after", "held"), [(99, True), (100, False), (101, False)])
    async def test_a_node_learns_that_its_lease_was_over(
        self, brokers: tuple[Broker, Broker], after: float, held: bool
    ) -> None:
        _, there = await started(brokers)
        await there.broker.join(CHANNEL, BOB, now=NOW)
        assert await there.broker.hold_presence(now=NOW + after, seconds=100) is held
        assert await there.presence(after=after) == ([BOB] if held else [])

    async def test_who_joins_again_after_that_is_there_again(self, brokers: tuple[Broker, Broker]) -> None:
        here, there = await started(brokers)
        await here.subscribe()
        await there.broker.join(CHANNEL, BOB, now=NOW)
        await there.broker.hold_presence(now=NOW + 100, seconds=100)
        await there.broker.join(CHANNEL, BOB, now=NOW + 100)
        await here.told.until(lambda: len(here.told.comings) == 3)
        assert [what for what, _, _ in here.told.comings] == ["joined", "left", "joined"]
        assert await here.presence(after=199) == [BOB]

    async def test_a_node_that_closes_takes_its_members_along(self, brokers: tuple[Broker, Broker]) -> None:
        here, there = await started(brokers)
        await here.subscribe()
        await here.broker.join(CHANNEL, ANN, now=NOW)
        await there.broker.join(CHANNEL, BOB, now=NOW)
        await there.broker.aclose()
        await here.told.until(lambda: len(here.told.comings) == 3)
        assert here.told.comings[2:] == [("left", CHANNEL, BOB)]
        assert await here.presence() == [ANN]

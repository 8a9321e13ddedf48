"""Reading what was published: pages of history, and what a returning subscriber is owed."""

from __future__ import annotations

import asyncio

import pytest

from holdfast.core.policy import Retention
from holdfast.ports import Broker
from holdfast.protocol.frames import Position, Publication
from holdfast.testing.broker_suite.nodes import CHANNEL, OTHER, Node, offsets, started

BRIEF = Retention(size=100, seconds=10.0)


async def with_publications(brokers: tuple[Broker, Broker], count: int) -> tuple[Node, str]:
    """A node that has published so much (the newest five are kept), and the channel's epoch."""
    here, _ = await started(brokers)
    for number in range(1, count + 1):
        await here.publish(f"{number}")
    return here, (await here.history()).position.epoch


class Reading:
    async def test_history_is_the_newest_oldest_first(self, brokers: tuple[Broker, Broker]) -> None:
        here, epoch = await with_publications(brokers, 3)
        history = await here.history(limit=2)
        assert list(history.publications) == [Publication(2, "2"), Publication(3, "3")]
        assert (history.position, history.recovered) == (Position(epoch, 3), False)

    async def test_history_has_at_most_what_is_kept(self, brokers: tuple[Broker, Broker]) -> None:
        here, _ = await with_publications(brokers, 7)
        assert offsets(await here.history()) == [3, 4, 5, 6, 7]

    async def test_a_channel_without_publications_is_empty(self, brokers: tuple[Broker, Broker]) -> None:
        here, _ = await with_publications(brokers, 1)
        history = await here.history(channel=OTHER)
        assert (history.position.offset, list(history.publications)) == (0, [])

    @pytest.mark.parametrize(("after", "kept"), [(9, [1, 2]), (10, [2]), (11, [2])])
    async def test_a_publication_is_too_old_on_the_second(
        self, brokers: tuple[Broker, Broker], after: float, kept: list[int]
    ) -> None:
        here, there = await started(brokers)
        await here.publish(retention=BRIEF)
        await here.publish(retention=BRIEF, after=5)
        assert offsets(await there.history(after=after)) == kept

    async def test_pages_follow_one_another(self, brokers: tuple[Broker, Broker]) -> None:
        here, epoch = await with_publications(brokers, 5)
        page = await here.history(Position(epoch, 0), limit=2)
        assert (offsets(page), page.recovered, page.position.offset) == ([1, 2], True, 5)
        page = await here.history(Position(epoch, 4), limit=2)
        assert (offsets(page), page.recovered) == ([5], True)
        page = await here.history(Position(epoch, 5), limit=2)
        assert (offsets(page), page.recovered) == ([], True)

    @pytest.mark.parametrize(("epoch", "offset"), [("", 1), ("another", 6), ("", 8)])
    async def test_a_page_after_a_gap_begins_with_the_oldest_that_is_kept(
        self, brokers: tuple[Broker, Broker], epoch: str, offset: int
    ) -> None:
        here, own = await with_publications(brokers, 7)
        page = await here.history(Position(epoch or own, offset), limit=2)
        assert (offsets(page), page.recovered) == ([3, 4], False)


class Recovery:
    @pytest.mark.parametrize(
        ("since", "missed"), [(1, None), (2, [3, 4, 5, 6, 7]), (6, [7]), (7, []), (8, None)]
    )
    async def test_all_that_was_missed_is_recovered_or_nothing(
        self, brokers: tuple[Broker, Broker], since: int, missed: list[int] | None
    ) -> None:
        """Of seven, the last five are kept."""
        here, epoch = await with_publications(brokers, 7)
        answer = await here.recover(Position(epoch, since))
        assert (answer.position, answer.recovered) == (Position(epoch, 7), missed is not None)
        assert offsets(answer) == (missed or [])

    async def test_without_a_position_or_with_that_of_another_life_nothing_is_recovered(
        self, brokers: tuple[Broker, Broker]
    ) -> None:
        here, epoch = await with_publications(brokers, 2)
        for since in (None, Position("another", 1)):
            answer = await here.recover(since)
            assert (answer.position, answer.recovered, offsets(answer)) == (Position(epoch, 2), False, [])

    @pytest.mark.parametrize(("after", "recovered"), [(9, True), (10, False), (11, False)])
    async def test_what_is_too_old_is_not_recovered(
        self, brokers: tuple[Broker, Broker], after: float, recovered: bool
    ) -> None:
        here, there = await started(brokers)
        first = await here.publish(retention=BRIEF)
        await here.publish(retention=BRIEF)
        assert (await there.recover(first, after=after)).recovered is recovered

    async def test_who_has_missed_nothing_recovers_where_nothing_is_kept(
        self, brokers: tuple[Broker, Broker]
    ) -> None:
        here, there = await started(brokers)
        position = await here.publish(retention=Retention())
        answer = await there.recover(position)
        assert (answer.recovered, offsets(answer)) == (True, [])

    async def test_a_subscriber_from_before_the_first_publication_recovers(
        self, brokers: tuple[Broker, Broker]
    ) -> None:
        here, there = await started(brokers)
        await there.subscribe()
        before = (await there.recover(None)).position
        assert before.offset == 0
        await there.broker.unsubscribe(CHANNEL, now=0)
        await here.publish()
        assert offsets(await there.recover(before)) == [1]

    async def test_nothing_falls_between_recovering_and_being_told(
        self, brokers: tuple[Broker, Broker]
    ) -> None:
        here, there = await started(brokers)
        everything = Retention(size=1_000, seconds=60.0)

        under_way = asyncio.Event()

        async def publish_many() -> None:
            for number in range(100):
                await here.publish(retention=everything)
                await asyncio.sleep(0)  # brokers in memory give nobody else a turn
                if number == 10:
                    under_way.set()

        first = await here.publish(retention=everything)
        publishing = asyncio.create_task(publish_many())
        await under_way.wait()
        await there.subscribe()
        answer = await there.recover(first)
        await publishing
        assert answer.position.offset < 101
        await there.told.until(lambda: there.told.offsets()[-1:] == [101])
        assert answer.recovered
        newer = [offset for offset in there.told.offsets() if offset > answer.position.offset]
        assert [*offsets(answer), *newer] == [*range(2, 102)]

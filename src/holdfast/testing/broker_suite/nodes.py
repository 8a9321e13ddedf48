"""Nodes for the suite's tests: a broker, and a listener that writes down what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from holdfast.core.channel import History
from holdfast.core.policy import Retention
from holdfast.ports import Broker
from holdfast.protocol.frames import Member, Position, Publication

NOW = 1_800_000_000.25
KEPT = Retention(size=5, seconds=60.0)
CHANNEL = "job:42"
OTHER = "job:43"
LAST = "suite:last"
PATIENCE = 5.0
"""Seconds that a broker has to tell what it must."""

ANN = Member("c-ann", "u-ann", "Ann")
BOB = Member("c-bob", "u-bob", "Боб")


@dataclass
class Told:
    """A `Listener` that remembers."""

    publications: list[tuple[str, Publication, str]] = field(default_factory=list)
    """Channel, publication and epoch."""
    comings: list[tuple[str, str, Member]] = field(default_factory=list)
    """`joined` or `left`, the channel, and who."""
    losses: list[tuple[str, Position]] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def published(self, channel: str, publication: Publication, epoch: str) -> None:
        self.publications.append((channel, publication, epoch))
        self._news.set()

    def lost(self, channel: str, position: Position) -> None:
        self.losses.append((channel, position))
        self._news.set()

    def joined(self, channel: str, member: Member) -> None:
        self.comings.append(("joined", channel, member))
        self._news.set()

    def left(self, channel: str, member: Member) -> None:
        self.comings.append(("left", channel, member))
        self._news.set()

    def offsets(self, channel: str = CHANNEL) -> list[int]:
        """Of the publications of one channel, in the order in which they came."""
        return [publication.offset for where, publication, _ in self.publications if where == channel]

    async def all_of(self, count: int) -> None:
        """Wait for so many publications."""
        await self.until(lambda: len(self.publications) >= count)

    async def until(self, come: Callable[[], bool]) -> None:
        """Wait until something has been told."""
        async with asyncio.timeout(PATIENCE):
            while not come():
                self._news.clear()
                await self._news.wait()


@dataclass
class Node:
    """One node's broker and listener."""

    broker: Broker
    told: Told

    async def subscribe(self, *channels: str) -> None:
        for channel in channels or (CHANNEL,):
            await self.broker.subscribe(channel, now=NOW)

    async def publish(
        self,
        data: str = "1",
        *,
        channel: str = CHANNEL,
        retention: Retention = KEPT,
        after: float = 0,
        key: str | None = None,
    ) -> Position:
        return await self.broker.publish(channel, data, retention=retention, now=NOW + after, key=key)

    async def recover(self, since: Position | None, *, channel: str = CHANNEL, after: float = 0) -> History:
        return await self.broker.recover(channel, since, now=NOW + after)

    async def history(
        self, since: Position | None = None, *, channel: str = CHANNEL, limit: int = 100, after: float = 0
    ) -> History:
        return await self.broker.history(channel, since, limit=limit, now=NOW + after)

    async def has_been_told_all(self) -> None:
        """Wait until whatever was on its way to this node's listener has come."""
        await self.subscribe(LAST)
        position = await self.publish(channel=LAST)
        await self.told.until(lambda: position.offset in self.told.offsets(LAST))

    async def presence(self, *, channel: str = CHANNEL, after: float = 0) -> list[Member]:
        return list(await self.broker.presence(channel, now=NOW + after))


async def started(brokers: Sequence[Broker]) -> tuple[Node, Node]:
    """Both nodes, started, each with a lease of 100 seconds from `NOW`."""
    nodes = [Node(broker, Told()) for broker in brokers]
    for node in nodes:
        await node.broker.start(node.told)
        await node.broker.hold_presence(now=NOW, seconds=100)
    here, there = nodes
    return here, there


def offsets(history: History) -> list[int]:
    return [publication.offset for publication in history.publications]

"""The broker of one process: everything is in its memory, and its epochs end with it.

Nothing here waits, so every verb is one step of the event loop and atomic by that.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from holdfast.brokers.bound import Bound, Kept, Kind
from holdfast.core.channel import History, Stream
from holdfast.core.policy import Retention
from holdfast.ports import Listener, Random
from holdfast.protocol.frames import Member, Position

FORGET_SECONDS = 86_400.0
"""So long after its last publication a channel that keeps nothing and has no subscriber is forgotten."""
LOOKED_AT = 2
"""Channels looked at, whether they can be forgotten, at a publication that adds one: more than it adds."""
PAUSE = 0.001
"""Seconds between such looks at publications that add none."""
EPOCH_BYTES = 9
MOST_BYTES = 268_435_456
"""What the histories of all channels take together, unless somebody says otherwise."""


class Memory:
    """What the nodes of a process share; most processes are one node, and need not know of it."""

    def __init__(self, random: Random, *, most_bytes: int = MOST_BYTES) -> None:
        self._random = random
        self._bound = Bound(most_bytes)
        self._streams: OrderedDict[str, Kept] = OrderedDict()
        self._unborn = self._new_epoch()
        """The epoch of every channel that has no stream, so that asking about one costs no memory."""
        self._subscribers: dict[str, tuple[MemoryBroker, ...]] = {}
        """Tuples, as a listener that is told something may unsubscribe itself in the middle."""
        self._members: dict[str, dict[str, tuple[Member, MemoryBroker]]] = {}
        self._leases: dict[MemoryBroker, float] = {}
        self._looked_at = 0.0

    @property
    def weight(self) -> int:
        """About what the histories of all channels take together, in bytes."""
        return self._bound.weight

    # Publications

    def append(
        self, channel: str, data: str, *, retention: Retention, now: float, key: str | None
    ) -> Position:
        known = self._streams.get(channel)
        stream = known or self._begin(channel, self._bound.new)
        before = stream.weight
        appended = stream.publish(data, retention=retention, now=now, key=key)
        # All of the bookkeeping comes first: a listener may unsubscribe in the middle.
        is_full = self._bound.weigh(channel, stream, before)
        nodes = self._subscribers.get(channel)
        if nodes is None and stream.level is not None:
            stream.level.move_to_end(channel)
        if known is None or is_full or abs(now - self._looked_at) >= PAUSE:
            self._forget_some(now)
            self._make_room(now)
        if nodes is not None and appended.publication is not None:
            for node in nodes:
                node.listener.published(channel, appended.publication, stream.epoch)
        return appended.position

    def recover(self, channel: str, since: Position | None, now: float) -> History:
        return self._to_read(channel, now).recover(since, now=now)

    def history(self, channel: str, since: Position | None, limit: int, now: float) -> History:
        return self._to_read(channel, now).read(since, limit=limit, now=now)

    def _to_read(self, channel: str, now: float) -> Stream:
        """The channel's stream; one that nobody has published to is not kept."""
        stream = self._streams.get(channel)
        if stream is None:
            return Stream(self._unborn)
        self._look_at(channel, stream, now)
        return stream

    def subscribe(self, node: MemoryBroker, channel: str) -> None:
        nodes, followed = self._subscribers.get(channel, ()), self._bound.followed
        stream = self._streams.get(channel)
        if stream is None:
            # Although nothing is published: its epoch is known to subscribers now, and must not change under them.
            self._begin(channel, followed)
        elif not nodes:
            self._bound.move(channel, stream, followed)
        if node not in nodes:
            self._subscribers[channel] = (*nodes, node)

    def unsubscribe(self, node: MemoryBroker, channel: str, now: float) -> None:
        before = self._subscribers.pop(channel, ())
        nodes = tuple(other for other in before if other is not node)
        if nodes:
            self._subscribers[channel] = nodes
        elif before:
            stream = self._streams[channel]
            if stream.offset:
                self._bound.move(channel, stream, self._bound.left)
                self._make_room(now)
            else:
                self._drop(channel)

    def _begin(self, channel: str, kind: Kind) -> Kept:
        stream = self._streams[channel] = Kept(self._unborn, kind)
        self._bound.enter(channel, stream)
        return stream

    def _drop(self, channel: str) -> None:
        self._bound.leave(channel, self._streams.pop(channel))

    def _look_at(self, channel: str, stream: Kept, now: float) -> float | None:
        """Let go of what is too old; since when nothing has been kept and published."""
        before = stream.weight
        idle_since = stream.idle_since(now)
        self._bound.weigh(channel, stream, before)
        return idle_since

    def _forget_some(self, now: float) -> None:
        """A little now and then: a sweep of all channels at once would be a pause for everybody."""
        self._looked_at = now
        for _ in range(min(LOOKED_AT, len(self._streams))):
            channel, stream = next(iter(self._streams.items()))
            idle_since = self._look_at(channel, stream, now)
            if idle_since is None or idle_since + FORGET_SECONDS > now or channel in self._subscribers:
                self._streams.move_to_end(channel)
                continue
            self._end_life(channel)

    def _make_room(self, now: float) -> None:
        """Past the bound channels lose history; who comes back for it is told that something was missed."""
        while self._bound.excess > 0:
            forgotten = self._bound.give_way(now)
            if forgotten is not None:
                self._end_life(forgotten)

    def _end_life(self, channel: str) -> None:
        self._drop(channel)
        # Should it come back, it counts from 1 again, and must not look like the life that is over.
        self._unborn = self._new_epoch()

    def _new_epoch(self) -> str:
        return self._random.token(EPOCH_BYTES).hex()

    # Presence

    def join(self, node: MemoryBroker, channel: str, member: Member) -> None:
        members = self._members.setdefault(channel, {})
        before = members.get(member.connection)
        members[member.connection] = (member, node)
        if before is None:
            for subscriber in self._subscribers.get(channel, ()):
                subscriber.listener.joined(channel, member)

    def leave(self, channel: str, connection: str) -> None:
        members = self._members.get(channel, {})
        found = members.pop(connection, None)
        if found is None:
            return
        if not members:
            del self._members[channel]
        for subscriber in self._subscribers.get(channel, ()):
            subscriber.listener.left(channel, found[0])

    def presence(self, channel: str, now: float) -> Sequence[Member]:
        members = self._members.get(channel, {}).values()
        return [member for member, node in members if self._leases.get(node, now) > now]

    def hold(self, node: MemoryBroker, *, now: float, until: float) -> bool:
        for other in [other for other, end in self._leases.items() if end <= now]:
            self.drop(other)
        held = node in self._leases
        self._leases[node] = until
        return held

    def drop(self, node: MemoryBroker) -> None:
        """Let everybody leave who joined through this node."""
        self._leases.pop(node, None)
        gone = [
            (channel, connection)
            for channel, members in self._members.items()
            for connection, (_, through) in members.items()
            if through is node
        ]
        for channel, connection in gone:
            self.leave(channel, connection)

    def close(self, node: MemoryBroker) -> None:
        for channel in [channel for channel, nodes in self._subscribers.items() if node in nodes]:
            self.unsubscribe(node, channel, self._looked_at)
        self.drop(node)


class MemoryBroker:
    """One node's access to a `Memory`; by default one of its own."""

    instant = True

    def __init__(self, random: Random, memory: Memory | None = None) -> None:
        self._memory = memory or Memory(random)
        self._listener: Listener | None = None

    def __repr__(self) -> str:
        return "MemoryBroker()"

    @property
    def listener(self) -> Listener:
        """Who is told; only after `start`."""
        assert self._listener is not None
        return self._listener

    async def start(self, listener: Listener) -> None:
        self._listener = listener

    async def aclose(self) -> None:
        self._memory.close(self)

    async def ping(self) -> None:
        """There is nothing that could be away."""

    async def publish(
        self, channel: str, data: str, *, retention: Retention, now: float, key: str | None = None
    ) -> Position:
        return self._memory.append(channel, data, retention=retention, now=now, key=key)

    async def subscribe(self, channel: str, *, now: float) -> None:  # noqa: ARG002  # brokers that expire need it
        self._memory.subscribe(self, channel)

    async def unsubscribe(self, channel: str, *, now: float) -> None:
        self._memory.unsubscribe(self, channel, now)

    async def recover(self, channel: str, since: Position | None, *, now: float) -> History:
        return self._memory.recover(channel, since, now)

    async def history(self, channel: str, since: Position | None, *, limit: int, now: float) -> History:
        return self._memory.history(channel, since, limit, now)

    async def join(self, channel: str, member: Member, *, now: float) -> None:  # noqa: ARG002  # the same
        self._memory.join(self, channel, member)

    async def leave(self, channel: str, connection: str, *, now: float) -> None:  # noqa: ARG002  # the same
        self._memory.leave(channel, connection)

    async def presence(self, channel: str, *, now: float) -> Sequence[Member]:
        return self._memory.presence(channel, now)

    async def hold_presence(self, *, now: float, seconds: float) -> bool:
        return self._memory.hold(self, now=now, until=now + seconds)

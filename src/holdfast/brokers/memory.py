"""The broker of one process: everything is in its memory, and its epochs end with it.

Nothing here waits, so every verb is one step of the event loop and atomic by that.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

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
LIGHTENED_AT = 16
"""Channels that lose their history at one publication, at most: more of them than it can add."""


class Memory:
    """What the nodes of a process share; most processes are one node, and need not know of it."""

    def __init__(self, random: Random, *, most_bytes: int = MOST_BYTES) -> None:
        self._random = random
        self._most = most_bytes
        self.weight = 0
        """About what all channels take together, in bytes."""
        self._streams: OrderedDict[str, Stream] = OrderedDict()
        self._unborn = self._new_epoch()
        """The epoch of every channel that has no stream, so that asking about one costs no memory."""
        self._subscribers: dict[str, tuple[MemoryBroker, ...]] = {}
        """Tuples, as a listener that is told something may unsubscribe itself in the middle."""
        self._members: dict[str, dict[str, tuple[Member, MemoryBroker]]] = {}
        self._leases: dict[MemoryBroker, float] = {}
        self._looked_at = 0.0

    # Publications

    def append(
        self, channel: str, data: str, *, retention: Retention, now: float, key: str | None
    ) -> Position:
        known = len(self._streams)
        stream = self._stream(channel)
        before = stream.weight
        appended = stream.publish(data, retention=retention, now=now, key=key)
        self.weight += stream.weight - before
        if appended.publication is not None:
            for node in self._subscribers.get(channel, ()):
                node.listener.published(channel, appended.publication, stream.epoch)
            if len(self._streams) > known or abs(now - self._looked_at) >= PAUSE:
                self._forget_some(now)
            if self.weight > self._most:
                self._lighten(channel)
        return appended.position

    def recover(self, channel: str, since: Position | None, now: float) -> History:
        stream = self._to_read(channel)
        before = stream.weight
        history = stream.recover(since, now=now)
        self.weight += stream.weight - before
        return history

    def history(self, channel: str, since: Position | None, limit: int, now: float) -> History:
        stream = self._to_read(channel)
        before = stream.weight
        history = stream.read(since, limit=limit, now=now)
        self.weight += stream.weight - before
        return history

    def _to_read(self, channel: str) -> Stream:
        """The channel's stream; one that nobody has published to is not kept."""
        return self._streams.get(channel) or Stream(self._unborn)

    def subscribe(self, node: MemoryBroker, channel: str) -> None:
        self._stream(channel)  # its epoch is known to subscribers now, and must not change under them
        nodes = self._subscribers.get(channel, ())
        if node not in nodes:
            self._subscribers[channel] = (*nodes, node)

    def unsubscribe(self, node: MemoryBroker, channel: str) -> None:
        nodes = tuple(other for other in self._subscribers.pop(channel, ()) if other is not node)
        if nodes:
            self._subscribers[channel] = nodes
        elif channel in self._streams and not self._streams[channel].offset:
            self._drop(channel)

    def _stream(self, channel: str) -> Stream:
        stream = self._streams.get(channel)
        if stream is None:
            stream = self._streams[channel] = Stream(self._unborn)
            self.weight += stream.weight
        return stream

    def _drop(self, channel: str) -> None:
        self.weight -= self._streams.pop(channel).weight

    def _forget_some(self, now: float) -> None:
        """A little now and then: a sweep of all channels at once would be a pause for everybody."""
        self._looked_at = now
        for _ in range(min(LOOKED_AT, len(self._streams))):
            channel, stream = next(iter(self._streams.items()))
            before = stream.weight
            idle_since = stream.idle_since(now)
            self.weight += stream.weight - before
            if idle_since is None or idle_since + FORGET_SECONDS > now or channel in self._subscribers:
                self._streams.move_to_end(channel)
                continue
            self._end_life(channel)

    def _lighten(self, published: str) -> None:
        """Past the bound whole channels lose their history, so that nobody can fill the memory by naming more of them.

        Those who come back to one are told that they have missed something.
        """
        for _ in range(min(LIGHTENED_AT, len(self._streams))):
            if self.weight <= self._most:
                return
            channel, stream = next(iter(self._streams.items()))
            self._streams.move_to_end(channel)
            if channel in self._subscribers:
                before = stream.weight
                stream.clear()
                self.weight += stream.weight - before
            elif channel != published:
                self._end_life(channel)

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
            self.unsubscribe(node, channel)
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

    async def unsubscribe(self, channel: str, *, now: float) -> None:  # noqa: ARG002  # the same
        self._memory.unsubscribe(self, channel)

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

"""Which channel gives way where there is no room for all: whoever fills the memory pushes out their own.

There are three kinds of channels: those that nobody has subscribed to yet, those that everybody has left, and those
that somebody is subscribed to. Past the bound the first of them gives way that takes more than a third of it. So
made-up names push out nothing that anybody listens to, and what is listened to leaves a part to those who are away.

Of a kind the channel gives way that takes most, to within a factor of two. It lets go of its oldest publications, and
when it has none, of its oldest keys. Where nobody is subscribed, a channel that has neither any more is forgotten as
a whole, before others lose anything; so is a small one, once all are small: that which was published to longest ago.

Only what can be let go of is counted. A stream that somebody is subscribed to cannot, as its position is known to
them; how many there are is bounded by how many subscriptions connections may have.
"""

from __future__ import annotations

from collections import OrderedDict

from holdfast.core.channel import Stream

STREAM_WEIGHT = 2_300
"""About what a stream takes of memory without publications and keys, in bytes."""
SMALL = 16_384
"""What publications and keys of a channel may take, in bytes, and it is forgotten as a whole if anything."""


class Kind:
    """Channels of one kind, by what they take."""

    __slots__ = ("base", "empty", "levels", "weight")

    def __init__(self, base: int) -> None:
        self.base = base
        """What is let go of with a stream, beside what it holds."""
        self.weight = 0
        """What all of them together could let go of, in bytes."""
        self.levels: list[OrderedDict[str, Kept]] = []
        """First the small ones, then those of up to twice as much, and so on."""
        self.empty: OrderedDict[str, Kept] | None = OrderedDict() if base else None
        """Those that hold nothing; `None` where they could let go of nothing."""

    def next(self) -> tuple[str, Kept]:
        """Who gives way; of several that which has waited longest."""
        levels = (*self.levels, self.empty)
        return next(next(iter(level.items())) for level in reversed(levels) if level)

    def level_of(self, number: int) -> OrderedDict[str, Kept]:
        """The level of that number, 0 for the small ones."""
        while len(self.levels) <= number:
            self.levels.append(OrderedDict())
        return self.levels[number]


class Kept(Stream):
    """A stream, and its place among the others."""

    __slots__ = ("at_least", "below", "kind", "level")

    def __init__(self, epoch: str, kind: Kind) -> None:
        super().__init__(epoch)
        self.kind = kind
        self.level: OrderedDict[str, Kept] | None = None
        self.at_least, self.below = 0, 1
        """In its level are those that weigh so much."""


class Bound:
    """What all channels take together, and who gives way."""

    __slots__ = ("_most", "followed", "left", "new", "weight")

    def __init__(self, most: int) -> None:
        self._most = most
        self.weight = 0
        """What could be let go of, in bytes."""
        self.new, self.left, self.followed = Kind(STREAM_WEIGHT), Kind(STREAM_WEIGHT), Kind(0)

    @property
    def excess(self) -> int:
        """How much has to go, in bytes; less than 1 where there is room."""
        return self.weight - self._most

    def enter(self, channel: str, stream: Kept) -> None:
        """Count it among its kind."""
        kind = stream.kind
        kind.weight += stream.weight + kind.base
        self.weight += stream.weight + kind.base
        self._place(channel, stream)

    def leave(self, channel: str, stream: Kept) -> None:
        """Count it no more."""
        kind = stream.kind
        kind.weight -= stream.weight + kind.base
        self.weight -= stream.weight + kind.base
        if stream.level is not None:
            del stream.level[channel]
            stream.level = None

    def move(self, channel: str, stream: Kept, kind: Kind) -> None:
        """Count it among another kind."""
        self.leave(channel, stream)
        stream.kind = kind
        self.enter(channel, stream)

    def weigh(self, channel: str, stream: Kept, before: int) -> bool:
        """Count what has happened to one that weighed so much before; whether something has to go now."""
        weight = stream.weight
        self.weight += weight - before
        stream.kind.weight += weight - before
        if not stream.at_least <= weight < stream.below:
            self._place(channel, stream)
        return self.weight > self._most

    def give_way(self, now: float) -> str | None:
        """Let the next channel give way; its name, if it has to be forgotten as a whole."""
        kinds = self.new, self.left, self.followed
        kind = next(kind for kind in kinds if kind.weight * 3 > self._most)
        channel, stream = kind.next()
        if kind.base and stream.below <= SMALL:
            return channel
        before = stream.weight
        # No further than to the next level, where it waits for its turn behind the others.
        stream.shed(min(self.excess, before - stream.at_least + 1), now)
        self.weigh(channel, stream, before)
        return None

    def _place(self, channel: str, stream: Kept) -> None:
        """Put it behind those of its kind that weigh about as much."""
        if stream.level is not None:
            del stream.level[channel]
        if stream.weight:
            number = (stream.weight // SMALL).bit_length()
            stream.level = stream.kind.level_of(number)
            stream.below = SMALL << number
            stream.at_least = stream.below >> 1 if number else 1
        else:
            stream.level, stream.at_least, stream.below = stream.kind.empty, 0, 1
        if stream.level is not None:
            stream.level[channel] = stream

"""One channel's publications: their order, what is kept of them, and what a returning subscriber is owed.

    gone ........ | kept ......... | next
    1 … gone      | gone+1 … offset

Offsets count from 1 and rise by 1; what is kept is always the end of the row, without a hole. A `Stream` is one life
of a channel, named by its epoch: a position of another life is worth nothing.
"""

from __future__ import annotations

import sys
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from holdfast.core.policy import Retention
from holdfast.protocol import jsontext
from holdfast.protocol.frames import Position, Publication

KEY_SECONDS = 300.0
"""How long a publication's key is remembered."""
KEYS_KEPT = 10_000
"""So many keys of one channel are remembered at most; the oldest go first."""

PUBLICATION_WEIGHT, KEY_WEIGHT = 300, 250
"""About what each takes of a process' memory beside its text, in bytes."""


def size_of(text: str) -> int:
    """Bytes that a text takes of memory: of its characters none takes less than the widest."""
    if text.isascii():
        return len(text)
    # Of a copy, as C code may leave the text's UTF-8 with it at any time, and what was added is taken away again.
    return sys.getsizeof(text + " ")


@dataclass(frozen=True, slots=True)
class History:
    """Publications of a channel, oldest first, and its newest position at that moment."""

    position: Position
    publications: Sequence[Publication]
    recovered: bool
    """Whether nothing is missing between the position that was asked about and the first of `publications`."""

    def within(self, size: int, *, newest: bool) -> History:
        """So many of them that their data has up to `size` bytes, but one at least: the newest or the oldest."""
        left, kept = size, 0
        for publication in reversed(self.publications) if newest else self.publications:
            left -= jsontext.size(publication.data)
            if left < 0 and kept:
                break
            kept += 1
        start = len(self.publications) - kept if newest else 0
        return replace(self, publications=self.publications[start : start + kept])


# Nobody changes one, but a frozen one takes three times as long to make, and each publication makes one.
@dataclass(slots=True)
class Appended:
    """What a publish came to."""

    position: Position
    publication: Publication | None
    """`None` where the key was known: the position is what it got the first time."""


class Stream:
    """One life of one channel."""

    __slots__ = ("_at", "_kept", "_keys", "_published_at", "_retention", "epoch", "offset", "weight")

    def __init__(self, epoch: str) -> None:
        self.epoch = epoch
        self.offset = 0
        """That of the newest publication; 0 before the first."""
        self.weight = 0
        """About what its publications and keys take of memory, in bytes."""
        self._kept: deque[Publication] = deque()
        self._at: deque[float] = deque()
        self._keys: OrderedDict[str, tuple[int, float]] | None = None
        """Offset and time of each key that is still known, oldest first; `None` without any."""
        self._retention = Retention()
        self._published_at = 0.0

    @property
    def position(self) -> Position:
        """That of the newest publication."""
        return Position(self.epoch, self.offset)

    def publish(self, data: str, *, retention: Retention, now: float, key: str | None = None) -> Appended:
        """Append a publication, unless its key is known; `data` is JSON text."""
        if self._keys is not None:
            self._forget_keys(now)
        if key is not None:
            if self._keys is None:
                self._keys = OrderedDict()
            keys = self._keys
            if key in keys:
                return Appended(Position(self.epoch, keys[key][0]), None)
            keys[key] = (self.offset + 1, now)
            self.weight += size_of(key) + KEY_WEIGHT
            if len(keys) > KEYS_KEPT:
                self._drop_key()
        self.offset += 1
        self._published_at = now
        self._retention = retention
        publication = Publication(self.offset, data)
        self._kept.append(publication)
        self._at.append(now)
        self.weight += (len(data) if data.isascii() else size_of(data)) + PUBLICATION_WEIGHT
        self._forget_publications(now)
        return Appended(Position(self.epoch, self.offset), publication)

    def recover(self, since: Position | None, *, now: float) -> History:
        """All that came after `since`, or nothing: a part would be taken for the whole."""
        self._forget(now)
        if since is None or not self._continues(since):
            return History(self.position, (), recovered=False)
        return History(self.position, self._after(since.offset, len(self._kept)), recovered=True)

    def read(self, since: Position | None, *, limit: int, now: float) -> History:
        """The newest `limit`, or the first `limit` after `since`: from the oldest kept on, if some are gone."""
        self._forget(now)
        if since is None:
            return History(
                self.position, self._after(max(self._gone, self.offset - limit), limit), recovered=False
            )
        recovered = self._continues(since)
        return History(
            self.position, self._after(since.offset if recovered else self._gone, limit), recovered
        )

    def shed(self, size: int, now: float) -> None:
        """Weigh so much less, or nothing: without what is too old, then the oldest publications, then the oldest keys.

        Keys go last: who comes back for a publication that is gone is told so, but with its key gone one is published
        twice, and nobody is told.
        """
        target = self.weight - size
        self._forget(now)
        while self._kept and self.weight > target:
            self._drop_oldest()
        while self._keys and self.weight > target:
            self._drop_key()

    def idle_since(self, now: float) -> float | None:
        """When it was last published to; `None` while anything is kept."""
        self._forget(now)
        return None if self._kept else self._published_at

    @property
    def _gone(self) -> int:
        """The offset of the newest publication that is not kept any more."""
        return self.offset - len(self._kept)

    def _continues(self, since: Position) -> bool:
        """Whether all that came after `since` is kept."""
        return since.epoch == self.epoch and self._gone <= since.offset <= self.offset

    def _after(self, offset: int, limit: int) -> tuple[Publication, ...]:
        start = offset - self._gone
        return tuple(islice(self._kept, start, start + limit))

    def _forget(self, now: float) -> None:
        self._forget_publications(now)
        if self._keys is not None:
            self._forget_keys(now)

    def _forget_publications(self, now: float) -> None:
        """Drop from the old end what is too much or too old; on the very second it is too old."""
        size, seconds = self._retention.size, self._retention.seconds
        while self._kept and (len(self._kept) > size or self._at[0] + seconds <= now):
            self._drop_oldest()

    def _forget_keys(self, now: float) -> None:
        while self._keys and next(iter(self._keys.values()))[1] + KEY_SECONDS <= now:
            self._drop_key()

    def _drop_oldest(self) -> None:
        self._at.popleft()
        data = self._kept.popleft().data
        self.weight -= (len(data) if data.isascii() else size_of(data)) + PUBLICATION_WEIGHT

    def _drop_key(self) -> None:
        """Forget the oldest key, and with the last one the table, which does not shrink by itself."""
        assert self._keys is not None
        self.weight -= size_of(self._keys.popitem(last=False)[0]) + KEY_WEIGHT
        if not self._keys:
            self._keys = None

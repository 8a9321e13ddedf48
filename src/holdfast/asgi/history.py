"""What a channel remembers, as an app is told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from holdfast.core import channel
from holdfast.protocol.frames import Position


@dataclass(frozen=True, slots=True)
class Publication:
    """What was published, and its place."""

    offset: int
    data: Any


@dataclass(frozen=True, slots=True)
class History:
    """Publications of a channel, oldest first, and its newest position at that moment."""

    position: Position
    publications: Sequence[Publication]
    recovered: bool
    """Whether nothing is missing between the `since` that was asked for and the first of `publications`."""

    @classmethod
    def of(cls, found: channel.History) -> Self:
        """The same with the data read, which a broker carries as text."""
        read = tuple(Publication(one.offset, json.loads(one.data)) for one in found.publications)
        return cls(found.position, read, found.recovered)

"""What rounds come to: medians with their spread, and ratios within a round.

Whatever else the machine does hits all subjects of a round alike, so only ratios say something about the code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Spread:
    """A median, and the lowest and highest that it stands for."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread | None:
    """`None` where nothing was measured."""
    return Spread(median(values), min(values), max(values)) if values else None


def ratio(own: Mapping[int, float], other: Mapping[int, float]) -> Spread | None:
    """How many times the other's value, round by round; rounds that only one of them has do not count."""
    return spread([own[each] / other[each] for each in sorted(own) if other.get(each)])


def in_turn(names: Sequence[str], rounds: int) -> Iterator[tuple[int, str]]:
    """Every name once a round, each round beginning with another."""
    for number in range(rounds):
        first = number % len(names) if names else 0
        for name in (*names[first:], *names[:first]):
            yield number, name

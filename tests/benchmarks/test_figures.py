"""Medians, spreads and ratios: rounds count only beside each other."""

from __future__ import annotations

import pytest
from figures import Spread, in_turn, ratio, spread


def test_a_spread_is_the_median_with_its_extremes() -> None:
    assert spread([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)


def test_nothing_measured_has_no_spread() -> None:
    assert spread([]) is None


def test_ratios_are_taken_within_a_round() -> None:
    """Both subjects were ten times as fast in the second round, which says nothing about either."""
    own, other = {0: 20.0, 1: 200.0, 2: 30.0}, {0: 10.0, 1: 100.0, 2: 10.0}
    assert ratio(own, other) == Spread(2.0, 2.0, 3.0)


@pytest.mark.parametrize("other", [{}, {1: 5.0}, {0: 0.0}])
def test_a_round_that_only_one_has_does_not_count(other: dict[int, float]) -> None:
    assert ratio({0: 20.0}, other) is None


def test_every_round_begins_with_another_subject() -> None:
    turns = list(in_turn(["a", "b", "c"], 3))
    assert [name for _, name in turns] == ["a", "b", "c", "b", "c", "a", "c", "a", "b"]
    assert [number for number, _ in turns] == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_nobody_takes_no_turns() -> None:
    assert list(in_turn([], 3)) == []

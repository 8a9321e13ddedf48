"""How often each subject has its turn."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
import scenes


class Half:
    """The server of a seat, or its load generator: whatever it is told to do, it has done."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


@pytest.mark.parametrize(("scene", "each"), [("fanout", 6), ("bursts", 6), ("latency", 2), ("echo", 2)])
def test_what_varies_most_is_measured_three_times_a_round(
    monkeypatch: pytest.MonkeyPatch, scene: str, each: int
) -> None:
    taken: list[tuple[int, str]] = []
    monkeypatch.setitem(
        scenes.SCENES, scene, lambda _bench, seat, number, _count: taken.append((number, seat.name))
    )
    names = ["ours", "theirs"]
    seats: Any = {name: SimpleNamespace(name=name, server=Half(), load=Half()) for name in names}
    bench: Any = SimpleNamespace(
        options=SimpleNamespace(rounds=2), who=lambda _: [SimpleNamespace(name=name) for name in names]
    )
    scenes._play(bench, scene, seats, 10)
    assert Counter(name for _, name in taken) == {"ours": each, "theirs": each}
    assert len(set(taken)) == 2 * each  # so that each is compared with the other's at its side

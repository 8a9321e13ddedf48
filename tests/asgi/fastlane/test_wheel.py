"""The one timer: rings in the step after the time, never before it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from holdfast.asgi.fastlane.wheel import STEP, Wheel


class Loop:
    """As much of a loop as a wheel needs, with its own time."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.calls: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> Loop.Handle:
        entry = (when, callback)
        self.calls.append(entry)
        return Loop.Handle(self, entry)

    def until(self, when: float) -> None:
        while due := sorted((call for call in self.calls if call[0] <= when), key=lambda call: call[0]):
            self.calls.remove(due[0])
            self.now = max(self.now, due[0][0])
            due[0][1]()
        self.now = when

    class Handle:
        def __init__(self, loop: Loop, entry: tuple[float, Callable[[], None]]) -> None:
            self.loop, self.entry = loop, entry

        def cancel(self) -> None:
            if self.entry in self.loop.calls:
                self.loop.calls.remove(self.entry)


class Bell:
    def __init__(self, then: Callable[[], None] | None = None) -> None:
        self.due = 0
        self.rings = 0
        self.then = then

    def rang(self) -> None:
        self.rings += 1
        if self.then:
            self.then()


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def wheel(loop: Loop) -> Wheel:
    return Wheel(loop)  # type: ignore[arg-type]  # it is a loop as far as the wheel sees


@pytest.mark.parametrize("seconds", [0.0, 0.01, STEP, 1.0, 19.99])
def test_it_rings_within_a_step_after_the_time_and_never_before(
    loop: Loop, wheel: Wheel, seconds: float
) -> None:
    bell = Bell()
    wheel.set(bell, seconds)
    loop.until(1_000 + seconds - 0.001)
    assert bell.rings == 0
    loop.until(1_000 + seconds + STEP)
    assert bell.rings == 1
    assert len(wheel) == 0


def test_there_is_one_timer_for_all_and_none_for_nobody(loop: Loop, wheel: Wheel) -> None:
    bells = [Bell() for _ in range(100)]
    for number, bell in enumerate(bells):
        wheel.set(bell, number / 10)
    assert len(loop.calls) == 1
    loop.until(1_020)
    assert [bell.rings for bell in bells] == [1] * 100
    assert loop.calls == []


def test_setting_again_moves_it(loop: Loop, wheel: Wheel) -> None:
    bell = Bell()
    wheel.set(bell, 1)
    wheel.set(bell, 5)
    loop.until(1_004)
    assert bell.rings == 0
    loop.until(1_006)
    assert bell.rings == 1


def test_a_sooner_one_is_not_late_for_a_later_one(loop: Loop, wheel: Wheel) -> None:
    late, soon = Bell(), Bell()
    wheel.set(late, 60)
    wheel.set(soon, 1)
    loop.until(1_001.2)
    assert (late.rings, soon.rings) == (0, 1)


def test_a_dropped_one_is_silent_also_when_it_is_due_in_the_same_step(loop: Loop, wheel: Wheel) -> None:
    bells: list[Bell] = []
    bells += [Bell(lambda: wheel.drop(bells[1])), Bell(lambda: wheel.drop(bells[0]))]
    for bell in bells:
        wheel.set(bell, 1)
    loop.until(1_002)
    assert sorted(bell.rings for bell in bells) == [0, 1]


def test_one_may_be_set_again_from_its_ring(loop: Loop, wheel: Wheel) -> None:
    bell = Bell()
    bell.then = lambda: wheel.set(bell, 1)
    wheel.set(bell, 1)
    loop.until(1_010)
    assert 8 <= bell.rings <= 9


async def test_it_runs_on_a_real_loop() -> None:
    rung = asyncio.Event()
    wheel = Wheel(asyncio.get_running_loop())
    wheel.set(Bell(rung.set), 0.01)
    async with asyncio.timeout(10):
        await rung.wait()

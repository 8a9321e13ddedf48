"""Rounds that take turns, and what they come to: medians, and ratios within one round.

Whatever else the machine does hits all subjects of a round alike, so only ratios say something about the code.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from servers import Server

SECONDS = 15.0
"""After so long no further round is begun, so that a busy machine does not make a run endless."""


@dataclass(frozen=True)
class Sample:
    """One subject in one round."""

    per_second: float
    cpu_us: float | None
    """CPU time of the server for one operation, in microseconds."""


@dataclass(frozen=True)
class Figure:
    """One subject in all rounds, beside the first subject."""

    rounds: int
    per_second: float
    times: float
    """How many times the first subject's speed."""
    cpu_us: float | None
    cpu_times: float | None


def up_to(rounds: int, seconds: float = SECONDS) -> Iterator[int]:
    """The numbers of the rounds: one at least, and no new one after so many seconds."""
    started = time.monotonic()
    for number in range(rounds):
        if number and time.monotonic() - started > seconds:
            return
        yield number


async def measure(server: Server, operations: int, work: Callable[[], Awaitable[None]]) -> Sample:
    """How fast `work`, which is so many operations, gets done."""
    cpu = server.cpu_seconds()
    started = time.perf_counter()
    await work()
    seconds = time.perf_counter() - started
    cpu_after = server.cpu_seconds()
    used = None if cpu is None or cpu_after is None else (cpu_after - cpu) / operations * 1e6
    return Sample(operations / seconds, used)


async def take_turns(
    subjects: Sequence[str], rounds: int, work: Callable[[str], Awaitable[Sample]]
) -> dict[str, Figure]:
    """Every subject once a round, each round beginning with another; the first subject is what the rest is held to."""
    taken: dict[str, list[Sample]] = {subject: [] for subject in subjects}
    for number in up_to(rounds):
        first = number % len(subjects)
        for subject in (*subjects[first:], *subjects[:first]):
            taken[subject].append(await work(subject))
    base = taken[subjects[0]]
    return {subject: _figure(samples, base) for subject, samples in taken.items()}


def _figure(samples: list[Sample], base: list[Sample]) -> Figure:
    pairs = list(zip(samples, base, strict=True))
    cpu = [sample.cpu_us for sample in samples if sample.cpu_us is not None]
    cpu_pairs = [own.cpu_us / its.cpu_us for own, its in pairs if own.cpu_us is not None and its.cpu_us]
    return Figure(
        rounds=len(samples),
        per_second=median(sample.per_second for sample in samples),
        times=median(own.per_second / its.per_second for own, its in pairs),
        cpu_us=median(cpu) if cpu else None,
        cpu_times=median(cpu_pairs) if cpu_pairs else None,
    )

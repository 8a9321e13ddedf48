"""What a run has found, in memory, as JSON, and as tables for a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from figures import Spread, ratio, spread
from metrics import GOALS, LIMIT, METRICS, Goal, split, title

FORMAT = 1


@dataclass
class Results:
    """Samples by key (`fanout@1000`), subject and round; each has a `value` and what else was seen."""

    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    samples: dict[str, dict[str, dict[int, dict[str, Any]]]] = field(default_factory=dict)
    seconds: float = 0.0

    def add(self, key: str, subject: str, number: int, value: float, **seen: Any) -> None:
        by_subject = self.samples.setdefault(key, {}).setdefault(subject, {})
        by_subject[number] = {"value": value, **seen}

    def fail(self, key: str, subject: str, number: int, why: str) -> None:
        """A round that has no value, and why."""
        self.samples.setdefault(key, {}).setdefault(subject, {})[number] = {"failed": why}

    def values(self, key: str, subject: str) -> dict[int, float]:
        taken = self.samples.get(key, {}).get(subject, {})
        return {number: each["value"] for number, each in taken.items() if "value" in each}

    def median(self, key: str, subject: str) -> Spread | None:
        return spread(list(self.values(key, subject).values()))

    def ratio(self, key: str, subject: str, other: str) -> Spread | None:
        return ratio(self.values(key, subject), self.values(key, other))

    def seen(self, key: str, subject: str, name: str) -> list[Any]:
        """What else was seen under a name, of the rounds that have it."""
        return [each[name] for each in self.samples[key][subject].values() if name in each]

    def goals(self) -> Iterator[tuple[str, Goal, Spread]]:
        """Each goal that this run says something about, with the key and what came out."""
        for key in self.samples:
            name, _ = split(key)
            for goal in GOALS:
                if goal.metric == name:
                    got = (
                        self.ratio(key, goal.subject, goal.other)
                        if goal.other
                        else self.median(key, goal.subject)
                    )
                    if got is not None:
                        yield key, goal, got

    def to_json(self) -> str:
        figures = {
            key: {subject: self._figure(key, subject) for subject in subjects}
            for key, subjects in self.samples.items()
        }
        whole = {"format": FORMAT, **asdict(self), "figures": figures}
        return "{\n" + ",\n".join(_member(name, value) for name, value in whole.items()) + "\n}"

    def _figure(self, key: str, subject: str) -> dict[str, Any]:
        own, base = self.median(key, subject), METRICS[split(key)[0]].base
        times = self.ratio(key, subject, base)
        return {"value": own and asdict(own), f"times {base}": times and asdict(times)}


def _member(name: str, value: Any) -> str:
    """One member of the whole; a subject of a metric is one line, so that runs can be compared with `diff`."""
    if name in ("samples", "figures"):
        keys = []
        for key, subjects in value.items():
            lines = (f"   {json.dumps(subject)}: {_compact(each)}" for subject, each in subjects.items())
            keys.append(f"  {json.dumps(key)}: {{\n" + ",\n".join(lines) + "\n  }")
        return f" {json.dumps(name)}: {{\n" + ",\n".join(keys) + "\n }"
    return f" {json.dumps(name)}: {_compact(value)}"


def _compact(value: Any) -> str:
    return json.dumps(_rounded(value), ensure_ascii=False)


def _rounded(value: Any) -> Any:
    """Five digits are more than any round is worth."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    return value


def from_json(text: str) -> Results:
    """Results that were written by `to_json`.

    Raises:
        ValueError: they are of another format.
    """
    whole = json.loads(text)
    if whole.pop("format", None) != FORMAT:
        raise ValueError(f"not results of format {FORMAT}")
    del whole["figures"]
    for by_subject in whole["samples"].values():
        for subject, rounds in by_subject.items():
            by_subject[subject] = {int(number): sample for number, sample in rounds.items()}
    return Results(**whole)


def read(path: Path) -> Results:
    return from_json(path.read_text(encoding="utf-8"))


def table(results: Results, key: str) -> str:
    """A metric in a terminal: a line for each subject, the best first."""
    name, _ = split(key)
    metric = METRICS[name]
    lines = ["", f"{title(key)} ({metric.unit})"]
    lines.append(
        f"  {'':<18}{'median':>12}{'low .. high':>24}{'x ' + metric.base:>12}{'x limit':>10}{'idle':>7}"
    )
    for subject in ranked(results, key):
        own = results.median(key, subject)
        if own is None:
            lines.append(f"  {subject:<18}{'-':>12}   {reason(results, key, subject)}")
            continue
        digits = metric.digits
        cells = f"{own.median:>12,.{digits}f}{f'{own.low:,.{digits}f} .. {own.high:,.{digits}f}':>24}"
        cells += f"{_times(results.ratio(key, subject, metric.base)):>12}"
        cells += f"{_times(results.ratio(key, subject, LIMIT) if metric.limited else None):>10}"
        idle = results.seen(key, subject, "load_idle")
        cells += f"{f'{min(idle):.0%}' if idle else '':>7}"
        lines.append(f"  {subject:<18}{cells} {remarks(results, key, subject)}".rstrip())
    return "\n".join(lines)


def ranked(results: Results, key: str) -> list[str]:
    """Subjects, the best first, those without a value last."""
    better = METRICS[split(key)[0]].more_is_better

    def place(subject: str) -> float:
        own = results.median(key, subject)
        return float("inf") if own is None else -own.median if better else own.median

    return sorted(results.samples[key], key=place)


def reason(results: Results, key: str, subject: str) -> str:
    return next(iter(results.seen(key, subject, "failed")), "not measured")


def remarks(results: Results, key: str, subject: str) -> str:
    """What makes a figure less than it seems: rounds that failed, messages that were lost, a CPU taken by others."""
    said = []
    if failed := results.seen(key, subject, "failed"):
        said.append(f"{len(failed)} rounds failed: {failed[0]}")
    if lost := sum(results.seen(key, subject, "missing")):
        said.append(f"{lost:,} messages lost")
    waited = results.seen(key, subject, "waited")
    if waited and max(waited) > DISTURBED:
        said.append(f"disturbed: up to {max(waited):.0%} of a slice")
    idle = results.seen(key, subject, "load_idle")
    if idle and min(idle) < NO_TIME_LEFT:
        said.append("at least: the load generator had no time left")
    return f" ({'; '.join(said)})" if said else ""


NO_TIME_LEFT = 0.02
"""Below this share of idle time the load generator may have been what was measured."""
DISTURBED = 0.05
"""From this share of time on that the server or the load generator waited for a CPU, a figure is marked."""


def goals_table(results: Results) -> str:
    """What Holdfast is held to, beside what came out."""
    lines = ["", "Goals"]
    for key, goal, got in results.goals():
        other = f" / {goal.other}" if goal.other else ""
        sign = ">=" if goal.at_least else "<="
        verdict = "met" if goal.met(got.median) else "MISSED"
        shown = f"{got.median:.2f} ({got.low:.2f} .. {got.high:.2f})"
        lines.append(f"  {f'{key} {goal.subject}{other}':<48}{sign} {goal.bound:<6}{shown:>26}  {verdict}")
    return "\n".join(lines) if len(lines) > 2 else ""


def _times(times: Spread | None) -> str:
    return "" if times is None else f"{times.median:.2f}"

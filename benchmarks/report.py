"""Write the figures of docs/benchmarks.md and its charts anew from the results of a run.

    python benchmarks/report.py benchmarks/results/latest.json

Only what stands between the two marks of the page is replaced; the rest is written by people.
"""

from __future__ import annotations

import sys
from pathlib import Path

from chart import Bar, bars
from figures import Spread
from metrics import LIMIT, METRICS, Goal, split, title
from results import Results, ranked, read, reason, remarks
from subjects import BY_NAME

ROOT = Path(__file__).parent.parent
LATEST = Path(__file__).parent / "results" / "latest.json"
PAGE = ROOT / "docs" / "benchmarks.md"
IMAGES = ROOT / "docs" / "images"
DRAWN = ("handshakes", "memory", "fanout", "bursts", "p50", "cpu", "echo", "refreshes")
"""The metrics that have a chart besides their table."""
BEGIN, END = "<!-- figures: made by benchmarks/report.py -->", "<!-- /figures -->"


def main() -> int:
    results = read(Path(sys.argv[1]) if len(sys.argv) > 1 else LATEST)
    for old in IMAGES.glob("bench-*.svg"):
        old.unlink()
    for name, drawn in charts(results).items():
        (IMAGES / name).write_text(drawn, encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")
    return 0


def page(text: str, results: Results) -> str:
    """The page with these results in it.

    Raises:
        ValueError: it has lost its marks.
    """
    before, begun, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (begun and ended):
        raise ValueError(f"the page has no {BEGIN} … {END}")
    return f"{before}{BEGIN}\n\n{figures(results)}\n\n{END}{after}"


def figures(results: Results) -> str:
    """Everything between the marks."""
    parts = [run_text(results), goals_text(results), subjects_text(results)]
    for key in results.samples:
        drawn = f"![{title(key)}](images/{file_name(key)})" if is_drawn(key) else ""
        parts += [f"### {title(key)}", drawn, metric_text(results, key)]
    return "\n\n".join(part for part in parts if part)


def charts(results: Results) -> dict[str, str]:
    """The SVGs by file name."""
    return {file_name(key): chart(results, key) for key in results.samples if is_drawn(key)}


def is_drawn(key: str) -> bool:
    return split(key)[0] in DRAWN


def file_name(key: str) -> str:
    name, count = split(key)
    return f"bench-{name}-{count}.svg"


def chart(results: Results, key: str) -> str:
    metric = METRICS[split(key)[0]]
    rows = []
    for subject in ranked(results, key):
        own = results.median(key, subject)
        if own is not None:
            shown = f"{own.median:,.{metric.digits}f}"
            rows.append(Bar(subject, own.median, own.low, own.high, shown, kind_of(subject)))
    return bars(f"{title(key)} ({metric.unit})", rows)


def kind_of(subject: str) -> str:
    return "ours" if subject.startswith("holdfast") else "limit" if subject.startswith(LIMIT) else "bar"


# Texts


def run_text(results: Results) -> str:
    """Where and with what it was run."""
    machine, options = results.machine, results.options
    pinned = "server and load generator pinned to a core each" if machine.get("pinned") else "not pinned"
    first = " ".join(
        (
            f"One run of {machine['taken']}: {machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB,",
            f"{machine['system']}; {pinned}; {options['rounds']} rounds, slices of {options['seconds']:g} s;",
            f"{results.seconds / 60:.0f} minutes in all. The load average before it was {machine['load_before']}.",
        )
    )
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    parts = [first, f"Versions: {versions}."]
    if results.skipped:
        left = "; ".join(f"{name} ({why})" for name, why in results.skipped.items())
        parts.append(f"Not measured here: {left}.")
    return "\n\n".join(parts)


def goals_text(results: Results) -> str:
    """What Holdfast is held to, and whether this run kept it."""
    rows = [goal_row(key, goal, got) for key, goal, got in results.goals()]
    if not rows:
        return ""
    head = ["### Goals", "", "| | of what | goal | this run | rounds | |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *rows])


def goal_row(key: str, goal: Goal, got: Spread) -> str:
    metric = METRICS[goal.metric]
    other = f"times {goal.other}" if goal.other else metric.unit
    sign = "≥" if goal.at_least else "≤"
    digits = 2 if goal.other else metric.digits
    shown = f"{got.median:,.{digits}f} | {got.low:,.{digits}f} … {got.high:,.{digits}f}"
    verdict = "met" if goal.met(got.median) else "**missed**"
    return f"| {title(key)} | {goal.subject}, {other} | {sign} {goal.bound:g} | {shown} | {verdict} |"


def subjects_text(results: Results) -> str:
    """What the short names stand for."""
    named = [name for name in BY_NAME if any(name in subjects for subjects in results.samples.values())]
    rows = [f"| {name} | {BY_NAME[name].title} |" for name in named]
    return "\n".join(["### Subjects", "", "| | |", "|---|---|", *rows]) if rows else ""


def metric_text(results: Results, key: str) -> str:
    """The table below a chart."""
    metric = METRICS[split(key)[0]]
    compared = [metric.base, *((LIMIT,) if metric.limited and metric.base != LIMIT else ())]
    compared = [other for other in compared if results.median(key, other)]
    idle = any(results.seen(key, subject, "load_idle") for subject in results.samples[key])
    head = [
        "",
        metric.unit,
        "rounds",
        *(f"times {other}" for other in compared),
        *(("load idle",) if idle else ()),
    ]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for subject in ranked(results, key):
        own = results.median(key, subject)
        if own is None:
            lines.append(f"| {subject} | – | {reason(results, key, subject)} |" + " |" * (len(head) - 3))
            continue
        cells = [f"{subject}{remarks(results, key, subject)}", *_spread(own, metric.digits)]
        for other in compared:
            times = results.ratio(key, subject, other)
            cells.append("" if times is None else f"{times.median:.2f} ({times.low:.2f} … {times.high:.2f})")
        if idle:
            shares = results.seen(key, subject, "load_idle")
            cells.append(f"{min(shares):.0%}" if shares else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _spread(own: Spread, digits: int) -> tuple[str, str]:
    return f"{own.median:,.{digits}f}", f"{own.low:,.{digits}f} … {own.high:,.{digits}f}"


if __name__ == "__main__":
    sys.exit(main())

"""Bar charts as SVG, written by hand: no library draws so little."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, LABELS, VALUES = 760, 150, 120
ROW, BAR, TOP, BOTTOM = 26, 16, 44, 14

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 15px }
.value { fill: #59636e }
.bar { fill: #afb8c1 } .ours { fill: #1a7f64 } .limit { fill: #d0a215 }
.range { stroke: #1f2328; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .value { fill: #9198a1 } .range { stroke: #f0f6fc }
  .bar { fill: #656c76 } .ours { fill: #2fb790 }
}
"""


@dataclass(frozen=True)
class Bar:
    """One subject; `kind` is `ours`, `limit`, or `bar` for everybody else."""

    label: str
    value: float
    low: float
    high: float
    shown: str
    kind: str = "bar"


def bars(title: str, rows: Sequence[Bar]) -> str:
    """A chart of horizontal bars from zero, with the range of the rounds as a line."""
    height = TOP + ROW * len(rows) + BOTTOM
    longest = max((row.high for row in rows), default=0) or 1.0
    scale = (WIDTH - LABELS - VALUES) / longest
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" aria-label="{escape(title, {chr(34): "&quot;"})}">',
        f"<style>{STYLE}</style>",
        f'<text class="title" x="8" y="24">{escape(title)}</text>',
    ]
    for number, row in enumerate(rows):
        parts += _bar(row, TOP + ROW * number, scale)
    return "\n".join([*parts, "</svg>", ""])


def _bar(row: Bar, top: int, scale: float) -> list[str]:
    middle = top + BAR / 2
    low, high, end = (LABELS + scale * each for each in (row.low, row.high, row.value))
    return [
        f'<text x="{LABELS - 8}" y="{middle + 5:.0f}" text-anchor="end">{escape(row.label)}</text>',
        f'<rect class="{row.kind}" x="{LABELS}" y="{top}" width="{max(end - LABELS, 1):.1f}" height="{BAR}"/>',
        f'<line class="range" x1="{low:.1f}" y1="{middle}" x2="{high:.1f}" y2="{middle}"/>',
        f'<text class="value" x="{max(end, high) + 8:.1f}" y="{middle + 5:.0f}">{escape(row.shown)}</text>',
    ]

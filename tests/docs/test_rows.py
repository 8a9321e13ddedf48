"""docs/rows.md names, for each row that was asked for, the files whose tests show it."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = re.findall(
    r"^\| ([SCP]\d+) \| [^|]+ \| ([^|]+) \|$", (ROOT / "docs" / "rows.md").read_text(), re.MULTILINE
)
IN_A_BROWSER = {"S7", "S8", "S10", "P10"}


def named() -> dict[str, set[str]]:
    """The files that have a test named after each row; one name may be of several, as `test_c01_to_c12_…` is."""
    found = defaultdict(set)
    for path in (ROOT / "tests").rglob("test_*.py"):
        for several, rest in re.findall(
            r"def test_((?:[scp]\d+_)+)(to_c\d+_)?", path.read_text(encoding="utf-8")
        ):
            rows = re.findall(r"[scp]\d+", several)
            if rest:
                first, last = (int(re.sub(r"\D", "", row)) for row in (several, rest))
                rows = [f"c{number:02}" for number in range(first, last + 1)]
            for row in rows:
                found[row.upper()].add(str(path.relative_to(ROOT)))
    return found


def test_s12_every_row_has_tests_named_after_it_and_the_page_says_where() -> None:
    listed = {row: set(re.findall(r"`(tests/[\w/]+\.py)`", files)) for row, files in TABLE}
    asked = (
        [f"S{n}" for n in range(1, 13)],
        [f"C{n:02}" for n in range(1, 13)],
        [f"P{n}" for n in range(1, 11)],
    )
    assert list(listed) == [row for part in asked for row in part]
    for row in IN_A_BROWSER:
        assert listed.pop(row)
    assert listed == named()


def test_every_file_of_the_page_has_tests() -> None:
    for row, files in TABLE:
        for name in re.findall(r"`(tests/[\w/]+\.py)`", files):
            assert "def test_" in (ROOT / name).read_text(encoding="utf-8"), f"{row}: {name}"

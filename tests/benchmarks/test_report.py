"""The page and its charts are what the committed results say."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from chart import Bar, bars
from report import BEGIN, END, IMAGES, LATEST, PAGE, charts, figures, page
from results import Results, read


@pytest.fixture
def results() -> Results:
    made = Results(
        machine={
            "cpu": "a CPU",
            "cores": 2,
            "memory_gb": 4,
            "system": "Linux",
            "taken": "2026-01-31",
            "load_before": 0.1,
            "pinned": True,
        },
        versions={"Python": "3.11"},
        options={"rounds": 2, "seconds": 0.5},
        skipped={"picows": "there is no wheel"},
        seconds=120.0,
    )
    for number in range(2):
        made.add("fanout@1000", "holdfast", number, 200.0 + number, load_idle=0.4)
        made.add("fanout@1000", "fastapi", number, 100.0, load_idle=0.6)
        made.add("subscribing@1000", "holdfast", number, 50.0)
    made.fail("fanout@1000", "channels", 0, "did not start")
    return made


def test_the_page_is_made_from_the_committed_results() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert page(text, read(LATEST)) == text


def test_the_charts_are_made_from_the_committed_results() -> None:
    found = {path.name: path.read_text(encoding="utf-8") for path in IMAGES.glob("bench-*.svg")}
    assert found == charts(read(LATEST))


def test_only_what_stands_between_the_marks_is_replaced(results: Results) -> None:
    text = page(f"before {BEGIN}\nwhat was there\n{END} after", results)
    assert text.startswith(f"before {BEGIN}\n")
    assert text.endswith(f"{END} after")
    assert "what was there" not in text
    assert page(text, results) == text


def test_a_page_without_marks_is_refused(results: Results) -> None:
    with pytest.raises(ValueError, match="the page has no"):
        page("no marks", results)


def test_figures_name_the_run_the_goals_and_who_is_missing(results: Results) -> None:
    text = figures(results)
    assert "a CPU, 2 cores, 4 GB" in text
    assert "Python 3.11" in text
    assert "picows (there is no wheel)" in text
    assert "| holdfast, times fastapi | ≥ 1.9 | 2.00 | 2.00 … 2.01 | met |" in text
    assert "did not start" in text


def test_every_row_of_a_table_has_the_cells_of_its_head(results: Results) -> None:
    lines = figures(results).splitlines()
    for above, line in pairwise(lines):
        if above.startswith("|") and line.startswith("|"):
            assert line.count("|") == above.count("|"), line


def test_a_chart_is_well_formed_and_says_what_it_shows() -> None:
    drawn = bars(
        'speed & "ease" (a/s)', [Bar("<ours>", 2.0, 1.0, 3.0, "2", "ours"), Bar("other", 1.0, 1.0, 1.0, "1")]
    )
    root = ElementTree.fromstring(drawn)
    assert root.attrib["aria-label"] == 'speed & "ease" (a/s)'
    widths = [float(rect.attrib["width"]) for rect in root.iter("{http://www.w3.org/2000/svg}rect")]
    assert widths[0] == pytest.approx(2 * widths[1], rel=0.01)
    assert "<ours>" in [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]


def test_an_empty_chart_is_drawn_too() -> None:
    ElementTree.fromstring(bars("nothing", []))


def test_results_lie_where_the_page_says() -> None:
    assert "benchmarks/results/latest.json" in PAGE.read_text(encoding="utf-8")
    assert Path(LATEST).exists()

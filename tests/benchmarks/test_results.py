"""What a run keeps, how it is written down, and how it is judged."""

from __future__ import annotations

import json

import pytest
from metrics import GOALS, METRICS, Goal, split, title
from results import DISTURBED, NO_TIME_LEFT, Results, from_json, goals_table, ranked, remarks, table
from subjects import BY_NAME

FANOUT = "fanout@1000"


@pytest.fixture
def results() -> Results:
    made = Results(machine={"cpu": "a CPU"}, skipped={"picows": "there is no wheel"})
    for number, (ours, theirs) in enumerate([(200.0, 100.0), (180.0, 60.0), (260.0, 130.0)]):
        made.add(FANOUT, "holdfast", number, ours, load_idle=0.4, waited=0.0, missing=0)
        made.add(FANOUT, "fastapi", number, theirs, load_idle=0.6, waited=0.0, missing=0)
    return made


def test_results_come_back_from_json_as_they_were(results: Results) -> None:
    assert from_json(results.to_json()) == results


def test_json_has_medians_and_ratios_for_other_programs(results: Results) -> None:
    figure = json.loads(results.to_json())["figures"][FANOUT]["holdfast"]
    assert figure["value"] == {"median": 200.0, "low": 180.0, "high": 260.0}
    assert figure["times fastapi"] == {"median": 2.0, "low": 2.0, "high": 3.0}


def test_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="format 1"):
        from_json('{"format": 99}')


def test_the_best_comes_first_and_who_has_no_value_last(results: Results) -> None:
    results.fail(FANOUT, "picows", 0, "did not start")
    assert ranked(results, FANOUT) == ["holdfast", "fastapi", "picows"]


def test_less_is_better_where_it_is() -> None:
    results = Results()
    results.add("memory@1000", "holdfast", 0, 4.0)
    results.add("memory@1000", "fastapi", 0, 30.0)
    assert ranked(results, "memory@1000") == ["holdfast", "fastapi"]


def test_a_table_shows_why_there_is_no_figure(results: Results) -> None:
    results.fail(FANOUT, "picows", 0, "did not start: no module")
    assert "did not start: no module" in table(results, FANOUT)
    assert "2.00" in table(results, FANOUT)


def test_lost_messages_and_a_taken_cpu_are_told(results: Results) -> None:
    results.add(FANOUT, "holdfast", 3, 900.0, waited=DISTURBED + 0.01, missing=1_234)
    said = remarks(results, FANOUT, "holdfast")
    assert "1,234 messages lost" in said
    assert "disturbed: up to 6%" in said


def test_a_figure_that_the_load_generator_could_not_exceed_says_so(results: Results) -> None:
    results.add(FANOUT, "holdfast", 3, 900.0, load_idle=NO_TIME_LEFT / 2)
    assert "no time left" in remarks(results, FANOUT, "holdfast")


def test_undisturbed_rounds_without_loss_have_no_remark(results: Results) -> None:
    assert remarks(results, FANOUT, "holdfast") == ""


def test_goals_are_judged_by_the_median_of_paired_ratios(results: Results) -> None:
    [(key, goal, got)] = list(results.goals())
    assert (key, goal.other, got.median) == (FANOUT, "fastapi", 2.0)
    assert goal.met(got.median)
    assert "met" in goals_table(results)
    results.samples[FANOUT]["holdfast"][0]["value"] = results.samples[FANOUT]["holdfast"][2]["value"] = 10.0
    assert "MISSED" in goals_table(results)


@pytest.mark.parametrize(
    ("goal", "value", "met"),
    [
        (Goal("fanout", "holdfast", 0.9, "limit"), 0.9, True),
        (Goal("fanout", "holdfast", 0.9, "limit"), 0.89, False),
        (Goal("memory", "holdfast", 5.0, at_least=False), 5.0, True),
        (Goal("memory", "holdfast", 5.0, at_least=False), 5.1, False),
    ],
)
def test_a_bound_belongs_to_what_meets_it(goal: Goal, value: float, met: bool) -> None:
    assert goal.met(value) is met


def test_goals_name_metrics_and_subjects_that_there_are() -> None:
    for goal in GOALS:
        assert goal.metric in METRICS
        assert goal.subject in BY_NAME
        assert goal.other is None or goal.other in BY_NAME


def test_a_key_says_metric_and_count() -> None:
    assert split(FANOUT) == ("fanout", 1_000)
    assert title(FANOUT) == "One message at a time to 1,000 subscribers"

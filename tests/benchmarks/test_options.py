"""The command line of `make bench`."""

from __future__ import annotations

import pytest
from options import FULL, QUICK, SCENES, Options, parse
from subjects import BY_NAME


def test_nothing_asked_for_is_everything() -> None:
    options = parse([])
    assert options == Options()
    assert options.scenes == SCENES
    assert options.subjects == tuple(BY_NAME)
    assert options.rounds >= 3


def test_what_is_said_overrules_a_preset() -> None:
    options = parse(["--quick", "--rounds", "7"])
    assert options.rounds == 7
    assert options.scenes == QUICK["scenes"]


def test_full_measures_both_numbers_of_subscribers() -> None:
    assert parse(["--full"]).subscribers == FULL["subscribers"] == (1_000, 5_000)


def test_lists_are_comma_separated() -> None:
    options = parse(
        ["--scenes", "fanout, bursts", "--subjects", "holdfast,limit", "--subscribers", "50,1_000"]
    )
    assert options.scenes == ("fanout", "bursts")
    assert options.subjects == ("holdfast", "limit")
    assert options.subscribers == (50, 1_000)


@pytest.mark.parametrize(
    ("arguments", "where"), [([], None), (["--json"], "-"), (["--json", "x.json"], "x.json")]
)
def test_json_goes_where_it_is_asked_to(arguments: list[str], where: str | None) -> None:
    assert parse(arguments).json == where


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--scenes", "fanuot"], "no such scene: fanuot; there are handshakes"),
        (["--subjects", "nginx"], "no such subject: nginx; there are limit"),
        (["--connections", "20001"], "more than 20,000 connections"),
        (["--subscribers", "0"], "start above 0"),
        (["--rounds", "0"], "start above 0"),
        (["--seconds", "0"], "start above 0"),
    ],
)
def test_a_wrong_option_is_explained(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


def test_the_list_names_every_scene_and_subject(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(["--list"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for name in (*SCENES, *BY_NAME):
        assert name in shown

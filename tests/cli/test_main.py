from __future__ import annotations

from typing import Any

import pytest

import holdfast

COMMANDS = [
    ("serve",),
    ("demo",),
    ("check-config",),
    ("users", "list"),
    ("users", "add"),
    ("users", "disable"),
    ("users", "enable"),
    ("users", "password"),
    ("sessions", "list"),
    ("sessions", "revoke"),
    ("keys", "list"),
    ("keys", "rotate"),
]


def test_the_version_is_said(process: Any) -> None:
    done = process("--version")
    assert (done.code, done.out) == (0, f"holdfast {holdfast.__version__}\n")


def test_without_a_command_the_commands_are_shown(command: Any) -> None:
    done = command()
    for words in COMMANDS:
        assert words[0] in done.text


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(command: Any, words: tuple[str, ...]) -> None:
    done = command(*words, "--help")
    assert done.code == 0
    assert f"Usage: holdfast {' '.join(words)}" in done.out


def test_help_names_default_and_variable_of_each_flag(command: Any) -> None:
    text = command("serve", "--help").out
    for expected in (
        "--access-token-expire-minutes",
        "ACCESS_TOKEN_EXPIRE_MINUTES",
        "1440",
        "Live connections",
    ):
        assert expected in text
    assert "--secret-key" not in text
    assert "--admin-password" not in text


@pytest.mark.parametrize("wrong", [["sreve"], ["serve", "--prot", "1"], ["users", "disable"]])
def test_a_wrong_command_line_is_exit_code_2(command: Any, wrong: list[str]) -> None:
    done = command(*wrong)
    assert (done.code, done.out) == (2, "")
    assert done.err


def test_what_fails_in_a_process_of_its_own_is_a_sentence_too(process: Any) -> None:
    done = process("users", "list")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: there is no database at data/holdfast.db")

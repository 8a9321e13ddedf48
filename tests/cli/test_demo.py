from __future__ import annotations

import json
import subprocess
import sys

import pytest

from holdfast.cli.demo_load import Counts


@pytest.fixture(scope="module")
def shown() -> subprocess.CompletedProcess[str]:
    """The shortest demo there is: more than one lifetime of real servers and real sockets."""
    command = [
        sys.executable,
        "-c",
        "from holdfast.cli.main import main; main()",
        "demo",
        "--seconds",
        "9",
        "--json",
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_s11_the_demo_holds_every_connection_and_says_so_in_one_json_line(shown):
    assert shown.returncode == 0, shown.stderr
    numbers = json.loads(shown.stdout.splitlines()[-1])
    assert list(numbers) == [
        "connections", "token_lifetimes", "renewals", "drops", "sent", "received", "lost", "duplicated",
    ]  # fmt: skip
    assert numbers["connections"] == 60
    assert numbers["token_lifetimes"] == 1.5
    assert numbers["renewals"] >= 60
    assert numbers["sent"] > 1000
    assert numbers["received"] > numbers["sent"]
    assert (numbers["drops"], numbers["lost"], numbers["duplicated"]) == (0, 0, 0)


def test_with_json_the_table_leaves_stdout_to_the_program(shown):
    assert len(shown.stdout.splitlines()) == 1
    assert "holdfast.v1" in shown.stderr


def test_each_number_of_the_table_is_under_its_heading_on_a_narrow_terminal(shown):
    lines = [line.split() for line in shown.stderr.splitlines()]
    headings = ["connections", "held", "lease", "renewed", "drops", "sent", "back", "lost", "twice"]
    assert headings in lines
    row = next(line for line in reversed(lines) if line[:1] == ["holdfast.v1"])
    numbers = json.loads(shown.stdout)
    held, lease, unit, renewed, drops, sent, *_ = row[1:]
    assert (held, unit, drops) == ("25", "s", "0")
    assert 0 <= float(lease) <= 6
    assert 25 <= int(renewed.replace(",", "")) < numbers["renewals"]
    assert 0 < int(sent.replace(",", "")) < numbers["sent"]


def test_counts_add_up_kind_by_kind():
    together = Counts(1, 2, 0, 3, 4, 0, 0).plus(Counts(1, 1, 1, 1, 1, 1, 1))
    assert together.values() == (2, 3, 1, 4, 5, 1, 1)

"""What `make` would run: arguments reach the commands, and nothing is run that was not asked for."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")


def would_run(target: str, arguments: str = "") -> list[str]:
    """The last commands of a target, once everything is installed."""
    command = ["make", "--dry-run", "--no-print-directory", target, f"ARGS={arguments}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("target", "arguments", "runs"),
    [
        ("demo", "--seconds 30 --json", ".venv/bin/holdfast demo --seconds 30 --json"),
        ("demo", "", ".venv/bin/holdfast demo"),
        ("serve", "--port 9000", ".venv/bin/holdfast serve --port 9000"),
        ("test", "tests/core -k lease", ".venv/bin/python -m pytest tests/core -k lease"),
        ("bench", "--quick", ".venv/bin/python benchmarks/bench.py --quick"),
    ],
)
def test_arguments_reach_the_command(target: str, arguments: str, runs: str) -> None:
    assert would_run(target, arguments)[-1].strip() == runs


def test_all_tests_are_run_each_once_and_the_core_by_every_branch() -> None:
    runs = [line for line in would_run("test") if "pytest" in line and not line.startswith("#")]
    pure, rest, browser = runs[-3:]
    folders = [word for word in pure.split() if word.startswith("tests/")]
    assert "--cov-fail-under=100" in pure
    assert {"--cov=holdfast.core", "--cov=holdfast.protocol"} <= set(pure.split())
    assert {f"--ignore={folder}" for folder in [*folders, "tests/browser"]} <= set(rest.split())
    assert browser.endswith(" tests/browser")
    for folder in [*folders, "tests/browser"]:
        assert (ROOT / folder).is_dir()


def test_set_up_says_nothing_on_stdout() -> None:
    """What a target prints is for programs too: `make demo ARGS=--json | tail -1`."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.startswith("\t@echo") or "$(PIP) --" in line:
            assert line.rstrip("; \\").endswith(">&2") or ">&2" in line, line

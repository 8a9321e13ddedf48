"""What all tests share: none may depend on how fast this machine is, and what was measured is told at the end."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Where Chromium is: named by HOLDFAST_CHROMIUM, installed, or installed now where that is possible."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = os.environ.get("HOLDFAST_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found is not None:
        return found
    if os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"], check=True)
        return "/usr/bin/chromium"
    pytest.fail("the browser tests need Chromium: install it, or name one in HOLDFAST_CHROMIUM")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print each `record_property("measured", "a sentence with a number")`."""
    told = [
        value
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, ())
        for name, value in getattr(report, "user_properties", ())
        if name == "measured" and report.when == "call"
    ]
    if told:
        terminalreporter.section("measured")
        for line in told:
            terminalreporter.line(line)

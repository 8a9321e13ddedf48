"""What all tests share: none may depend on how fast this machine is, and what was measured is told at the end."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
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


@pytest.fixture
def serving() -> Any:
    """Serves an app with uvicorn on a real socket, in the test's own loop: `async with serving(app) as ws_url`."""

    @asynccontextmanager
    async def serve(app: Any, **options: Any) -> AsyncIterator[str]:
        given = {"port": 0, "log_config": None, "lifespan": "on", "timeout_graceful_shutdown": 5}
        server = uvicorn.Server(uvicorn.Config(app, **{**given, **options}))
        running = asyncio.ensure_future(server.serve())
        async with asyncio.timeout(20):
            while not server.started and not running.done():  # noqa: ASYNC110  # uvicorn has no event for it
                await asyncio.sleep(0.005)
        yield f"ws://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        server.should_exit = True
        await running

    return serve


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

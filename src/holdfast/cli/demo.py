"""`holdfast demo`: connections that outlive ten tokens each, before your eyes, and an honest count of what was lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import re
import secrets
import signal
import sys
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich import box
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from holdfast.cli.demo_load import Counts, Device, Line, settle
from holdfast.cli.output import FAILED, note, prose

HELP = prose("""Watch live connections outlive their tokens.

Starts a real server, and an app that uses the library, on free ports of this machine, with access tokens that live six
seconds. Connections of every kind hold for a minute while messages flow both ways; what arrives is counted at the
clients.

    holdfast demo
    holdfast demo --seconds 30 --json

The exit code is 0 only if nothing dropped, nothing was lost or doubled, and leases really were renewed.
""")

LIFETIME = 6.0
"""Seconds that the servers are told; how many of them a connection outlived is measured at its client."""

DEVICES = 10
V1, PLAIN, LIBRARY = "holdfast.v1", "plain ?token=", "library app"
SIZES = {V1: 25, PLAIN: 25, LIBRARY: 10}
START_SECONDS = 60.0
NAME = "demo"


@dataclass
class Show:
    """Everything that the table and the summary say."""

    console: Console
    seconds: float
    counts: dict[str, Counts] = field(default_factory=lambda: {kind: Counts() for kind in SIZES})
    devices: list[Device] = field(default_factory=list)
    lines: dict[str, list[Line]] = field(default_factory=lambda: {kind: [] for kind in SIZES})
    started: float = 0.0

    @property
    def everything(self) -> list[Line]:
        """The connections of all kinds."""
        return [line for lines in self.lines.values() for line in lines]

    @property
    def lifetimes(self) -> float:
        """How many lifetimes of its tokens every connection has been held, as its client saw it; rounded down."""
        return math.floor(10 * min((line.lifetimes for line in self.everything), default=0.0)) / 10

    @property
    def total(self) -> Counts:
        """All kinds together."""
        together = Counts()
        for counts in self.counts.values():
            together = together.plus(counts)
        return together

    def table(self) -> Table:
        """How it stands."""
        elapsed = time.monotonic() - self.started if self.started else 0.0
        title = f"{elapsed:.0f} s of {self.seconds:.0f}, tokens live {LIFETIME:.0f} s: {self.lifetimes:.1f} lifetimes"
        table = Table(
            title=title, title_justify="left", box=box.SIMPLE, pad_edge=False, collapse_padding=True
        )
        table.add_column("connections", style="bold", no_wrap=True)
        for column in ("held", "lease", "renewed", "drops", "sent", "back", "lost", "twice"):
            table.add_column(column, justify="right", no_wrap=True)
        kinds = [(kind, counts, self.lines[kind]) for kind, counts in self.counts.items()]
        for kind, counts, lines in (*kinds, ("all", self.total, self.everything)):
            held, renewals, drops, *messages = counts.values()
            style = "red" if drops else "green"
            table.add_row(
                kind,
                str(held - drops),
                _shortest_lease(lines),
                f"{renewals:,}",
                f"[{style}]{drops}[/]",
                *(f"{n:,}" for n in messages),
            )
        return table


def _shortest_lease(lines: list[Line]) -> str:
    """What is left of the lease that ends first."""
    left = [line.lease for line in lines if line.ready.is_set()]
    return f"{max(0.0, min(left)):.1f} s" if left else ""


def demo(
    seconds: Annotated[
        float, typer.Option(min=8.0, max=86_400, help="How long the connections are held.")
    ] = 60.0,
    as_json: Annotated[
        bool, typer.Option("--json", help="End with one JSON object on the last line of stdout.")
    ] = False,
) -> None:
    """Watch live connections outlive their tokens."""
    show = Show(Console(stderr=as_json), seconds)
    good = False
    try:
        asyncio.run(_run(show))
        good = _summary(show)
    except (KeyboardInterrupt, asyncio.CancelledError):
        note("[bold red]interrupted[/]")
    except Exception as error:  # noqa: BLE001  # whatever it was, a program that waits for the JSON gets it
        note(f"[bold red]error:[/] the demo could not go on: {escape(str(error) or type(error).__name__)}")
    if as_json:
        sys.stdout.write(json.dumps(_numbers(show)) + "\n")
        sys.stdout.flush()
    raise typer.Exit(0 if good else FAILED)


async def _run(show: Show) -> None:
    running = asyncio.current_task()
    assert running is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    with tempfile.TemporaryDirectory(prefix="holdfast-demo-") as home:
        password = secrets.token_urlsafe(16)
        environment = _environment(Path(home), password)
        show.console.print("Starting a server and a library app, with tokens that live six seconds …")
        async with (
            _serving(_server_command(), environment, Path(home) / "server.log") as server,
            _serving(_app_command(), environment, Path(home) / "app.log") as app,
            httpx.AsyncClient(trust_env=False, timeout=20) as http,
        ):
            await _connect(show, http, server, app, password)


async def _connect(show: Show, http: httpx.AsyncClient, server: str, app: str, password: str) -> None:
    show.devices = [Device(server, http) for _ in range(DEVICES)]
    keeping: list[asyncio.Task[None]] = []
    for device in show.devices:
        await device.sign_in(NAME, password)
        keeping.append(asyncio.create_task(device.keep()))
    stop_sending, hang_up = asyncio.Event(), asyncio.Event()
    lines = _lines(show, server, app)
    holding = [asyncio.create_task(line.hold(stop_sending, hang_up)) for line in lines]
    try:
        await _watch(show, keeping)
        stop_sending.set()
        await settle(lines)
    finally:
        hang_up.set()
        for task in keeping:
            task.cancel()
        await asyncio.gather(*holding, *keeping, return_exceptions=True)
        for line in lines:
            line.settle()


async def _watch(show: Show, keeping: list[asyncio.Task[None]]) -> None:
    """Show how it goes, for as long as asked from the moment on that every connection is there."""
    try:
        async with asyncio.timeout(START_SECONDS):
            for line in show.everything:
                await line.ready.wait()
    except TimeoutError:
        raise RuntimeError("a connection was neither answered nor refused") from None
    show.started = time.monotonic()
    end = show.started + show.seconds
    with Live(show.table(), console=show.console, refresh_per_second=4, transient=True) as live:
        told = 0.0
        while time.monotonic() < end:
            await asyncio.sleep(min(0.25, max(0.0, end - time.monotonic())))
            live.update(show.table())
            if not show.console.is_terminal and time.monotonic() - told >= 10:
                told = time.monotonic()
                show.console.print(show.table())
            _raise_first_failure(keeping)


def _lines(show: Show, server: str, app: str) -> list[Line]:
    for kind, size in SIZES.items():
        for number in range(size):
            speaks_v1 = kind == V1 or (kind == LIBRARY and number % 2 == 0)
            url = f"{app}/jobs" if kind == LIBRARY else f"{server}/ws"
            device = show.devices[number % len(show.devices)]
            line = Line(url.replace("http", "ws", 1), device, show.counts[kind], speaks_v1=speaks_v1)
            show.lines[kind].append(line)
    return show.everything


def _raise_first_failure(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        if task.done() and (error := task.exception()) is not None:
            raise error


def _numbers(show: Show) -> dict[str, Any]:
    connections, renewals, drops, sent, received, lost, duplicated = show.total.values()
    return {
        "connections": connections,
        "token_lifetimes": show.lifetimes,
        "renewals": renewals,
        "drops": drops,
        "sent": sent,
        "received": received,
        "lost": lost,
        "duplicated": duplicated,
    }


def _summary(show: Show) -> bool:
    show.console.print(show.table())
    total = show.total
    good = not (total.drops or total.lost or total.duplicated) and total.renewals > 0
    if good:
        show.console.print(
            f"[bold green]It held.[/] {total.connections} connections for {show.lifetimes:.1f} lifetimes of their "
            f"tokens: {total.renewals:,} renewals, no drop; {total.sent:,} messages there and {total.received:,} back, "
            "none lost, none doubled."
        )
    else:
        show.console.print("[bold red]It did not hold.[/] The table says where; please report it.")
    return good


# The two servers


def _environment(home: Path, password: str) -> dict[str, str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("HOLDFAST_") and name not in ("SECRET_KEY", "ALGORITHM")
    }
    return {
        **inherited,
        "SECRET_KEY": secrets.token_urlsafe(48),
        "ACCESS_TOKEN_EXPIRE_MINUTES": str(LIFETIME / 60),
        "HOLDFAST_DATA_DIR": str(home),
        "HOLDFAST_ADMIN_USERNAME": NAME,
        "HOLDFAST_ADMIN_PASSWORD": password,
        "HOLDFAST_LIVE_GRACE_SECONDS": "0",
        "HOLDFAST_DRAIN_SECONDS": "0",
        "HOLDFAST_LOG_LEVEL": "warning",
        "PYTHONUNBUFFERED": "1",
    }


def _server_command() -> list[str]:
    return ["-c", "from holdfast.cli.main import main; main()", "serve", "--port", "0"]


def _app_command() -> list[str]:
    return [
        "-m",
        "uvicorn",
        "holdfast.cli.demo_app:app",
        "--no-access-log",
        "--port",
        "0",
    ]


@asynccontextmanager
async def _serving(command: list[str], environment: Mapping[str, str], log: Path) -> AsyncIterator[str]:
    """Run a server on a port of its own choice for as long as the block lasts; gives its address."""
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, stdout=out, stderr=out, env=dict(environment)
        )
    try:
        yield await _address(process, log)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 15)
            except TimeoutError:
                process.kill()
                await process.wait()


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]


async def _address(process: Process, log: Path) -> str:
    """Where a server says that it listens."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.returncode is not None:
            raise RuntimeError(f"a server stopped at once:\n{_end_of(log)}")
        if said := re.search(r"http://127\.0\.0\.1:\d+", _end_of(log)):
            return said[0]
        await asyncio.sleep(0.05)
    raise RuntimeError(f"a server did not start within {START_SECONDS:.0f} s:\n{_end_of(log)}")

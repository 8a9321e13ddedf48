from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console
from websockets.asyncio.server import serve

from holdfast.cli import demo
from holdfast.cli.demo_load import Counts, Device, Line

DEADLINE = 60.0
COMMAND = [sys.executable, "-c", "from holdfast.cli.main import main; main()", "demo", "--json"]
KEYS = ["connections", "token_lifetimes", "renewals", "drops", "sent", "received", "lost", "duplicated"]


@pytest.fixture(scope="module")
def shown() -> subprocess.CompletedProcess[str]:
    """Five lifetimes of real servers and real sockets."""
    command = [*COMMAND, "--seconds", "30"]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


def test_s11_the_demo_holds_every_connection_and_says_so_in_one_json_line(shown):
    assert shown.returncode == 0, shown.stderr
    numbers = json.loads(shown.stdout.splitlines()[-1])
    assert list(numbers) == KEYS
    assert numbers["connections"] == 60
    assert 5 <= numbers["token_lifetimes"] < 6.5
    assert numbers["renewals"] >= 5 * 60
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


def test_nothing_of_the_table_is_cut_off_when_the_numbers_have_grown():
    console = Console(width=80, file=io.StringIO())
    grown = Counts(25, 12_345, 0, 123_456, 123_457, 0, 0)
    console.print(demo.Show(console, 600.0, counts=dict.fromkeys(demo.SIZES, grown)).table())
    told = console.file.getvalue()
    assert "twice" in told.split()
    assert {"12,345", "123,456", "123,457", "37,035", "370,368", "370,371"} <= {*told.split()}
    assert "…" not in told


def test_counts_add_up_kind_by_kind():
    together = Counts(1, 2, 0, 3, 4, 0, 0).plus(Counts(1, 1, 1, 1, 1, 1, 1))
    assert together.values() == (2, 3, 1, 4, 5, 1, 1)


def children(parent: int) -> list[int]:
    """The processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for child processes in /proc")
@pytest.mark.parametrize("what", ["a server is killed", "the demo is told to stop"])
def test_a_demo_that_goes_wrong_ends_with_its_json_line_and_another_exit_code(
    what: str, tmp_path: Path
) -> None:
    with (tmp_path / "shown").open("wb") as shown:
        running = subprocess.Popen(
            [*COMMAND, "--seconds", "60"], stdout=subprocess.PIPE, stderr=shown, text=True
        )
    try:
        deadline = time.monotonic() + DEADLINE
        while b"lifetimes" not in (tmp_path / "shown").read_bytes():
            assert time.monotonic() < deadline
            assert running.poll() is None
            time.sleep(0.05)  # between two looks at its table, under the deadline above
        servers = children(running.pid)
        killed = what == "a server is killed"
        os.kill(servers[0] if killed else running.pid, signal.SIGKILL if killed else signal.SIGTERM)
        out, _ = running.communicate(timeout=DEADLINE)
    finally:
        running.kill()
    numbers = json.loads(out.splitlines()[-1])
    assert list(numbers) == KEYS
    assert running.returncode == 1
    assert (numbers["drops"] > 0) is killed
    for server in servers:
        with pytest.raises(ProcessLookupError):
            os.kill(server, 0)


def test_servers_that_do_not_start_are_told_and_counted_as_nothing(command: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(demo, "_server_command", lambda: ["-c", "raise SystemExit('there is no disk')"])
    done = command("demo", "--json")
    assert (done.code, json.loads(done.out)) == (1, dict.fromkeys(KEYS, 0))
    assert "there is no disk" in done.err


async def test_a_handshake_that_is_refused_is_a_drop_and_no_end_of_the_demo() -> None:
    def refuse(connection: Any, _request: Any) -> Any:
        return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "going down")

    async def never(_: Any) -> None: ...

    async with serve(never, "127.0.0.1", 0, process_request=refuse) as server, httpx.AsyncClient() as http:
        port = next(iter(server.sockets)).getsockname()[1]
        counts = Counts()
        line = Line(f"ws://127.0.0.1:{port}", Device("", http), counts, speaks_v1=True)
        await asyncio.wait_for(line.hold(asyncio.Event(), asyncio.Event()), DEADLINE)
    assert (counts.connections, counts.drops, line.lifetimes) == (1, 1, 0.0)
    assert line.ready.is_set()


async def test_lifetimes_are_counted_from_the_first_answer_to_the_end_by_what_the_server_gave() -> None:
    async def echo(socket: Any) -> None:
        for _ in range(2):
            await socket.send(json.dumps({"echo": json.loads(await socket.recv())}))

    async with serve(echo, "127.0.0.1", 0) as server, httpx.AsyncClient() as http:
        port = next(iter(server.sockets)).getsockname()[1]
        device = Device("", http, lifetime=0.1)
        line = Line(f"ws://127.0.0.1:{port}", device, Counts(), speaks_v1=False)
        started = time.monotonic()
        with contextlib.suppress(RuntimeError):
            await asyncio.wait_for(line.hold(asyncio.Event(), asyncio.Event()), DEADLINE)
        assert 1.5 < line.lifetimes <= (time.monotonic() - started) / 0.1
        assert line.lifetimes == line.lifetimes, "the end stops the clock"

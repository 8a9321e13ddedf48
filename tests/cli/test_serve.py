from __future__ import annotations

import json
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

PASSWORD = "an administrator of tests"


@pytest.fixture
def signed_in(serve: Any) -> Iterator[tuple[Any, ClientConnection]]:
    """A server with an administrator's connection that has been proven."""
    running = serve("--drain-seconds", "5", HOLDFAST_ADMIN_PASSWORD=PASSWORD)
    form = {"username": "admin", "password": PASSWORD, "client": "program"}
    token = httpx.post(f"{running.url}/token", data=form).json()["access_token"]
    with connect(f"{running.url.replace('http', 'ws', 1)}/ws?token={token}") as ws:
        ws.send("{}")
        assert ws.recv(timeout=10)
        yield running, ws


def close_of(ws: ClientConnection) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as caught:
        ws.recv(timeout=20)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code, caught.value.rcvd.reason


def first_to_print(servers: list[Any], pattern: str) -> str:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for one in servers:
            if found := re.search(pattern, one.text):
                return found[1]
        time.sleep(0.02)  # between two looks, under the deadline above
    raise AssertionError(f"none printed {pattern!r}: {[one.text for one in servers]}")


def test_the_first_start_makes_everything_and_shows_the_password_once(serve: Any, tmp_path: Path) -> None:
    running = serve("--data-dir", "here")
    password = running.wait_for(r"sign in as admin with the password (\S+)")
    form = {"username": "admin", "password": password, "client": "program"}
    assert httpx.post(f"{running.url}/token", data=form).status_code == 200
    assert running.end(signal.SIGTERM) == 0
    assert running.text.count(password) == 1
    assert (tmp_path / "here").stat().st_mode & 0o777 == 0o700
    again = serve("--data-dir", "here")
    assert httpx.post(f"{again.url}/token", data=form).status_code == 200
    assert again.end(signal.SIGTERM) == 0
    assert "password" not in again.text


def test_a_password_of_the_environment_is_used_and_not_shown(serve: Any) -> None:
    running = serve(HOLDFAST_ADMIN_USERNAME="root", HOLDFAST_ADMIN_PASSWORD=PASSWORD)
    form = {"username": "root", "password": PASSWORD, "client": "program"}
    assert httpx.post(f"{running.url}/token", data=form).status_code == 200
    assert running.end(signal.SIGTERM) == 0
    assert "the administrator is root" in running.text
    assert PASSWORD not in running.text


def test_two_first_starts_at_once_share_one_secret_and_one_administrator(serve: Any) -> None:
    both = [serve("--data-dir", "shared") for _ in range(2)]
    urls = [one.url for one in both]
    password = first_to_print(both, r"with the password (\S+)")
    form = {"username": "admin", "password": password, "client": "program"}
    token = httpx.post(f"{urls[0]}/token", data=form).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert [httpx.get(f"{url}/auth/me", headers=headers).status_code for url in urls] == [200, 200]
    assert [one.end(signal.SIGTERM) for one in both] == [0, 0]
    assert [re.findall(r"with the password (\S+)", one.text) for one in both].count([]) == 1


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_going_down_tells_every_connection_and_is_a_success(
    signed_in: tuple[Any, ClientConnection], sent: signal.Signals
) -> None:
    running, ws = signed_in
    running.process.send_signal(sent)
    code, reason = close_of(ws)
    assert (code, reason) == (1012, "The server is restarting; come back in a moment.")
    assert running.end() == 0


def test_no_token_is_in_the_log_of_a_server(signed_in: tuple[Any, ClientConnection]) -> None:
    running, _ = signed_in
    running.end(signal.SIGTERM)
    assert "/ws?token=" in running.text, "the access log is what could hold it"
    assert not re.search(r"eyJ[\w-]{10}", running.text)


def test_log_lines_are_json_when_nobody_is_watching(serve: Any) -> None:
    running = serve(HOLDFAST_ADMIN_PASSWORD=PASSWORD)
    assert running.url
    running.end(signal.SIGTERM)
    events = [json.loads(line)["event"] for line in running.err if line.startswith("{")]
    assert any("started" in event.lower() for event in events)


def test_a_taken_port_is_told_in_a_sentence(command: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = command("serve", "--port", str(port))
    assert (done.code, done.out) == (2, "")
    assert f"port {port} on 127.0.0.1 is taken" in done.err
    assert "--port 0" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("arguments", "environment", "told"),
    [
        (["--port", "99999"], {}, "--port: "),
        ([], {"HOLDFAST_PORT": "99999"}, "HOLDFAST_PORT: "),
        ([], {"SECRET_KEY": "hunter2"}, "SECRET_KEY: is shorter than 32 bytes"),
        (["--data-dir", "a-file/data"], {}, "HOLDFAST_DATA_DIR: cannot write in a-file/data"),
        ([], {"HOLDFAST_ADMIN_PASSWORD": "short"}, "HOLDFAST_ADMIN_PASSWORD: "),
        ([], {"HOLDFAST_DATABASE_URL": "mysql://u:hunter2@h/d"}, "mysql"),
        (["--host", "192.0.2.1"], {}, "'192.0.2.1' is no address of this machine"),
    ],
)
def test_what_cannot_work_is_exit_code_2_and_a_sentence(
    command: Any, tmp_path: Path, arguments: list[str], environment: dict[str, str], told: str
) -> None:
    (tmp_path / "a-file").touch()
    done = command("serve", *arguments, **{"HOLDFAST_PORT": "0", **environment})
    assert (done.code, done.out) == (2, ""), done.text
    assert told in done.err
    assert "Traceback" not in done.err
    assert "hunter2" not in done.err


def test_every_problem_has_its_own_line(command: Any) -> None:
    done = command("serve", "--port", "x", HOLDFAST_LOG_LEVEL="loud", SECRET_KEY="short")
    assert done.err.count("error: ") == 3


def test_a_database_of_a_newer_holdfast_is_left_alone(command: Any, serve: Any, tmp_path: Path) -> None:
    import sqlite3
    from contextlib import closing

    first = serve()
    assert first.url
    assert first.end(signal.SIGTERM) == 0
    with closing(sqlite3.connect(tmp_path / "data" / "holdfast.db")) as database, database:
        database.execute("UPDATE holdfast_revision SET version_num = '9999'")
    for words in (["serve", "--port", "0"], ["users", "list"], ["check-config"]):
        done = command(*words)
        assert done.code == 2, done.text
        assert "newer Holdfast" in done.err
        assert "Traceback" not in done.err

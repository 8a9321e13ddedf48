from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

PASSWORD = "correct horse battery staple"
OTHER_PASSWORD = "a horse of another colour"


@pytest.fixture
def running(serve: Any) -> Any:
    """A server on the database that the commands act on."""
    return serve(HOLDFAST_ADMIN_PASSWORD="an administrator of tests")


def sign_in(url: str, name: str, password: str) -> httpx.Response:
    return httpx.post(f"{url}/token", data={"username": name, "password": password, "client": "program"})


def add(command: Any, name: str, *arguments: str) -> Any:
    return command("users", "add", name, "--password-stdin", *arguments, stdin=PASSWORD + "\n")


def test_an_added_user_can_sign_in_at_once(command: Any, running: Any) -> None:
    url = running.url
    done = add(command, "ann", "--role", "admin", "--role", "editor")
    assert (done.code, done.out) == (0, "")
    answer = sign_in(url, "ann", PASSWORD)
    assert answer.json()["user"]["roles"] == ["admin", "editor"]


def test_users_may_be_added_before_the_first_start(command: Any) -> None:
    assert add(command, "ann").code == 0
    listed = json.loads(command("users", "list", "--json").out)
    assert [(user["name"], user["roles"], user["disabled"]) for user in listed] == [("ann", [], False)]


def test_a_password_is_never_taken_from_the_arguments(command: Any) -> None:
    done = command("users", "add", "ann", "--password", PASSWORD)
    assert done.code == 2
    assert command("users", "add", "ann", stdin="").code == 2, "no terminal, and nothing said about stdin"


@pytest.mark.skipif(os.name != "posix", reason="a terminal of a test's own is a POSIX thing")
def test_on_a_terminal_the_password_is_asked_for_twice_and_not_shown(command: Any, tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    words = [sys.executable, "-m", "holdfast.cli", "users", "add", "ann"]
    with subprocess.Popen(
        words, stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path, start_new_session=True
    ) as child:
        os.close(theirs)
        shown = b""
        try:
            for prompt in (b"Password: ", b"Again: "):
                while not shown.endswith(prompt):
                    shown += os.read(ours, 1024)
                os.write(ours, PASSWORD.encode() + b"\n")
            with contextlib.suppress(OSError):  # how Linux says that the other end has closed
                while more := os.read(ours, 1024):
                    shown += more
        finally:
            os.close(ours)
    assert child.returncode == 0
    assert b"Added ann." in shown
    assert PASSWORD.encode() not in shown
    assert [user["name"] for user in json.loads(command("users", "list", "--json").out)] == ["ann"]


@pytest.mark.parametrize("typed", ["", "\n", "short\n"])
def test_a_password_that_will_not_do_is_refused(command: Any, typed: str) -> None:
    done = command("users", "add", "ann", "--password-stdin", stdin=typed)
    assert done.code == 1
    assert "error: " in done.err
    assert "Traceback" not in done.err


def test_a_name_is_taken_once(command: Any) -> None:
    add(command, "ann")
    done = add(command, "ANN")
    assert (done.code, done.out) == (1, "")
    assert "error: " in done.err


@pytest.mark.parametrize("words", [["disable"], ["enable"], ["password", "--password-stdin"]])
def test_nobody_by_that_name_is_exit_code_1(command: Any, words: list[str]) -> None:
    add(command, "ann")
    done = command("users", *words, "bob", stdin=PASSWORD)
    assert done.code == 1
    assert "there is no user 'bob'; `holdfast users list` shows who there is" in done.err


@pytest.mark.parametrize("words", [["users", "list"], ["sessions", "list"], ["users", "disable", "ann"]])
def test_a_mistyped_data_directory_does_not_become_an_empty_database(
    command: Any, tmp_path: Any, words: list[str]
) -> None:
    done = command(*words, "--data-dir", "mistyped")
    assert done.code == 2
    assert "there is no database at mistyped/holdfast.db" in done.err
    assert not (tmp_path / "mistyped").exists()


def test_disabling_reaches_a_running_server_within_a_second_or_so(command: Any, running: Any) -> None:
    url = running.url
    add(command, "ann")
    token = sign_in(url, "ann", PASSWORD).json()["access_token"]
    with connect(f"{url.replace('http', 'ws', 1)}/ws?token={token}") as ws:
        ws.send("{}")
        ws.recv(timeout=10)
        assert command("users", "disable", "ann").code == 0
        with pytest.raises(ConnectionClosed) as caught:
            ws.recv(timeout=10)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 4001
    assert sign_in(url, "ann", PASSWORD).status_code == 403
    assert "disabled" in command("users", "list").out
    assert command("users", "enable", "ann").code == 0
    assert sign_in(url, "ann", PASSWORD).status_code == 200


def test_a_new_password_ends_the_sessions_of_the_old_one(command: Any, running: Any) -> None:
    url = running.url
    add(command, "ann")
    refresh = sign_in(url, "ann", PASSWORD).json()["refresh_token"]
    changed = command("users", "password", "ann", "--password-stdin", stdin=OTHER_PASSWORD)
    assert changed.code == 0
    assert OTHER_PASSWORD not in changed.text
    assert sign_in(url, "ann", PASSWORD).status_code == 401
    assert sign_in(url, "ann", OTHER_PASSWORD).status_code == 200
    again = httpx.post(f"{url}/auth/refresh", json={"refresh_token": refresh}, headers={"X-Holdfast": "1"})
    assert again.status_code == 401


def test_a_session_is_listed_and_thrown_out_with_its_reason(command: Any, running: Any) -> None:
    url = running.url
    add(command, "ann")
    token = sign_in(url, "ann", PASSWORD).json()["access_token"]
    (session,) = json.loads(command("sessions", "list", "--user", "ann", "--json").out)
    assert (session["user"], session["client"], session["status"]) == ("ann", "program", "active")
    assert "salt" not in session
    with connect(f"{url.replace('http', 'ws', 1)}/ws?token={token}") as ws:
        ws.send("{}")
        ws.recv(timeout=10)
        assert command("sessions", "revoke", session["id"], "--reason", "lost phone").code == 0
        with pytest.raises(ConnectionClosed) as caught:
            ws.recv(timeout=10)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.reason == "Session ended: revoked (lost phone)."
    assert json.loads(command("sessions", "list", "--user", "ann", "--json").out) == []
    (ended,) = json.loads(command("sessions", "list", "--user", "ann", "--all", "--json").out)
    assert (ended["status"], ended["ended_reason"]) == ("revoked", "lost phone")
    assert session["id"] in command("sessions", "list", "--all").out


def test_all_sessions_of_a_user_are_thrown_out(command: Any, running: Any) -> None:
    url = running.url
    add(command, "ann")
    for _ in range(2):
        sign_in(url, "ann", PASSWORD)
    assert command("sessions", "revoke", "--user", "ann").code == 0
    assert json.loads(command("sessions", "list", "--user", "ann", "--json").out) == []


def test_somebody_of_an_outside_issuer_is_thrown_out_and_their_namesake_here_is_not(
    command: Any, running: Any
) -> None:
    add(command, "ann")
    sign_in(running.url, "ann", PASSWORD)
    assert command("sessions", "revoke", "--user", "ann", "--issuer", "https://id.example").code == 0
    assert len(json.loads(command("sessions", "list", "--user", "ann", "--json").out)) == 1


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], 2),
        (["s", "--user", "ann"], 2),
        (["s", "--issuer", "https://id.example"], 2),
        (["nope"], 1),
        (["--user", "nope"], 1),
    ],
)
def test_revoking_nothing_is_an_error(command: Any, words: list[str], code: int) -> None:
    add(command, "ann")
    done = command("sessions", "revoke", *words)
    assert (done.code, done.out) == (code, "")
    assert "error: " in done.err

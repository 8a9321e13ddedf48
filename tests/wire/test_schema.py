"""schemathesis over the OpenAPI schema of the ready server, a real process: no request gets a 500."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

HERE = Path(__file__).parent
PASSWORD = "an administrator of tests"
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
]


@pytest.fixture(scope="module")
def ready_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("ready")
    environment = {
        **os.environ,
        "HOLDFAST_DATA_DIR": str(home),
        "HOLDFAST_ADMIN_PASSWORD": PASSWORD,
        "HOLDFAST_LOG_LEVEL": "warning",
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-c", "from holdfast.cli.main import main; main()", "serve", "--port", "0"]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        for line in process.stdout:
            if "Holdfast is ready" in line:
                yield line.split()[-1]
                break
        else:
            raise AssertionError((home / "log").read_text())
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture(scope="module")
def bearer(ready_server: str) -> dict[str, str]:
    form = {"username": "admin", "password": PASSWORD, "client": "program"}
    token = httpx.post(f"{ready_server}/token", data=form).json()["access_token"]
    return {"Authorization": f"Bearer {token}", "X-Holdfast": "1"}


ENDS_THE_SESSION = "/(auth/logout|auth/logout-everywhere|auth/password|admin/revoke)$"


def schemathesis(url: str, *options: str, **environment: str) -> None:
    """Its command, since its pytest plugin does not know the pytest of today."""
    script = Path(sys.executable).with_name("schemathesis")
    command = [
        *(
            str(script),
            "run",
            f"{url}/openapi.json",
            "--max-examples",
            "15",
            "--seed",
            "20261123",
            "--no-color",
        ),
        *("--phases", "examples,coverage,fuzzing", "--generation-database", "none", "--workers", "1"),
        *("--checks", ",".join(CHECKS), "--request-timeout", "20", *options),
    ]
    ran = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
        env={**os.environ, **environment},
    )
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]


def test_nothing_that_a_stranger_sends_is_a_server_error(ready_server):
    schemathesis(ready_server)


def test_nothing_that_an_administrator_sends_is_a_server_error(ready_server, bearer):
    headers = [part for name, value in bearer.items() for part in ("--header", f"{name}: {value}")]
    schemathesis(ready_server, "--exclude-path-regex", ENDS_THE_SESSION, *headers)


def test_nothing_sent_to_what_ends_sessions_is_a_server_error(ready_server):
    hooks = {
        "SCHEMATHESIS_HOOKS": "fresh_tokens",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH")))),
        "FRESH_TOKENS_FROM": ready_server,
        "HOLDFAST_ADMIN_PASSWORD": PASSWORD,
    }
    schemathesis(ready_server, "--include-path-regex", ENDS_THE_SESSION, "--header", "X-Holdfast: 1", **hooks)
    done = {(event["kind"], event["data"].get("reason")) for event in events(ready_server)}
    # Each of the four was let in, and did its work.
    assert ("session.revoked", "signed_out") in done
    assert ("user.revoked", "signed_out_everywhere") in done
    assert "admin.revoked" in {kind for kind, _ in done}
    assert {"user.password_change_failed", "user.throttled"} & {kind for kind, _ in done}


def events(url: str) -> list[dict]:
    """The audit log, as a new session reads it."""
    form = {"username": "admin", "password": PASSWORD, "client": "program"}
    token = httpx.post(f"{url}/token", data=form).json()["access_token"]
    found, before = [], None
    while True:
        page = httpx.get(
            f"{url}/admin/events",
            params={"limit": 500} | ({} if before is None else {"before": before}),
            headers={"Authorization": f"Bearer {token}"},
        ).json()
        found += page["events"]
        before = page["next"]
        if before is None:
            return found


def test_the_server_still_serves_after_all_that(ready_server):
    assert httpx.get(f"{ready_server}/readyz").json()["status"] == "ready"

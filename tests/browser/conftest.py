"""Real Chromium against real `holdfast serve` processes, with the dashboard as it is built."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from holdfast.settings import Settings, env_name

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "web"
PAGE = ROOT / "src" / "holdfast" / "server" / "static" / "index.html"

SECRET = "a secret for the browser tests, which is long enough"
PASSWORD = "seaweed on a rock"
DEADLINE = 30.0
"""Seconds that anything may take which is waited for; a busy machine needs some of them."""
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ENGLISH = "en-US"
BRIEF = {
    "ACCESS_TOKEN_EXPIRE_MINUTES": "0.05",
    "HOLDFAST_LIVE_GRACE_SECONDS": "3",
    "HOLDFAST_ROTATION_WINDOW_SECONDS": "0.5",
}
PATIENT = {**BRIEF, "HOLDFAST_LIVE_GRACE_SECONDS": "120"}
"""The grace is longer than any backoff that a test may draw."""


# The dashboard and the browser


def build_dashboard() -> None:
    """Build it unless that has been done since its sources changed; one process at a time."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.fail("the browser tests need Node.js 20.19 or newer, to build the dashboard")
    with (Path(tempfile.gettempdir()) / f"holdfast-dashboard-{os.getuid()}.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not (WEB / "node_modules").is_dir():
            subprocess.run([npm, "ci"], cwd=WEB, check=True)
        if not PAGE.exists() or PAGE.stat().st_mtime < newest_source():
            subprocess.run([npm, "run", "build", "-w", "dashboard"], cwd=WEB, check=True)


def newest_source() -> float:
    """When the dashboard or the SDK was changed last."""
    folders = (WEB / "sdk" / "src", WEB / "dashboard" / "src")
    files = [
        WEB / "dashboard" / "index.html",
        WEB / "dashboard" / "vite.config.ts",
        WEB / "package-lock.json",
    ]
    return max(path.stat().st_mtime for path in [*files, *(it for one in folders for it in one.rglob("*"))])


@pytest.fixture(scope="session")
def dashboard() -> None:
    """The dashboard, built before a server looks for it."""
    build_dashboard()


@pytest.fixture(scope="session")
def browser(chromium_path: str) -> Iterator[Browser]:
    """One Chromium for the whole run; each test has a profile of its own in it."""
    expect.set_options(timeout=DEADLINE * 1000)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=chromium_path, headless=True, args=FLAGS, chromium_sandbox=False
        )
        yield chromium
        chromium.close()


# Servers


class Server:
    """A `holdfast serve` that can be stopped and started again at the same address."""

    command = ("-m", "holdfast.cli", "serve")

    def __init__(self, where: Path, **environment: str) -> None:
        self.where = where
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        ours = {env_name(field) for field in Settings.model_fields}
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in ours},
            "PYTHONUNBUFFERED": "1",
            "SECRET_KEY": SECRET,
            "HOLDFAST_ADMIN_PASSWORD": PASSWORD,
            "HOLDFAST_DRAIN_SECONDS": "0",
            "HOLDFAST_LOG_FORMAT": "json",
            **environment,
        }
        self.log: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._users: set[str] = set()
        self._http = httpx.Client()
        self._refresh_token = ""
        self._token, self._good_until = "", 0.0

    def start(self) -> None:
        """Start, and return when it answers."""
        self._http = httpx.Client(base_url=self.url, headers={"X-Holdfast": "1"}, timeout=DEADLINE)
        self._process = subprocess.Popen(
            [sys.executable, *self.command, "--port", str(self.port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.where,
            env=self.environment,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()
        until(self._answers, "the server to start")

    def stop(self) -> None:
        """Stop as an operator does: gently."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Stop as a power cut does."""
        self._end(signal.SIGKILL)

    @property
    def text(self) -> str:
        """All that it has logged."""
        return "".join(self.log)

    @property
    def lifetime(self) -> int:
        """Seconds that its tokens live."""
        return round(60 * float(self.environment.get("ACCESS_TOKEN_EXPIRE_MINUTES", 1440)))

    # What a test does behind the browser's back

    def token(self) -> str:
        """An administrator's access token, got and refreshed as a program does it."""
        if time.monotonic() >= self._good_until:
            if self._refresh_token:
                answer = self._http.post("/auth/refresh", json={"refresh_token": self._refresh_token})
            else:
                form = {"username": "admin", "password": PASSWORD, "client": "program"}
                answer = self._http.post("/token", data=form)
            assert answer.status_code == 200, answer.text
            body = answer.json()
            self._token, self._refresh_token = body["access_token"], body["refresh_token"]
            self._good_until = time.monotonic() + body["expires_in"] / 2
        return self._token

    def forget(self) -> None:
        """Sign in anew when a token is needed next: the session of before has been ended."""
        self._refresh_token, self._good_until = "", 0.0

    def admin(self, method: str, path: str, **body: Any) -> Any:
        """Ask the admin API."""
        headers = {"Authorization": f"Bearer {self.token()}"}
        answer = self._http.request(method, f"/admin{path}", json=body or None, headers=headers)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def user(self, name: str, roles: Sequence[str] = ()) -> str:
        """Somebody who can sign in; made when asked for the first time."""
        if name not in self._users:
            self.admin("POST", "/users", name=name, password=PASSWORD, roles=list(roles))
            self._users.add(name)
        return name

    def connections(self, name: str) -> list[dict[str, Any]]:
        """The live connections of a user."""
        found = self.admin("GET", "/connections")["connections"]
        return [one for one in found if one["user_name"] == name]

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.text
        try:
            return self._http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def _end(self, sent: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        self._http.close()
        process.send_signal(sent)
        process.wait(DEADLINE)
        assert self._reader is not None
        self._reader.join(DEADLINE)
        assert process.stdout is not None
        process.stdout.close()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.log.extend(process.stdout)


def free_port() -> int:
    """A port that is still free when a server binds it: systems give outgoing connections those above 32,767."""
    while True:
        port = 15_000 + secrets.randbelow(17_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def until(met: Callable[[], Any], what: str, deadline: float = DEADLINE) -> Any:
    """What `met` answers, as soon as it is true."""
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        found = met()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {deadline:g} s for {what}")


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., Any]:
    """Ask again until the answer is true, or the deadline is over."""
    return until


StartServer = Callable[..., Server]


@pytest.fixture(scope="session")
def start_server(
    dashboard: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StartServer]:  # it is built
    """Start a server with an environment of your own."""
    with ExitStack() as stack:

        def start(**environment: str) -> Server:
            server = Server(tmp_path_factory.mktemp("server"), **environment)
            stack.callback(server.kill)
            server.start()
            return server

        yield start


@pytest.fixture(scope="session")
def day(start_server: StartServer) -> Server:
    """A server with the default settings: tokens of a day."""
    return start_server()


@pytest.fixture(scope="session")
def brief(start_server: StartServer) -> Server:
    """A server whose tokens live for 3 seconds, with a grace of 3."""
    return start_server(**BRIEF)


@pytest.fixture(scope="session")
def patient(start_server: StartServer) -> Server:
    """A server whose tokens live for 3 seconds, with a grace that outlasts every pause between two tries."""
    return start_server(**PATIENT)


# People


class Person:
    """Somebody at a browser: one profile, with as many tabs as they open."""

    def __init__(self, context: BrowserContext, server: Server, name: str) -> None:
        self.context = context
        self.server = server
        self.name = name
        self.console: list[str] = []
        self.refreshes = 0
        """Refreshes that the server has answered with tokens."""
        context.on("console", lambda message: self.console.append(f"{message.type}: {message.text}"))
        context.on("weberror", lambda error: self.console.append(f"uncaught: {error.error}"))
        context.on("response", self._responded)

    def open(self, path: str = "/live") -> Page:
        """Another tab."""
        page = self.context.new_page()
        page.goto(f"{self.server.url}{path}")
        return page

    def sign_in(self, path: str = "/live") -> Page:
        """A tab whose connection is up. The cookie comes as from a visit before, which saves the form."""
        form = {"username": self.name, "password": PASSWORD}
        answer = self.context.request.post(f"{self.server.url}/token", form=form)
        assert answer.ok, answer.status
        page = self.open(path)
        held(page)
        return page

    def give_password(self, page: Page, name: str | None = None) -> None:
        """Fill the form and send it."""
        page.locator("input[name=username]").fill(name or self.name)
        page.locator("input[name=password]").fill(PASSWORD)
        page.locator("form.sign-in button[type=submit]").click()

    def _responded(self, response: Any) -> None:
        self.refreshes += response.url.endswith("/auth/refresh") and response.status == 200


def held(page: Page) -> None:
    """Wait until the header says that the connection is up."""
    expect(page.get_by_test_id("hold")).to_have_attribute("data-hold", re.compile("connected|renewing"))


def connection_of(page: Page) -> str:
    """The server's name for the page's connection, which the Live page shows."""
    found = page.get_by_test_id("connection-id")
    expect(found).to_be_visible()
    return found.get_attribute("data-id") or ""


@pytest.fixture(scope="session")
def is_held() -> Callable[[Page], None]:
    return held


@pytest.fixture(scope="session")
def connection_id() -> Callable[[Page], str]:
    return connection_of


Somebody = Callable[..., Person]


@pytest.fixture(scope="session")
def password() -> str:
    """Everybody's."""
    return PASSWORD


@contextmanager
def people(browser: Browser) -> Iterator[Somebody]:
    """People with empty profiles. What their browsers had to complain about is an error."""
    known: list[Person] = []

    def come(
        server: Server,
        name: str = "admin",
        *,
        roles: Sequence[str] = (),
        locale: str = ENGLISH,
        zone: str = "Europe/Berlin",
        **options: Any,
    ) -> Person:
        if name != "admin":
            server.user(name, roles)
        context = browser.new_context(locale=locale, timezone_id=zone, reduced_motion="reduce", **options)
        context.set_default_timeout(DEADLINE * 1000)
        known.append(Person(context, server, name))
        return known[-1]

    yield come
    for person in known:
        person.context.close()
    complaints = [line for person in known for line in person.console if is_complaint(line)]
    assert not complaints


@pytest.fixture
def somebody(browser: Browser) -> Iterator[Somebody]:
    """People for one test."""
    with people(browser) as come:
        yield come


@pytest.fixture(scope="session")
def somebody_all_day(browser: Browser) -> Iterator[Somebody]:
    """People who stay while other tests run."""
    with people(browser) as come:
        yield come


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long begins first and is looked at last, so that the other tests fill the time."""
    items.sort(key=lambda item: "browser/long/" in item.nodeid and (-1 if "_begins" in item.nodeid else 1))


def is_complaint(line: str) -> bool:
    """Refused and failed requests are what many of these tests are about; anything else should not happen."""
    expected = ("Failed to load resource", "WebSocket connection to")
    return line.startswith(("error", "uncaught", "warning")) and not any(one in line for one in expected)

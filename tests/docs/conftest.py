"""Pages taken apart into their code blocks, and real servers for the samples in them."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from holdfast import Holdfast

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*.md")])
BIN = Path(sys.executable).parent
SECRET = "a secret for the samples, which is long enough"
PASSWORD = "correct horse battery staple"
DEADLINE = 30.0

_BLOCK = re.compile(r"(?:^<!-- sample: ([^\n]*?) -->\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, with the name that a comment above it gives."""

    page: str
    line: int
    language: str
    name: str | None
    code: str

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    """Every block in these languages, in all pages."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in _BLOCK.finditer(text):
            name, language, code = match.groups()
            line = text.count("\n", 0, match.start()) + 1
            if language in languages:
                found.append(Block(str(page.relative_to(ROOT)), line, language, name, code))
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `python_block`, `bash_block` or `page` is asked of every one of them."""
    for name, languages in (
        ("python_block", ("python",)),
        ("bash_block", ("bash", "sh", "shell", "console")),
    ):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, blocks(*languages), ids=lambda block: block.where)
    if "page" in metafunc.fixturenames:
        metafunc.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@dataclass
class App:
    """An app behind a real uvicorn, with ann, and root who is an administrator, as its users if it has `people`."""

    port: int
    run: Callable[[], subprocess.Popen[bytes]]
    log: Path
    home: Path

    def __post_init__(self) -> None:
        self.process = self.run()

    def crash(self) -> None:
        """Kill it, and start it again where it was."""
        self.process.kill()
        self.process.wait(5)
        self.process = self.run()
        until_listening(self)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def post(self, path: str, **options: object) -> httpx.Response:
        headers = {"X-Holdfast": "1", **options.pop("headers", {})}  # type: ignore[dict-item]  # headers are a dict
        return httpx.post(self.url + path, headers=headers, timeout=20, trust_env=False, **options)  # type: ignore[arg-type]  # httpx's own options

    def get(self, path: str, token: str = "") -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.get(self.url + path, headers=headers, timeout=20, trust_env=False)

    def plain(self, path: str, token: str) -> ClientConnection:
        """The socket that a page without any library opens."""
        return connect(f"{self.ws}{path}{'&' if '?' in path else '?'}token={token}", proxy=None)

    def sign_in(self, name: str = "ann") -> dict:
        answer = self.post("/token", data={"username": name, "password": PASSWORD, "client": "program"})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refresh(self, tokens: dict) -> dict:
        answer = self.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
        assert answer.status_code == 200, answer.text
        return answer.json()


Serve = Callable[..., App]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Serve a module that has an `app`, given as its text or its file; settings by their environment names."""
    running: list[App] = []

    def start(
        source: str | Path,
        *,
        command: Sequence[str] = ("-m", "uvicorn", "{module}:app"),
        people: bool = True,
        **env: object,
    ) -> App:
        home = tmp_path / f"served-{len(running)}"
        home.mkdir()
        file = source if isinstance(source, Path) else home / "app.py"
        if isinstance(source, str):
            file.write_text(source, encoding="utf-8")
        settings = {
            "SECRET_KEY": SECRET,
            "HOLDFAST_DATA_DIR": str(home / "data"),
            **{k: str(v) for k, v in env.items()},
        }
        if people:
            with ThreadPoolExecutor(1) as own_loop:  # Playwright keeps one running in this thread
                own_loop.submit(asyncio.run, add_people(home / "data")).result()
        app = launch(file, home, [part.format(module=file.stem) for part in command], settings)
        running.append(app)
        until_listening(app)
        return app

    yield start
    for app in running:
        app.process.terminate()
        try:
            app.process.wait(20)
        except subprocess.TimeoutExpired:
            app.process.kill()
            app.process.wait(5)


@pytest.fixture
def ending() -> Callable[[ClientConnection], tuple[int, str]]:
    """How a connection ends: code and reason, once it has."""

    def wait_for(socket: ClientConnection) -> tuple[int, str]:
        try:
            while True:
                socket.recv(timeout=20)
        except ConnectionClosed as closed:
            assert closed.rcvd is not None, "the server vanished without a close frame"
            return closed.rcvd.code, closed.rcvd.reason

    return wait_for


@pytest.fixture(scope="session")
def all_blocks() -> list[Block]:
    """Every Python block of every page."""
    return blocks("python")


@pytest.fixture
def environment() -> dict[str, str]:
    """This process' environment without settings, and with this environment's commands."""
    return clean_environment()


def launch(file: Path, home: Path, command: list[str], settings: dict[str, str]) -> App:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    log = home / "log.txt"
    paths = os.pathsep.join((str(file.parent), str(home)))
    environment = clean_environment() | settings | {"PYTHONPATH": paths}

    def run() -> subprocess.Popen[bytes]:
        with log.open("ab") as out:
            return subprocess.Popen(
                [sys.executable, *command, "--port", str(port)],
                env=environment, cwd=home, stdout=out, stderr=subprocess.STDOUT,
            )  # fmt: skip

    return App(port, run, log, home)


def until_listening(app: App) -> None:
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        assert app.process.poll() is None, (
            f"the sample stopped at once:\n{app.log.read_text(errors='replace')}"
        )
        try:
            socket.create_connection(("127.0.0.1", app.port), timeout=5).close()
        except OSError:
            time.sleep(0.05)  # between two tries to connect, under the deadline above
        else:
            return
    raise AssertionError(f"the sample did not start:\n{app.log.read_text(errors='replace')}")


def clean_environment() -> dict[str, str]:
    """This process' environment, without settings of whoever runs the tests."""
    seeds = ("SECRET_KEY", "ALGORITHM", "ACCESS_TOKEN_EXPIRE_MINUTES")
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HOLDFAST_") and k not in seeds}
    return kept | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "PYTHONUNBUFFERED": "1"}


async def add_people(data: Path) -> None:
    async with Holdfast(secret_key=SECRET, data_dir=data) as hold:
        await hold.sessions.add_user("ann", PASSWORD)
        await hold.sessions.add_user("root", PASSWORD, ("admin",))

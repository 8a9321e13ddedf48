from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from holdfast.asgi.clock import SystemRandom
from holdfast.asgi.fastlane.masking import apply_mask
from holdfast.ports import Session, User
from holdfast.tokens.issuer import Issuer
from holdfast.tokens.keys import KeyRing

SECRET = "wire tests need a secret of thirty-two bytes"
PASSWORD = "correct horse battery staple"
HERE = Path(__file__).parent
DEADLINE = 30.0

HTTP = httpx.Client(verify=False, trust_env=False, timeout=20)
"""One for all: making one reads every certificate of the machine."""

FAST_LANE = ("--ws", "holdfast.asgi.fastlane:Protocol", "--http", "holdfast.asgi.fastlane:HttpProtocol")
OUR_LOOP = ("--loop", "holdfast.asgi.fastlane:new_event_loop")
COMMANDS: dict[str, list[str]] = {
    "uvicorn": [
        "-m",
        "uvicorn",
        "served_app:app",
        "--host",
        "127.0.0.1",
        "--port",
        "{port}",
        "--log-level",
        "debug",
    ],
    "uvicorn-process": [],
    "uvicorn-fastlane": [
        "-m",
        "uvicorn",
        "served_app:fronted",
        "--no-proxy-headers",
        "--port",
        "{port}",
        *FAST_LANE,
        *OUR_LOOP,
    ],
    "uvicorn-wsproto": ["-m", "uvicorn", "served_app:app", "--port", "{port}", "--ws", "wsproto"],
    "hypercorn": [
        "-m",
        "hypercorn",
        "served_app:app",
        "-b",
        "127.0.0.1:{port}",
        "--access-logfile",
        "-",
        "--error-logfile",
        "-",
    ],
    "granian": [
        "-m",
        "granian",
        "--interface",
        "asgi",
        "served_app:app",
        "--host",
        "127.0.0.1",
        "--port",
        "{port}",
        "--access-log",
    ],
    "holdfast serve": ["-m", "holdfast.cli", "serve", "--port", "{port}", "--log-level", "debug"],
    "daphne": ["-m", "daphne", "-b", "127.0.0.1", "-p", "{port}", "served_app:app"],
}
COMMANDS["uvicorn-process"] = COMMANDS["uvicorn"]
ECHO = ["-m", "uvicorn", "echo_app:app", "--no-proxy-headers", "--port", "{port}", *FAST_LANE]
ECHOES = {
    "echo": [*ECHO, *OUR_LOOP],
    "echo-uvloop": [*ECHO, "--loop", "uvloop"],
    "echo-asyncio": [*ECHO, "--loop", "asyncio"],
    "echo-h11": [*ECHO[:-1], "h11", *OUR_LOOP],
    "echo-deflate": [part.replace(":Protocol", ":DeflatingProtocol") for part in (*ECHO, *OUR_LOOP)],
    "echo-pings": [*ECHO, *OUR_LOOP, "--ws-ping-interval", "0.3", "--ws-ping-timeout", "0.5"],
}
COMMANDS |= ECHOES
FORKED = ("uvicorn", "uvicorn-fastlane", *ECHOES)


KINDS = ["uvicorn", "uvicorn-fastlane", "uvicorn-wsproto", "hypercorn", "granian", "daphne"]
"""What every row of SEED.md has to hold on."""


CARRIERS = [
    "authorization",
    "subprotocol",
    "ticket",
    "query",
    "frame",
    "plain authorization",
    "plain ticket",
    "plain query",
    "plain frame",
]
"""Every way for a token to come; `plain` ones without holdfast.v1."""


def free_port() -> int:
    """A port that is still free when the server binds it: systems give outgoing connections those above 32,767."""
    while True:
        port = 15_000 + secrets.randbelow(17_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class Fork:
    """A server that `forking_server` made, with as much of Popen as the tests need.

    It is held by a descriptor: once it has ended, its number may be that of a stranger, who must not be signalled.
    """

    def __init__(self, pid: int) -> None:
        self._descriptor = -1
        with contextlib.suppress(ProcessLookupError):  # it may have ended at once
            self._descriptor = os.pidfd_open(pid)
            weakref.finalize(self, os.close, self._descriptor)

    def _has_ended(self, seconds: float = 0.0) -> bool:
        if self._descriptor < 0:
            return True
        end = select.poll()
        end.register(self._descriptor, select.POLLIN)
        return bool(end.poll(seconds * 1000))

    def poll(self) -> int | None:
        return 0 if self._has_ended() else None

    def send_signal(self, number: int) -> None:
        if not self._has_ended():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, seconds: float) -> None:
        if not self._has_ended(seconds):
            raise subprocess.TimeoutExpired("uvicorn", seconds)


class Forks:
    """The process that all of a run's uvicorn servers are forked from."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._one_at_a_time = Lock()

    def start(self, arguments: list[str], environment: dict[str, str], log: Path) -> Fork:
        with self._one_at_a_time:
            return self._start(arguments, environment, log)

    def _start(self, arguments: list[str], environment: dict[str, str], log: Path) -> Fork:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, str(HERE / "forking_server.py")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"arguments": arguments, "environment": environment, "home": str(log.parent), "log": str(log)}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return Fork(int(self._process.stdout.readline()))

    def stop(self) -> None:
        if self._process is not None:
            self._process.communicate(timeout=20)
            self._process = None


FORKS = Forks()


@pytest.fixture(scope="session", autouse=True)
def no_server_outlives_the_run() -> Iterator[None]:
    yield
    FORKS.stop()
    HTTP.close()


@dataclass
class Served:
    """A server process under test."""

    kind: str
    port: int
    process: subprocess.Popen[bytes] | Fork
    log_file: Path
    lifetime: float
    issuer: Issuer = field(repr=False)

    @property
    def http(self) -> httpx.Client:
        HTTP.cookies.clear()
        return HTTP

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def secrets_logged(self) -> list[str]:
        """What in the log looks like a token, whole or in part."""
        # Of every handshake two random texts in base64 are in some servers' debug log, and look like anything in time.
        log = re.sub(r"(?i)(sec-websocket-(?:key|accept): )[A-Za-z0-9+/]{22,27}==?", r"\1", self.log())
        return re.findall(r"eyJ[A-Za-z0-9_-]{10,}|rt1\.[A-Za-z0-9_-]+\.[A-Za-z0-9_.-]+", log)

    def until_logged(self, text: str) -> None:
        """Return once the log has a text: servers write theirs after the client has its answer."""
        deadline = time.monotonic() + DEADLINE
        while text not in self.log():
            assert time.monotonic() < deadline, f"{text!r} was never logged"
            time.sleep(0.02)  # between two looks, under the deadline above

    def sign_in(self, name: str = "ann", **form: str) -> dict:
        answer = HTTP.post(
            f"{self.url}/token", data={"username": name, "password": PASSWORD, "client": "program", **form}
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ticket(self, token: str, **headers: str) -> str:
        """A ticket for an access token."""
        bearer = {"Authorization": f"Bearer {token}", "X-Holdfast": "1", **headers}
        answer = HTTP.post(f"{self.url}/auth/ticket", headers=bearer)
        assert answer.status_code == 200, answer.text
        return answer.json()["ticket"]

    @contextlib.asynccontextmanager
    async def carried(
        self, carrier: str, path: str, token: str, *, ticket: str | None = None
    ) -> AsyncIterator[ClientConnection]:
        """A connection whose token came in this way; a ticket is asked for if none is given."""
        offer: list[str] = [] if carrier.startswith("plain") else ["holdfast.v1"]
        headers, query = {}, ""
        match carrier.rsplit(maxsplit=1)[-1]:
            case "authorization":
                headers = {"Authorization": f"Bearer {token}"}
            case "subprotocol":
                offer.append(f"holdfast.bearer.{token}")
            case "ticket":
                query = f"?ticket={ticket or await asyncio.to_thread(self.ticket, token)}"
            case "query":
                query = f"?token={token}"
        async with connect(
            self.ws + path + query, subprotocols=offer or None, additional_headers=headers, proxy=None
        ) as socket:
            if carrier.endswith("frame"):
                await socket.send(json.dumps({"type": "auth", "token": token}))
            yield socket

    def told(self, code: int, reason: str) -> tuple[int, str]:
        """What a client is told of an ending: daphne has no way to send a reason (docs/servers.md)."""
        return (code, "") if self.kind == "daphne" else (code, reason)

    def refresh(self, refresh_token: str) -> httpx.Response:
        return HTTP.post(
            f"{self.url}/auth/refresh", json={"refresh_token": refresh_token}, headers={"X-Holdfast": "1"}
        )

    def token(
        self, expires_in: float = 60.0, *, user: str = "someone", session: str = "a" * 32, age: float = 0.0
    ) -> str:
        """A token that this server's secret signed, with times of the test's choosing."""
        now = time.time()
        blank = Session(
            id=session, user_id=user, client="program", kid="k", salt=b"", confirmed_at=now, issued_at=now,
            created_at=now, auth_time=now, idle_expires_at=now, absolute_expires_at=now, last_seen_at=now,
        )  # fmt: skip
        issued = min(now - age, now + expires_in - 1)
        return self.issuer.issue(blank, User(id=user, name=user), now=issued, expires_at=now + expires_in)

    def stop(self, number: int = signal.SIGTERM, wait: float = 20.0) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(wait)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)


Serve = Callable[..., Served]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start a server of a kind with settings by their environment names."""
    running: list[Served] = []

    def start(kind: str = "uvicorn", **env: object) -> Served:
        served = start_server(kind, tmp_path / f"{kind}-{len(running)}", env)
        running.append(served)
        return served

    yield start
    for served in running:
        served.stop()


def start_server(kind: str, home: Path, env: dict[str, object]) -> Served:
    """A server that answers; on another port where somebody was faster to take the first."""
    home.mkdir(parents=True)
    for _ in range(3):
        served = launch(kind, home, env)
        try:
            until_ready(served)
        except AssertionError:
            served.stop()
            if "in use" not in served.log():
                raise
        else:
            return served
    raise AssertionError(f"{kind} found no free port:\n{served.log()}")


def launch(kind: str, home: Path, env: dict[str, object]) -> Served:
    port = free_port()
    lifetime = float(str(env.get("ACCESS_TOKEN_EXPIRE_MINUTES", 1440))) * 60
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")},
        "SECRET_KEY": SECRET,
        "HOLDFAST_DATA_DIR": str(home),
        "HOLDFAST_ADMIN_USERNAME": "ann",
        "HOLDFAST_ADMIN_PASSWORD": PASSWORD,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH")))),
        "PYTHONUNBUFFERED": "1",
        **{name: str(value) for name, value in env.items()},
    }
    log_file = home / "log.txt"
    arguments = [part.format(port=port) for part in COMMANDS[kind]]
    process: subprocess.Popen[bytes] | Fork
    if kind in FORKED and hasattr(os, "pidfd_open"):
        process = FORKS.start(arguments[2:], environment, log_file)
    else:
        with log_file.open("wb") as out:
            command = [sys.executable, *arguments]
            process = subprocess.Popen(
                command, env=environment, stdout=out, stderr=subprocess.STDOUT, cwd=home
            )
    issuer = Issuer(
        KeyRing.from_secret(SECRET), issuer="holdfast", audience="holdfast", random=SystemRandom()
    )
    return Served(kind, port, process, log_file, lifetime, issuer)


def until_ready(served: Served) -> None:
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        if served.process.poll() is not None:
            raise AssertionError(f"{served.kind} stopped at once:\n{served.log()}")
        try:
            status = HTTP.post(f"{served.url}/people", timeout=5).status_code
            # The ready server makes its one user by itself.
            if status == 200 or (status in (404, 405) and served.kind == "holdfast serve"):
                return
        except httpx.TransportError:
            time.sleep(0.05)  # between two tries to connect, under the deadline above
    raise AssertionError(f"{served.kind} did not start:\n{served.log()}")


class Raw:
    """A client that sends any bytes, and sees each frame that comes."""

    def __init__(self, served: Served, *, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(DEADLINE)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect(("127.0.0.1", served.port))
        self.head = ""
        self._left = b""

    def open(self, path: str, *headers: str) -> Raw:
        """Shake hands; what was answered is in `head`."""
        lines = (
            f"GET {path} HTTP/1.1",
            "Host: 127.0.0.1",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
            *headers,
        )
        self.send("\r\n".join((*lines, "", "")).encode())
        while b"\r\n\r\n" not in self._left:
            self._more()
        head, _, self._left = self._left.partition(b"\r\n\r\n")
        self.head = head.decode("latin-1")
        return self

    def send(self, data: bytes, piece: int = 0) -> None:
        """Send bytes, in pieces of a size if one is given."""
        for start in range(0, len(data), piece or len(data) or 1):
            self.socket.sendall(data[start : start + (piece or len(data))])

    def frame(self, opcode: int, payload: bytes = b"", **how: object) -> None:
        self.send(self.masked(opcode, payload, **how))  # type: ignore[arg-type]  # passed on as they are

    @staticmethod
    def masked(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0) -> bytes:
        """A frame as a client sends it."""
        first = (0x80 if fin else 0) | rsv << 4 | opcode
        size = len(payload)
        if size < 126:
            head = bytes((first, 0x80 | size))
        elif size < 65_536:
            head = bytes((first, 0x80 | 126)) + size.to_bytes(2)
        else:
            head = bytes((first, 0x80 | 127)) + size.to_bytes(8)
        return head + b"\x37\xfa\x21\x3d" + apply_mask(payload, b"\x37\xfa\x21\x3d")

    def next(self) -> tuple[int, bytes] | None:
        """The first byte and the payload of the next frame; `None` at the end."""
        while True:
            data = self._left
            if len(data) >= 2:
                size, start = data[1], 2
                if size >= 126:
                    extended = 2 if size == 126 else 8
                    size, start = int.from_bytes(data[2 : 2 + extended]), 2 + extended
                if len(data) >= start + size:
                    self._left = data[start + size :]
                    return data[0], data[start : start + size]
            if not self._more():
                assert not self._left, f"half a frame: {self._left[:20]!r}"
                return None

    def quiet(self, seconds: float) -> bool:
        """Whether nothing comes for so long."""
        self.socket.settimeout(seconds)
        try:
            return not self._left and not self._more()
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(DEADLINE)

    def rest(self) -> bytes:
        """All that comes until the end."""
        while self._more():
            pass
        return self._left

    def _more(self) -> bool:
        try:
            data = self.socket.recv(262_144)
        except ConnectionResetError:
            return False
        self._left += data
        return bool(data)


@pytest.fixture
def raw() -> Iterator[Callable[..., Raw]]:
    """Connect a raw client to a server; it is disconnected after the test."""
    clients: list[Raw] = []

    def connect(served: Served, **options: int) -> Raw:
        clients.append(Raw(served, **options))
        return clients[-1]

    yield connect
    for client in clients:
        client.socket.close()


@pytest.fixture(params=CARRIERS)
def carrier(request: pytest.FixtureRequest) -> str:
    """Each way for a token to come."""
    return request.param


@pytest.fixture(scope="session")
def carriers() -> list[str]:
    """All of them."""
    return CARRIERS


@pytest.fixture(scope="module", params=KINDS)
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server of each kind for all tests of a module that do not stop or crowd it."""
    served = start_server(request.param, tmp_path_factory.mktemp("shared") / "home", {})
    yield served
    served.stop()


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Start a server of a kind for all tests of a module."""
    running: list[Served] = []

    def start_one(kind: str) -> Served:
        running.append(start_server(kind, tmp_path_factory.mktemp(kind) / "home", {}))
        return running[-1]

    yield start_one
    for served in running:
        served.stop()


Scenario = Callable[[Served], Awaitable[None]]


class Everywhere:
    """A server of each kind with the same settings, to wait for something on all of them in the time of one."""

    def __init__(self, servers: list[Served]) -> None:
        self.servers = servers

    async def play(self, scenario: Scenario) -> None:
        """Run a scenario against all at once; whatever fails says where."""
        ended = await asyncio.gather(*map(scenario, self.servers), return_exceptions=True)
        failed = []
        for served, error in zip(self.servers, ended, strict=True):
            if isinstance(error, Exception):
                error.add_note(f"on {served.kind}")
                failed.append(error)
            elif error is not None:
                raise error
        if failed:
            raise ExceptionGroup("not so on every server", failed)


def everywhere(**env: object) -> Callable[..., Iterator[Everywhere]]:
    """What a fixture of `Everywhere` does, with settings by their environment names."""

    def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everywhere]:
        home = tmp_path_factory.mktemp("everywhere")
        with ThreadPoolExecutor(len(KINDS)) as pool:
            servers = list(pool.map(lambda kind: start_server(kind, home / kind, env), KINDS))
        yield Everywhere(servers)
        with ThreadPoolExecutor(len(KINDS)) as pool:
            list(pool.map(Served.stop, servers))

    return start


strict = pytest.fixture(scope="module", name="strict")(
    everywhere(
        ACCESS_TOKEN_EXPIRE_MINUTES=5 / 60,
        HOLDFAST_ROTATION_WINDOW_SECONDS=0,
        HOLDFAST_LIVE_GRACE_SECONDS=0,
    )
)
"""Tokens of 5 s and no grace: a connection that is not renewed ends on the second."""

tight = pytest.fixture(scope="module", name="tight")(
    everywhere(
        HOLDFAST_LIVE_GRACE_SECONDS=1,
        HOLDFAST_PROOF_TIMEOUT_SECONDS=0.5,
        HOLDFAST_PING_INTERVAL_SECONDS=0.5,
        HOLDFAST_MAX_CONNECTIONS_PER_USER=2,
        HOLDFAST_MAX_FRAMES_PER_SECOND=10,
    )
)
"""Every limit so low that a test can pass it."""

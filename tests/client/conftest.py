"""A server that says what the test tells it to, on real sockets; and clocks that the test moves."""

from __future__ import annotations

import asyncio
import heapq
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from holdfast.client import Session
from holdfast.client.sockets import Connect, opener
from holdfast.client.timing import Now

PATIENCE = 10.0


class ManualClocks:
    """Both clocks, moved by hand; alarms ring as they are passed, in order."""

    def __init__(self) -> None:
        self.time = Now(1_000_000.0, 5_000.0)
        self._alarms: list[tuple[float, int, _Alarm]] = []
        self._count = 0

    def now(self) -> Now:
        return self.time

    def call_later(self, seconds: float, callback: Callable[[], None]) -> _Alarm:
        self._count += 1
        alarm = _Alarm(callback)
        heapq.heappush(self._alarms, (self.time.mono + seconds, self._count, alarm))
        return alarm

    def move(self, seconds: float) -> None:
        """Let time pass on both clocks."""
        end = self.time.mono + seconds
        while self._alarms and self._alarms[0][0] <= end:
            at, _, alarm = heapq.heappop(self._alarms)
            self._set(max(at, self.time.mono))
            alarm.ring()
        self._set(end)

    def sleep(self, seconds: float) -> None:
        """Let time pass on the wall only, as when a laptop is closed."""
        self.time = Now(self.time.wall + seconds, self.time.mono)

    def _set(self, mono: float) -> None:
        self.time = Now(self.time.wall + mono - self.time.mono, mono)


class _Alarm:
    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self._callback = None

    def ring(self) -> None:
        if self._callback is not None:
            self._callback()


@dataclass
class Asked:
    """An HTTP request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: str

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body).items()}

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    """An HTTP answer to give; `gate` holds it back until it is set."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    gate: asyncio.Event | None = None
    drop: bool = False


class FakeServer:
    """Answers `POST /token` and `/auth/refresh` with tokens that count up, and hands every WebSocket to the test."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.replies: dict[str, list[Reply]] = {}
        self.expires_in = 900
        self.refresh_in: float = 600
        self.tokens = 0
        self.refuse_socket: Callable[[Request], Response | None] = lambda _: None
        self.subprotocols = ["holdfast.v1"]
        self.sockets: asyncio.Queue[Line] = asyncio.Queue()
        self.lines: list[Line] = []
        self.handshakes: list[Request] = []
        self.url = ""
        self.ws_port = 0
        self._asked = asyncio.Condition()

    def reply(self, path: str, *replies: Reply) -> None:
        """Answer the next requests to a path with these, one each."""
        self.replies.setdefault(path, []).extend(replies)

    def refuse(self, path: str, code: str, status: int = 401) -> None:
        """Refuse the next request to a path."""
        self.reply(path, Reply(status, {"code": code, "message": "No."}))

    def to(self, path: str) -> list[Asked]:
        """The requests to a path so far."""
        return [asked for asked in self.asked if asked.path == path]

    async def heard(self, path: str, times: int) -> None:
        """Wait until a path was asked for so many times."""
        async with asyncio.timeout(PATIENCE), self._asked:
            await self._asked.wait_for(lambda: len(self.to(path)) >= times)

    async def socket(self) -> Line:
        """The next WebSocket that opens."""
        async with asyncio.timeout(PATIENCE):
            return await self.sockets.get()

    def grant(self) -> dict[str, Any]:
        self.tokens += 1
        return {
            "access_token": f"access-{self.tokens}",
            "token_type": "bearer",
            "expires_in": self.expires_in,
            "refresh_in": self.refresh_in,
            "session_id": "s1",
            "generation": self.tokens,
            "user": {"id": "u1", "name": "ann", "roles": ["admin"]},
            "refresh_token": f"refresh-{self.tokens}",
        }

    async def serve_http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has gone, which is its right
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)
        }
        body = (await reader.readexactly(int(headers.get("content-length", "0")))).decode()
        path = urlsplit(target).path
        async with self._asked:
            self.asked.append(Asked(method, path, headers, body))
            self._asked.notify_all()
        waiting = self.replies.get(path)
        reply = waiting.pop(0) if waiting else self._default(path)
        if reply.gate is not None:
            await reply.gate.wait()
        if reply.drop:
            return
        text = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
        sent = {"Content-Length": str(len(text.encode())), "Connection": "close", **reply.headers}
        lines = [f"HTTP/1.1 {reply.status} Whatever", *(f"{name}: {value}" for name, value in sent.items())]
        writer.write(("\r\n".join(lines) + "\r\n\r\n" + text).encode())
        await writer.drain()

    def _default(self, path: str) -> Reply:
        if path in ("/token", "/auth/refresh"):
            return Reply(body=self.grant())
        return Reply(204, "") if path.startswith("/auth/") else Reply(body={"path": path})

    async def serve_socket(self, socket: ServerConnection) -> None:
        line = Line(socket)
        self.lines.append(line)
        await self.sockets.put(line)
        await line.done.wait()


class Line:
    """The server's end of one WebSocket."""

    def __init__(self, socket: ServerConnection) -> None:
        self._socket = socket
        self.done = asyncio.Event()

    @property
    def token(self) -> str:
        """What the handshake carried."""
        assert self._socket.request is not None
        return self._socket.request.headers["Authorization"].removeprefix("Bearer ")

    async def send(self, frame: Any) -> None:
        await self.say(json.dumps(frame))

    async def say(self, text: str) -> None:
        await self._socket.send(text)

    async def hear(self) -> Any:
        """The next frame from the client."""
        async with asyncio.timeout(PATIENCE):
            return json.loads(await self._socket.recv())

    async def frames(self) -> AsyncIterator[Any]:
        """Every frame from the client, until the socket is closed."""
        async for text in self._socket:
            yield json.loads(text)

    async def welcome(self, **changes: Any) -> Line:
        """Greet the client."""
        frame = {
            "type": "welcome",
            "connection": "c1",
            "session": "s1",
            "user": "u1",
            "expires_in": 900,
            "refresh_in": 600,
            "grace": 30,
            "ping_interval": 25,
            "limits": {"frame_bytes": 65536, "frames_per_second": 100},
        }
        await self.send({**frame, **changes})
        return self

    async def end(self, code: int, reason: str, action: str | None = None, **more: Any) -> None:
        """Say `bye` if there is an action to tell, and close."""
        if action is not None:
            await self.send({"type": "bye", "code": code, "reason": reason, "action": action, **more})
        await self._socket.close(code, reason)
        self.done.set()

    def cut(self) -> None:
        """Be gone without a word."""
        self._socket.transport.abort()
        self.done.set()

    async def closed(self) -> int | None:
        """The code with which the client closed."""
        async with asyncio.timeout(PATIENCE):
            await self._socket.wait_closed()
        self.done.set()
        return self._socket.close_code


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    fake = FakeServer()

    def check(_: ServerConnection, request: Request) -> Response | None:
        fake.handshakes.append(request)
        return fake.refuse_socket(request)

    def choose(_: ServerConnection, offered: Any) -> Subprotocol | None:
        return next((name for name in offered if name in fake.subprotocols), None)

    http = await asyncio.start_server(fake.serve_http, "127.0.0.1", 0)
    fake.url = f"http://127.0.0.1:{http.sockets[0].getsockname()[1]}"
    async with serve(
        fake.serve_socket, "127.0.0.1", 0, process_request=check, select_subprotocol=choose, close_timeout=1
    ) as ws:
        fake.ws_port = next(iter(ws.sockets)).getsockname()[1]
        yield fake
        for line in fake.lines:
            line.done.set()
    http.close()


@pytest.fixture
def clocks() -> ManualClocks:
    return ManualClocks()


@pytest.fixture
def open_socket(server: FakeServer) -> Connect:
    """Opens real sockets, at the fake server's second port."""
    real = opener()

    async def open_at_the_other_port(url: str, token: str) -> ClientConnection:
        return await real(f"ws://127.0.0.1:{server.ws_port}{urlsplit(url).path}", token)

    return open_at_the_other_port


@pytest.fixture
async def session(server: FakeServer, clocks: ManualClocks, open_socket: Connect) -> AsyncIterator[Session]:
    """A session on manual clocks with nobody signed in; jitter is 0.5 throughout."""
    before = asyncio.all_tasks()
    async with Session(server.url, clocks=clocks, open_socket=open_socket, random=lambda: 0.5) as session:
        yield session
    left = [task for task in asyncio.all_tasks() - before if "holdfast/client" in repr(task)]
    assert left == [], "the client left tasks behind"


@pytest.fixture
async def signed_in(session: Session) -> Session:
    await session.sign_in("ann", "correct horse")
    return session


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Poll until something is so."""

    async def poll(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110  # what is waited for has no event of its own
                await asyncio.sleep(0.002)

    return poll


@pytest.fixture
def reply() -> type[Reply]:
    return Reply


@pytest.fixture
def refusal() -> Callable[..., Response]:
    """An HTTP answer to a handshake."""

    def make(status: int, location: str | None = None, body: Any = None) -> Response:
        text = json.dumps(body or {}).encode()
        headers = Headers({"Content-Length": str(len(text)), "Content-Type": "application/json"})
        if location is not None:
            headers["Location"] = location
        return Response(status, "Whatever", headers, text)

    return make


@pytest.fixture
def run_python() -> Callable[[str], str]:
    """Run code in a Python of its own; what it prints."""

    def run(code: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout

    return run

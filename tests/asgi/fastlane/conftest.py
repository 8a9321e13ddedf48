from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from holdfast.asgi.fastlane import descriptors, tuning
from holdfast.asgi.fastlane.poller import Poller
from holdfast.asgi.fastlane.protocol import Protocol

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # of RFC 6455, section 1.3
HIGH = 65_536


@pytest.fixture(autouse=True)
def collector_as_it_was() -> Iterator[None]:
    """Tests share a process, which is no server."""
    tuning._tuned[:] = [False]
    yield
    tuning._tuned.clear()


@pytest.fixture(params=["in C", "in Python"])
def write_to_each(request: pytest.FixtureRequest) -> descriptors.WriteToEach:
    """Both ways to write to many sockets."""
    if request.param == "in Python":
        return descriptors.in_python
    if not descriptors.COMPILED:  # which tests/test_build.py does not allow where it could have been
        pytest.skip("nothing was compiled when this was set up")
    return descriptors.write_to_each


@pytest.fixture(params=["in C", "in Python"])
def accept_each(request: pytest.FixtureRequest) -> descriptors.AcceptEach:
    """Both ways to accept many connections."""
    if request.param == "in Python":
        return descriptors.accept_in_python
    if descriptors.accept_each is descriptors.accept_in_python:
        pytest.skip("nothing was compiled when this was set up, or not for this system")
    return descriptors.accept_each


@pytest.fixture
async def poller() -> AsyncIterator[Poller]:
    """One that the test's own loop runs."""
    made = Poller(asyncio.get_running_loop())
    yield made
    made.close()


def masked(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bytes = b"\x12\x34\x56\x78"
) -> bytes:
    """A frame as a client sends it."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    size = len(payload)
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 65_536:
        head = bytes((first, 0x80 | 126)) + size.to_bytes(2)
    else:
        head = bytes((first, 0x80 | 127)) + size.to_bytes(8)
    return head + mask + bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))


@pytest.fixture(name="masked")
def masked_fixture() -> Callable[..., bytes]:
    return masked


def frames_in(data: bytes) -> list[tuple[int, bytes]]:
    """The first byte and the payload of each frame that a server sent."""
    found = []
    while data:
        size, start = data[1], 2
        if size == 126:
            size, start = int.from_bytes(data[2:4]), 4
        elif size == 127:
            size, start = int.from_bytes(data[2:10]), 10
        assert len(data) >= start + size, "half a frame"
        found.append((data[0], data[start : start + size]))
        data = data[start + size :]
    return found


class Transport(asyncio.Transport):
    """A transport of which the kernel takes everything, until `stalled`."""

    def __init__(self, protocol: Any = None) -> None:
        super().__init__()
        self.protocol = protocol
        self.written = bytearray()
        self.writes: list[bytes] = []
        self.stalled = False
        self.buffered = 0
        self.paused_writing = False
        self.reading = True
        self.closing = False
        self.aborted = False
        self.ended = False
        self.tls = False
        self.descriptor = -1

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        peer, own = ("192.0.2.7", 4711), ("192.0.2.1", 80)
        socket = SimpleNamespace(
            fileno=lambda: self.descriptor, getpeername=lambda: peer, getsockname=lambda: own
        )
        known: dict[str, Any] = {"socket": socket, "peername": peer, "sockname": own}
        if self.tls:
            known["sslcontext"] = object()
        return known.get(name, default)

    def get_protocol(self) -> Any:
        return self.protocol

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def write(self, data: Any) -> None:
        assert not self.closing, "written after the close"
        self.written += data
        self.writes.append(bytes(data))
        if self.stalled:
            self.buffered += len(data)
            if self.buffered > HIGH and not self.paused_writing:
                self.paused_writing = True
                self.protocol.pause_writing()

    def drain(self) -> None:
        self.stalled, self.buffered = False, 0
        if self.paused_writing:
            self.paused_writing = False
            self.protocol.resume_writing()

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def can_write_eof(self) -> bool:
        return not self.tls

    def write_eof(self) -> None:
        self.ended = True

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = self.aborted = True


class Peer:
    """The client's end of a connection in memory."""

    def __init__(self, config: Config, protocol: Any, transport: Transport, state: ServerState) -> None:
        self.config = config
        self.protocol = protocol
        self.transport = transport
        self.state = state
        self.head = b""
        self.body = b""
        self.seen = 0

    def send(self, data: bytes) -> None:
        self.transport.protocol.data_received(data)

    def text(self, text: str) -> None:
        self.send(masked(1, text.encode()))

    @staticmethod
    def lowered(head: bytes) -> bytes:
        """A request as uvicorn's HTTP protocols hand it on: with the names of headers in lower case."""
        first, *lines = head.split(b"\r\n")
        return b"\r\n".join(
            [
                first,
                *(
                    name.lower() + colon + rest
                    for name, colon, rest in (line.partition(b":") for line in lines)
                ),
            ]
        )

    async def ticks(self, count: int = 6) -> None:
        """Let whatever is ready run."""
        for _ in range(count):
            await asyncio.sleep(0)

    async def frames(self) -> list[tuple[int, bytes]]:
        """What came since the last time."""
        await self.ticks()
        data = bytes(self.transport.written)[self.seen :]
        self.seen += len(data)
        return frames_in(data)

    async def answer(self) -> bytes:
        """The HTTP answer so far, head and body."""
        await self.ticks()
        data = bytes(self.transport.written)
        if data.startswith(b"HTTP/1.1 101"):
            head, _, _ = data.partition(b"\r\n\r\n")
            self.seen = len(head) + 4
            return head
        return data

    def lose(self, error: Exception | None = None) -> None:
        self.transport.closing = True
        self.transport.protocol.connection_lost(error)


def configuration(app: Any, **options: Any) -> Config:
    options = {"ws": Protocol, "proxy_headers": False, "log_config": None, "lifespan": "off", **options}
    config = Config(app, **options)
    config.load()
    return config


def request(
    path: str = "/",
    *headers: tuple[str, str],
    without: tuple[str, ...] = (),
    method: str = "GET",
    version: str = "1.1",
) -> bytes:
    usual = [
        ("Host", "example.com"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", KEY),
        ("Sec-WebSocket-Version", "13"),
    ]
    lines = [f"{method} {path} HTTP/{version}"]
    kept = [header for header in usual if header[0] not in without]
    lines += [f"{name}: {value}" for name, value in (*kept, *headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


@pytest.fixture(name="request_text")
def request_fixture() -> Callable[..., bytes]:
    return request


@pytest.fixture(name="configuration")
def configuration_fixture() -> Callable[..., Config]:
    return configuration


@pytest.fixture
def transport() -> Transport:
    return Transport()


@pytest.fixture
def connect() -> Callable[..., Any]:
    """Open a connection as uvicorn's HTTP protocols do; options are those of uvicorn."""

    async def open_one(
        app: Any,
        *headers: tuple[str, str],
        path: str = "/",
        raw: bytes | None = None,
        version: str = "1.1",
        state: dict[str, Any] | None = None,
        like: Peer | None = None,
        tls: bool = False,
        descriptor: int = -1,
        **options: Any,
    ) -> Peer:
        config = configuration(app, **options)
        server_state = like.state if like is not None else ServerState()
        transport = Transport(SimpleNamespace(scope={"http_version": version}))
        transport.tls = tls
        transport.descriptor = descriptor
        protocol = config.ws_protocol_class(config, server_state, {} if state is None else state)
        protocol.connection_made(transport)
        # From the loop, as there: whoever comes from a task has a current one.
        loop = asyncio.get_running_loop()
        loop.call_soon(protocol.data_received, request(path, *headers) if raw is None else raw)
        loop.call_soon(transport.set_protocol, protocol)
        peer = Peer(config, protocol, transport, server_state)
        peer.head = await peer.answer()
        return peer

    return open_one

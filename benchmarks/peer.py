"""A lean client: raw sockets with prebuilt requests, so that what is measured is the server.

Frames are masked with zeros, which every server must take (RFC 6455, section 5.3) and which costs nothing to apply.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

HOST = "127.0.0.1"
TEXT, CLOSE, PING = 0x1, 0x8, 0x9


@dataclass(frozen=True)
class Upgrade:
    """A WebSocket handshake, and how many text frames come before the first answer (`welcome` is one)."""

    path: str
    headers: str = ""
    unasked: int = 0

    def request(self, port: int) -> bytes:
        head = f"GET {self.path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        return f"{head}{key}{self.headers}\r\n".encode()


def masked(opcode: int, payload: bytes) -> bytes:
    """A frame from a client."""
    size = len(payload)
    length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return bytes((0x80 | opcode,)) + length + b"\0\0\0\0" + payload


@dataclass(frozen=True)
class Closed:
    """How a connection ended; `at` is the loop's time."""

    code: int
    reason: str
    at: float


class LiveWire(asyncio.Protocol):
    """One WebSocket. `on_text` is called for each text frame after the unasked ones, from within the read."""

    def __init__(self, upgrade: Upgrade, port: int, on_text: Callable[[LiveWire], object]) -> None:
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[Closed] = loop.create_future()
        self.ready: asyncio.Future[None] = loop.create_future()
        """Done when the unasked frames have come; at once where there are none."""
        self.on_text = on_text
        self._request = upgrade.request(port)
        self._unasked = upgrade.unasked
        self._buffer = bytearray()
        self._loop = loop
        self._closed: Closed | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self.say(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self.opened.done():
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self.opened.set_exception(RuntimeError(f"refused: {bytes(head[:60])!r}"))
                return
            self._buffer = rest
            self.opened.set_result(None)
            if not self._unasked:
                self.ready.set_result(None)
        self._take_frames()

    def connection_lost(self, exc: Exception | None) -> None:
        lost = RuntimeError(f"the connection was lost: {exc}")
        for waiting in (self.opened, self.ready):
            if not waiting.done():
                waiting.set_exception(lost)
                waiting.exception()  # nobody may be waiting, which is no news then
        if not self.ended.done():
            self.ended.set_result(self._closed or Closed(1006, "", self._loop.time()))

    def say(self, frames: bytes) -> None:
        self._transport.write(frames)

    async def close(self) -> None:
        self.say(BYE)
        await self.ended

    def _take_frames(self) -> None:
        buffer = self._buffer
        while len(buffer) >= 2:
            start, size = 2, buffer[1]
            if size == 126:
                start, size = 4, int.from_bytes(buffer[2:4], "big")
            if len(buffer) < start + size:
                return
            opcode, payload = buffer[0] & 0x0F, bytes(buffer[start : start + size])
            del buffer[: start + size]
            self._take(opcode, payload)

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == TEXT:
            if self._unasked:
                self._unasked -= 1
                if not self._unasked:
                    self.ready.set_result(None)
            else:
                self.on_text(self)
        elif opcode == CLOSE:
            code = int.from_bytes(payload[:2], "big") if payload else 1005
            self._closed = Closed(code, payload[2:].decode(), self._loop.time())
            self.say(masked(CLOSE, payload[:2]))
        elif opcode == PING:
            self.say(masked(0xA, payload))


BYE = masked(CLOSE, (1000).to_bytes(2, "big"))


async def dial(upgrade: Upgrade, port: int, on_text: Callable[[LiveWire], object]) -> LiveWire:
    """A WebSocket that is open; whether its token is good shows afterwards."""
    loop = asyncio.get_running_loop()
    _, wire = await loop.create_connection(lambda: LiveWire(upgrade, port, on_text), HOST, port)
    await wire.opened
    return wire


class Page:
    """One HTTP connection, kept alive."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def post(
        self, path: str, body: dict[str, Any] | None = None, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """The status and the JSON of the answer."""
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(HOST, self._port)
        payload = json.dumps(body or {}).encode()
        extra = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {HOST}:{self._port}\r\nContent-Type: application/json\r\n"
            f"X-Holdfast: 1\r\n{extra}Content-Length: {len(payload)}\r\n\r\n"
        )
        self._writer.write(head.encode() + payload)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        status = int(answer[9:12])
        size = 0
        for line in answer.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                size = int(line[15:])
        content = await self._reader.readexactly(size)
        return status, json.loads(content) if content else {}

    async def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            await self._writer.wait_closed()

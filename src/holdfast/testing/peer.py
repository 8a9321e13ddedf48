"""The other end of a WebSocket, for tests: it does what the test says and nothing else, and remembers what it heard.

    async with await Peer.connect(f"{server.ws_url}/ws", carrier="subprotocol", token=token) as peer:
        await peer.expect("welcome")
        await peer.send({"hello": 1})
        assert await peer.message() == {"echo": {"hello": 1}}
        ...
        assert (await peer.closed()).code == 4003

Unlike `holdfast.client` it never reconnects, renews or forgives. What it complains of names types of frames, never
what is in them: pytest would print a token with an `assert`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Container, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from holdfast.client.sockets import wire_log
from holdfast.protocol.codec import FROM_SERVER, SUBPROTOCOL

Carrier = Literal["bearer", "subprotocol", "token", "ticket", "frame", "plain"]
"""How a token goes: header, subprotocol, `?token=`, `?ticket=`, first frame; `plain`: `?token=` on a plain socket."""

PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """A frame from the server, and when it came: seconds since the socket was open."""

    at: float
    frame: Any

    @property
    def type(self) -> str | None:
        """The type of a frame of the protocol; `None` for the app's own messages."""
        kind = self.frame.get("type") if isinstance(self.frame, dict) else None
        return kind if isinstance(kind, str) and kind in FROM_SERVER else None


@dataclass(frozen=True, slots=True)
class Closed:
    """How the socket was closed, and the `bye` before it, if there was one."""

    code: int
    reason: str
    bye: dict[str, Any] | None = None


class HandshakeRefused(Exception):
    """The handshake was answered over HTTP instead."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(f"the handshake was answered with HTTP {status}")
        self.status = status
        self.body = body
        """Parsed, if it is JSON; else the text."""


class Peer:
    """A client that a test plays; make one with `connect`."""

    def __init__(self, socket: ClientConnection, *, pongs: bool) -> None:
        self.socket = socket
        self.arrivals: list[Arrival] = []
        """Every frame so far, pings included."""
        self._pongs = pongs
        self._read_up_to = 0
        self._opened_at = asyncio.get_running_loop().time()
        self._heard = asyncio.Condition()
        self._closed: Closed | None = None
        self._reader = asyncio.get_running_loop().create_task(self._read())

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        carrier: Carrier = "bearer",
        token: str | None = None,
        controlled: bool | None = None,
        origin: str | None = None,
        headers: Mapping[str, str] | None = None,
        pongs: bool = True,
        open_timeout: float = PATIENCE,
    ) -> Self:
        """Open a socket and return once the handshake is through, which says nothing about the token yet.

        `token` is what the carrier carries, a ticket for `ticket`; `frame` sends it right after the handshake; without
        one the socket comes with nothing. `controlled` says whether to offer holdfast.v1: all but `plain` do. `pongs`
        answers the server's pings.

        Raises:
            HandshakeRefused: with the status and the body of the HTTP answer.
        """
        offered = (
            [Subprotocol(SUBPROTOCOL)] if controlled or (controlled is None and carrier != "plain") else []
        )
        sent = dict(headers or {})
        if token is not None:
            match carrier:
                case "bearer":
                    sent["Authorization"] = f"Bearer {token}"
                case "subprotocol":
                    offered.append(Subprotocol(f"holdfast.bearer.{token}"))
                case "ticket":
                    url = _with_query(url, "ticket", token)
                case "token" | "plain":
                    url = _with_query(url, "token", token)
        try:
            socket = await connect(
                url,
                subprotocols=offered or None,
                additional_headers=sent,
                origin=None if origin is None else Origin(origin),
                compression=None,
                proxy=None,
                ping_interval=None,
                open_timeout=open_timeout,
                max_size=None,
                logger=wire_log,
            )
        except InvalidStatus as error:
            raise HandshakeRefused(error.response.status_code, _parsed(error.response.body)) from None
        peer = cls(socket, pongs=pongs)
        if carrier == "frame" and token is not None:
            await peer.send({"type": "auth", "token": token})
        return peer

    @property
    def subprotocol(self) -> str | None:
        """What the server echoed."""
        return self.socket.subprotocol

    @property
    def frames(self) -> list[Any]:
        """Every frame so far, pings left out."""
        return [arrival.frame for arrival in self.arrivals if arrival.type != "ping"]

    async def send(self, message: Any) -> None:
        """Send JSON."""
        await self.send_raw(json.dumps(message, ensure_ascii=False))

    async def send_raw(self, data: str | bytes) -> None:
        """Send a text or binary message as it is."""
        await self.socket.send(data)

    async def expect(
        self,
        kind: str,
        *,
        timeout: float = PATIENCE,  # noqa: ASYNC109  # a test's bound
        skip: Container[str] = ("ping",),
    ) -> dict[str, Any]:
        """The next frame that was not asked for yet, which must be of this type; types in `skip` are passed over.

        Raises:
            AssertionError: it is another one, or none came in time; the text says what did.
        """
        arrival = await self._next(f"a {kind!r} frame", timeout, skip)
        if arrival.type != kind:
            raise AssertionError(
                f"expected a {kind!r} frame, but {_told(arrival)} came at {arrival.at:.3f} s"
            )
        frame: dict[str, Any] = arrival.frame
        return frame

    async def message(self, *, timeout: float = PATIENCE, skip: Container[str] = ("ping",)) -> Any:  # noqa: ASYNC109  # a test's bound
        """The next frame that was not asked for yet, which must be the app's own. Raises as `expect`."""
        arrival = await self._next("a message of the app's", timeout, skip)
        if arrival.type is not None:
            raise AssertionError(f"expected a message, but {_told(arrival)} came at {arrival.at:.3f} s")
        return arrival.frame

    async def closed(self, *, timeout: float = PATIENCE) -> Closed:  # noqa: ASYNC109  # a test's bound
        """How the server closed the socket. Raises AssertionError if it has not within `timeout` seconds."""
        async with self._heard:
            try:
                async with asyncio.timeout(timeout):
                    await self._heard.wait_for(lambda: self._closed is not None)
            except TimeoutError:
                raise AssertionError(f"not closed within {timeout} s; {self._story()}") from None
        assert self._closed is not None
        return self._closed

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close from this side."""
        await self.socket.close(code, reason)
        await asyncio.gather(self._reader, return_exceptions=True)

    def vanish(self) -> None:
        """Be gone without a word, as when the network is cut."""
        self.socket.transport.abort()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _next(self, wanted: str, timeout: float, skip: Container[str]) -> Arrival:  # noqa: ASYNC109  # a test's bound
        async with self._heard:
            try:
                async with asyncio.timeout(timeout):
                    while True:
                        while self._read_up_to < len(self.arrivals):
                            arrival = self.arrivals[self._read_up_to]
                            self._read_up_to += 1
                            if arrival.type is None or arrival.type not in skip:
                                return arrival
                        if self._closed is not None:
                            raise AssertionError(
                                f"expected {wanted}, but the socket was closed; {self._story()}"
                            )
                        await self._heard.wait()
            except TimeoutError:
                raise AssertionError(f"expected {wanted} within {timeout} s; {self._story()}") from None

    async def _read(self) -> None:
        while True:
            try:
                data = await self.socket.recv()
            except ConnectionClosed:
                break
            at = asyncio.get_running_loop().time() - self._opened_at
            arrival = Arrival(at, _parsed(data))
            async with self._heard:
                self.arrivals.append(arrival)
                self._heard.notify_all()
            if self._pongs and arrival.type == "ping":
                await self._pong(arrival.frame)
        byes = [arrival.frame for arrival in self.arrivals if arrival.type == "bye"]
        code = self.socket.close_code or 1006
        async with self._heard:
            self._closed = Closed(code, self.socket.close_reason or "", byes[-1] if byes else None)
            self._heard.notify_all()

    async def _pong(self, ping: dict[str, Any]) -> None:
        pong = {"type": "pong", **({"id": ping["id"]} if "id" in ping else {})}
        with contextlib.suppress(ConnectionClosed):  # the reader sees it too, and says so
            await self.send(pong)

    def _story(self) -> str:
        heard = ", ".join(_told(arrival) for arrival in self.arrivals) or "nothing"
        return f"it heard {heard}" + (f" and was closed with {self._closed.code}" if self._closed else "")


def _told(arrival: Arrival) -> str:
    return "a message" if arrival.type is None else repr(arrival.type)


def _with_query(url: str, name: str, value: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{name}={quote(value, safe='')}"


def _parsed(data: str | bytes | bytearray | None) -> Any:
    try:
        return json.loads(data or b"")
    except ValueError:
        return data if isinstance(data, str) else bytes(data or b"").decode(errors="replace")

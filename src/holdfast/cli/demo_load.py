"""The clients of the demo: devices that sign in and refresh, and their sockets, which count what really arrives."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

SEND_EVERY = 0.2
SETTLE_SECONDS = 10.0
"""How long the last answers may take once sending has stopped; what is missing then is lost."""

TRANSIENT = 4
"""Tries of one refresh before the demo gives a device up; a network fault alone never ends a session."""


@dataclass
class Counts:
    """What one kind of connection has seen, counted at its clients."""

    connections: int = 0
    renewals: int = 0
    drops: int = 0
    sent: int = 0
    received: int = 0
    lost: int = 0
    duplicated: int = 0

    def plus(self, other: Counts) -> Counts:
        """Both together."""
        return Counts(*(mine + theirs for mine, theirs in zip(self.values(), other.values(), strict=True)))

    def values(self) -> tuple[int, ...]:
        """In the order of the fields."""
        return (
            self.connections,
            self.renewals,
            self.drops,
            self.sent,
            self.received,
            self.lost,
            self.duplicated,
        )


@dataclass
class Device:
    """One session: signs in once, then refreshes for as long as it lives."""

    url: str
    http: httpx.AsyncClient = field(repr=False)
    token: str = field(default="", repr=False)
    _refresh_token: str = field(default="", repr=False)
    lifetime: float = 0.0
    """Seconds that the server gave a token."""
    expires_at: float = 0.0
    refresh_at: float = 0.0
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    async def sign_in(self, name: str, password: str) -> None:
        """Start the session."""
        form = {"username": name, "password": password, "client": "program"}
        self._take(await self.http.post(f"{self.url}/token", data=form), time.monotonic())

    async def keep(self) -> None:
        """Refresh whenever the server said to."""
        while True:
            await asyncio.sleep(max(0.0, self.refresh_at - time.monotonic()))
            await self.fresh()

    async def fresh(self) -> str:
        """A token that is not due yet."""
        async with self._one_at_a_time:
            for attempt in range(TRANSIENT):
                if time.monotonic() < self.refresh_at:
                    break
                asked = time.monotonic()
                try:
                    answer = await self.http.post(
                        f"{self.url}/auth/refresh",
                        json={"refresh_token": self._refresh_token},
                        headers={"X-Holdfast": "1"},
                    )
                except httpx.TransportError:
                    if attempt == TRANSIENT - 1:
                        raise
                    await asyncio.sleep(0.1 * 2**attempt)
                    continue
                self._take(answer, asked)
        return self.token

    def _take(self, answer: httpx.Response, asked: float) -> None:
        if answer.status_code != httpx.codes.OK:
            raise RuntimeError(f"{answer.request.url.path} answered {answer.status_code}: {answer.text}")
        body = answer.json()
        self.token = body["access_token"]
        self._refresh_token = body["refresh_token"]
        self.lifetime = float(body["expires_in"])
        self.expires_at = asked + self.lifetime
        self.refresh_at = asked + body["refresh_in"]


class Line:
    """One connection, and an account of every message on it."""

    def __init__(self, url: str, device: Device, counts: Counts, *, speaks_v1: bool) -> None:
        self._url = url
        self._device = device
        self._counts = counts
        self._speaks_v1 = speaks_v1
        self._next = 0
        self._awaited: set[int] = set()
        self._progress = -1
        self._proven_until = 0.0
        self._lease_until = 0.0
        self._ending = False
        self._held_since: float | None = None
        self._held_until: float | None = None
        self.ready = asyncio.Event()
        """Set by the first message of the app's, or by the end if there was none."""

    @property
    def settled(self) -> bool:
        """Whether every message sent has had its answer."""
        return not self._awaited

    @property
    def lease(self) -> float:
        """Seconds that the lease still has, as far as this client can know: a plain socket's is that of its session."""
        until = self._lease_until if self._speaks_v1 else self._device.expires_at
        return until - time.monotonic()

    @property
    def lifetimes(self) -> float:
        """How many lifetimes of its tokens this connection has been held, from the first message of the app's on."""
        if self._held_since is None or not self._device.lifetime:
            return 0.0
        until = time.monotonic() if self._held_until is None else self._held_until
        return (until - self._held_since) / self._device.lifetime

    async def hold(self, stop_sending: asyncio.Event, hang_up: asyncio.Event) -> None:
        """Stay connected until `hang_up`; any other end is a drop. There is no second try, on purpose."""
        token = self._device.token
        self._proven_until = self._device.expires_at
        query = "" if self._speaks_v1 else f"?token={token}"
        offered = [f"holdfast.bearer.{token}", "holdfast.v1"] if self._speaks_v1 else None
        self._counts.connections += 1
        try:
            async with connect(self._url + query, subprotocols=offered, proxy=None) as socket:  # type: ignore[arg-type]  # strings serve as Subprotocol
                tasks = [asyncio.create_task(self._send(socket, stop_sending))]
                reading = asyncio.create_task(self._read(socket))
                tasks.append(reading)
                leaving = asyncio.create_task(hang_up.wait())
                await asyncio.wait((reading, leaving), return_when=asyncio.FIRST_COMPLETED)
                self._ending = hang_up.is_set()
                for task in (*tasks, leaving):
                    task.cancel()
                await asyncio.gather(*tasks, leaving, return_exceptions=True)
        except (OSError, WebSocketException):  # also a handshake that a server going down has refused
            self._ending = False
        finally:
            self._held_until = time.monotonic()
            self.ready.set()
            if not self._ending:
                self._counts.drops += 1

    def settle(self) -> None:
        """Count what never came back."""
        self._counts.lost += len(self._awaited)

    async def _send(self, socket: ClientConnection, stop: asyncio.Event) -> None:
        while not stop.is_set():
            number = self._next
            self._next += 1
            self._awaited.add(number)
            await socket.send(json.dumps({"n": number}))
            self._counts.sent += 1
            await asyncio.sleep(SEND_EVERY)

    async def _read(self, socket: ClientConnection) -> None:
        async for text in socket:
            message = json.loads(text)
            match message.get("type"):
                case None:
                    self._count(message)
                case "auth.due":
                    renewal = {"type": "auth", "id": "renew", "token": await self._device.fresh()}
                    await socket.send(json.dumps(renewal))
                case "welcome":
                    self._lease_until = time.monotonic() + message["expires_in"]
                case "auth.ok":
                    self._lease_until = time.monotonic() + message["expires_in"]
                    self._counts.renewals += 1
                case "ping":
                    await socket.send('{"type":"pong"}')
                case "error":
                    self._counts.lost += 1
                case _:
                    pass

    def _count(self, message: dict[str, Any]) -> None:
        if self._held_since is None:
            self._held_since = time.monotonic()
            self.ready.set()
        self._counts.received += 1
        if not self._speaks_v1 and time.monotonic() > self._proven_until:
            # A plain socket is told nothing; that it still gets messages after its token ran out is its renewal.
            self._counts.renewals += 1
            self._proven_until = self._device.expires_at
        if "progress" in message:
            number = int(message["progress"])
            self._counts.duplicated += number <= self._progress
            self._counts.lost += max(0, number - self._progress - 1)
            self._progress = max(self._progress, number)
            return
        number = int(message["echo"]["n"])
        if number in self._awaited:
            self._awaited.remove(number)
        else:
            self._counts.duplicated += 1


async def settle(lines: Iterable[Line]) -> None:
    """Wait until every answer has come, or the time for it is over."""
    waiting = list(lines)
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline and not all(line.settled for line in waiting):  # noqa: ASYNC110  # many lines, one look
        await asyncio.sleep(0.05)

"""A connection's one way out: whatever is sent on it goes through here, in the order in which it was said.

Two ways lead below: ASGI, on any server, and the lane of our own protocol class. Neither has a task or a queue while
the peer keeps up. What one that does not has yet to be sent is bounded, and past the bound its connection ends
(4008), so that nobody else waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from holdfast.asgi.burst import Burst
from holdfast.asgi.eager import begin
from holdfast.asgi.lane import Lane, text_frame
from holdfast.logs import get_logger
from holdfast.protocol import jsontext
from holdfast.protocol.endings import Ending

log = get_logger("holdfast.live")

ASGIMessage = MutableMapping[str, Any]
SendMessage = Callable[[ASGIMessage], Awaitable[None]]

CLOSE_PATIENCE = 2.0
"""Seconds that an ending waits for a write that a stalled peer holds up, before it goes past it."""
HIGH_WATER = 65_536
"""Bytes on their way to a peer from which on the app's own sends wait."""


class Owner(Protocol):
    """Whose outlet it is."""

    def overflowed(self) -> None:
        """The peer has fallen further behind than it may."""
        ...

    def vanished(self) -> None:
        """The server says that there is nobody to send to."""
        ...


class Outlet(Protocol):
    """What a driver sends through."""

    shared: Lane | None
    """Where frames that are written for many go as they are; `None` where that is not possible."""

    def push(self, text: str) -> None:
        """Send in turn, without waiting; harmless once closed."""
        ...

    def push_burst(self, burst: Burst) -> None:
        """The same for texts that go to many."""
        ...

    def check(self) -> None:
        """Look whether the peer has fallen further behind than it may; after a write that went past this."""
        ...

    async def room(self) -> None:
        """Return once the peer is not behind, or nobody is there any more."""
        ...

    async def send(self, text: str) -> bool:
        """Send in turn, and return once the peer is not behind; whether there was anybody to send to."""
        ...


class LaneOutlet:
    """Through our own protocol class: nothing here waits but `send`, for a peer that is behind."""

    __slots__ = ("_lane", "_limit", "_owner", "shared")

    def __init__(self, lane: Lane, owner: Owner, *, limit: int) -> None:
        self._lane = lane
        self._owner = owner
        self._limit = limit
        self.shared = None if lane.compressed else lane

    def push(self, text: str) -> None:
        self._lane.write(text_frame(text.encode()))
        self.check()

    def check(self) -> None:
        if self._lane.backlog() > self._limit:
            self._owner.overflowed()

    def push_burst(self, burst: Burst) -> None:
        lane = self._lane
        for writes in burst.deflated() if lane.compressed else burst.framed():
            if lane.write_now(writes) > self._limit:
                self._owner.overflowed()
                return

    async def room(self) -> None:
        if self._lane.backlog() > HIGH_WATER:
            await self._lane.drained()

    async def send(self, text: str) -> bool:
        await self.room()
        if self._lane.closed:
            return False
        self.push(text)
        return True

    def close(self, ending: Ending) -> None:
        """Close at once: what a peer has not taken by now, it takes before the close frame or never."""
        self._lane.close(ending.code, ending.reason)


class AsgiOutlet:
    """Through a server's `send`: begun at once, and given a task only for a peer that makes the server wait."""

    __slots__ = ("_bytes", "_closed", "_idle", "_limit", "_loop", "_owner", "_send", "_waiting", "_writer")

    shared: Lane | None = None

    def __init__(self, send: SendMessage, owner: Owner, *, limit: int) -> None:
        self._send = send
        self._owner = owner
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[str] | None = None
        self._bytes = 0
        self._writer: asyncio.Task[None] | None = None
        self._idle: asyncio.Event | None = None
        self._closed = False

    def push(self, text: str) -> None:
        if self._closed:
            return
        if self._writer is None:
            self._writer = begin(self._write(text), self._loop)
            return
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(text)
        self._bytes += jsontext.size(text)
        self.check()

    def check(self) -> None:
        if self._bytes > self._limit:
            self._owner.overflowed()

    def push_burst(self, burst: Burst) -> None:
        for text in burst.texts:
            self.push(text)

    async def room(self) -> None:
        while self._writer is not None:
            self._idle = self._idle or asyncio.Event()
            self._idle.clear()
            await self._idle.wait()

    async def send(self, text: str) -> bool:
        await self.room()
        if self._closed:
            return False
        self.push(text)
        await self.room()
        return not self._closed

    async def finish(self) -> None:
        """Let what is waiting go out; a peer that has stalled will never be through, so its ending goes past it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_PATIENCE):
                await self.room()
        self._closed = True
        writer = self._writer
        if writer is not None:
            writer.cancel()
            await asyncio.wait((writer,), timeout=CLOSE_PATIENCE)

    async def close(self, ending: Ending) -> None:
        """Send the close frame, after `finish`."""
        message = {"type": "websocket.close", "code": ending.code, "reason": ending.reason}
        try:
            async with asyncio.timeout(CLOSE_PATIENCE):
                await self._send(message)
        except Exception as error:  # noqa: BLE001  # the peer may have gone first, which every server says its own way
            log.debug("close failed", error=type(error).__name__)

    async def _write(self, text: str) -> None:
        try:
            await self._send({"type": "websocket.send", "text": text})
            while self._waiting:
                text = self._waiting.popleft()
                self._bytes -= jsontext.size(text)
                await self._send({"type": "websocket.send", "text": text})
        except Exception as error:  # noqa: BLE001  # servers differ in what they raise when the peer has gone
            log.debug("write failed", error=type(error).__name__)
            self._closed = True
            self._owner.vanished()
        finally:
            self._writer = self._waiting = None
            self._bytes = 0
            if self._idle is not None:
                self._idle.set()

"""The requests of connections: those of one are done one after the other, in the order in which they came."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from holdfast.asgi.background import Background
from holdfast.errors import TooLarge, Unavailable
from holdfast.logs import get_logger
from holdfast.protocol import frames

if TYPE_CHECKING:
    from holdfast.asgi.driver import Driver

log = get_logger("holdfast.channels")

WAITING_REQUESTS = 1_000
"""Requests of one connection that may wait for one before them."""
WAITING_CHARACTERS = 262_144
"""The same for what they want to publish, together."""
RETRY_MS = 1_000

NOBODY_ASKED = ""
"""The id of a request that no frame has made; no frame may have it."""

Answer = frames.ServerFrame | None
Do = Callable[["Driver", frames.ChannelRequest], Awaitable[Answer]]


class Refusal(Exception):
    """A request that is answered with an error; the text is for people, and `detail` for the log."""

    def __init__(self, code: str, message: str, *, detail: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.detail = detail


class Waiting:
    """Requests of one connection that wait for one before them: bounded, as they may come faster than they end."""

    __slots__ = ("_frames", "_size")

    def __init__(self) -> None:
        self._frames: deque[frames.ChannelRequest] = deque()
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self._frames)

    def add(self, frame: frames.ChannelRequest) -> bool:
        """Take a request into the line; false if there is no room for it."""
        size = self._size + _size(frame)
        if len(self._frames) >= WAITING_REQUESTS or (size > WAITING_CHARACTERS and self._size):
            return False
        self._frames.append(frame)
        self._size = size
        return True

    def take(self) -> frames.ChannelRequest:
        """The first in the line."""
        frame = self._frames.popleft()
        self._size -= _size(frame)
        return frame

    def clear(self) -> None:
        self._frames.clear()
        self._size = 0


def _size(frame: frames.ChannelRequest) -> int:
    return len(frame.data) if isinstance(frame, frames.Publish) else 0


class Requests:
    """Has requests done by `do`, and tells their connections what came of them."""

    def __init__(self, do: Do, background: Background) -> None:
        self._do = do
        self._background = background
        self._waiting: dict[Driver, Waiting] = {}
        """Connections with a request that is being done, and those that wait for it."""

    def __len__(self) -> int:
        """How many connections wait for an answer."""
        return len(self._waiting)

    def take(self, driver: Driver, frame: frames.ChannelRequest) -> None:
        """Do a request now, or after those before it."""
        waiting = self._waiting.get(driver)
        if waiting is None:
            self._begin(driver, frame)
        elif not waiting.add(frame):
            busy = "too many requests wait already; send this again later"
            driver.tell(frames.Error("try_later", busy, frame.id, RETRY_MS))

    def drop(self, driver: Driver) -> None:
        """Forget what waits: its connection has ended."""
        if driver in self._waiting:
            self._waiting[driver].clear()

    def _begin(self, driver: Driver, frame: frames.ChannelRequest) -> None:
        task = self._background.run(self._answer(driver, frame))
        if task is not None:
            self._waiting.setdefault(driver, Waiting())
            task.add_done_callback(partial(self._next, driver))

    def _next(self, driver: Driver, _done: asyncio.Task[None]) -> None:
        waiting = self._waiting.pop(driver)
        while waiting:
            self._begin(driver, waiting.take())
            if driver in self._waiting:
                self._waiting[driver] = waiting
                return

    async def _answer(self, driver: Driver, frame: frames.ChannelRequest) -> None:
        request = None if frame.id == NOBODY_ASKED else frame.id
        answer: Answer
        try:
            answer = await self._do(driver, frame)
        except Refusal as refusal:
            log.info(
                "channel refused",
                connection=driver.id,
                user=driver.proof.user if driver.proof else None,
                channel=frame.channel,
                request=type(frame).__name__.lower(),
                code=refusal.code,
                reason=refusal.detail or str(refusal),
            )
            answer = frames.Error(refusal.code, str(refusal), request)
        except TooLarge as error:
            answer = frames.Error(error.code, str(error), request)
        except Unavailable as error:
            log.warning("channel request failed", connection=driver.id, reason=str(error))
            answer = _try_later(frame, f"the channel {frame.channel!r} cannot be reached just now", request)
        except Exception:
            log.exception("channel request failed", connection=driver.id, channel=frame.channel)
            answer = _try_later(frame, f"this could not be decided just now for {frame.channel!r}", request)
        if answer is not None:
            driver.tell(answer)


def _try_later(frame: frames.ChannelRequest, why: str, request: str | int | None) -> frames.Error:
    # Clients subscribe again by themselves. Told a time they would all come at it, for as long as a rule's database
    # is away; told none, each waits longer every time.
    retry = None if isinstance(frame, frames.Subscribe) else RETRY_MS
    what = "connect" if request is None else "send this"
    return frames.Error("try_later", f"{why}; {what} again later", request, retry)

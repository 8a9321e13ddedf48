"""Coroutines that are begun at once: what needs no waiting is done without the price of a task.

Until it waits, a coroutine that was begun here is in no task, so it must not use what needs one (`asyncio.timeout`,
task groups, anyio).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any


def begin(work: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop) -> asyncio.Task[None] | None:
    """Run `work` until it first waits; the task of what is left, or `None`. Raises what it raises by then."""
    rest = step(work)
    return None if rest is None else loop.create_task(rest)


def step(coroutine: Coroutine[Any, Any, None]) -> Coroutine[Any, Any, None] | None:
    """Begin a coroutine; what is left of it, for a task of the caller's making, or `None` if it went through."""
    try:
        awaited = coroutine.send(None)
    except StopIteration:
        return None
    return _Begun(coroutine, awaited)


class _Begun(Coroutine[Any, Any, None]):
    """A coroutine that has begun: gives its task first what it waits for already."""

    __slots__ = ("_awaited", "_coroutine", "_given")

    def __init__(self, coroutine: Coroutine[Any, Any, None], awaited: Any) -> None:
        self._coroutine = coroutine
        self._awaited = awaited
        self._given = False

    def send(self, value: Any) -> Any:
        if not self._given:
            self._given = True
            awaited, self._awaited = self._awaited, None
            return awaited
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        self._given = True
        self._awaited = None
        return self._coroutine.throw(*error)

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, None]:
        raise NotImplementedError("only a task runs it")

"""Coroutines that are begun at once: what needs no waiting is done without the price of a task."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any


def begin(work: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop) -> asyncio.Task[None] | None:
    """Run `work` until it first waits; what is left goes on in a task, and `None` says that nothing was left.

    What it does before its first wait is not inside a task, so code that asks for one (`asyncio.timeout`, anyio) must
    make its own. Whatever it raises by then is raised here.
    """
    try:
        waited_for = work.send(None)
    except StopIteration:
        return None
    return loop.create_task(_finish(work, waited_for))


async def _finish(work: Coroutine[Any, Any, None], waited_for: Any) -> None:
    await _rest(work, waited_for)


@coroutine
def _rest(work: Coroutine[Any, Any, None], waited_for: Any) -> Generator[Any, Any, None]:
    """Wait for what the coroutine is waiting for, then for whatever it wants next."""
    try:
        while True:
            try:
                sent = yield waited_for
            except BaseException as error:  # noqa: BLE001  # it is the coroutine's to handle
                waited_for = work.throw(error)
            else:
                waited_for = work.send(sent)
    except StopIteration:
        return

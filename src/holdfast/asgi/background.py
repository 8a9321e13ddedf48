"""Work that nobody waits for: kept from the garbage collector, its failures logged, and a task only if it waits."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from holdfast.asgi.eager import begin
from holdfast.errors import Unavailable
from holdfast.logs import get_logger

log = get_logger("holdfast.live")


class Background:
    """Runs coroutines of ours; `at_once` begins them outside of a task, which those that need one do not stand."""

    def __init__(self, *, at_once: bool) -> None:
        self._at_once = at_once
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
        """Begin; the task of what is left, or `None` if nothing is."""
        loop = asyncio.get_running_loop()
        try:
            task = begin(work, loop) if self._at_once else loop.create_task(work)
        except Exception as error:  # noqa: BLE001  # nobody waits who could be told
            _log_failure(error)
            return None
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._ended)
        return task

    async def aclose(self) -> None:
        """Cancel what still runs."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log_failure(error)


def _log_failure(error: BaseException) -> None:
    if isinstance(error, Unavailable):
        log.warning("background work failed", reason=str(error))
    else:
        log.error("background work failed", exc_info=error)

"""Sweeping the store, once an hour: what nobody can use any more is not kept for ever."""

from __future__ import annotations

import asyncio

from holdfast.logs import get_logger
from holdfast.ports import Clock, SessionStore

SWEEP_SECONDS = 3600.0
KEEP_EVENTS = 90 * 86_400.0
"""How long the audit log and ended sessions are kept, in seconds."""

logger = get_logger("holdfast.sessions")


class Sweeper:
    """Sweeps a store for as long as it runs; each process does, since a sweep that finds nothing costs nothing."""

    def __init__(self, store: SessionStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; the first sweep is an hour away."""
        self._task = asyncio.create_task(self._keep_sweeping(), name="holdfast-sweeper")

    async def aclose(self) -> None:
        """Stop, in the middle of a sweep too."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _keep_sweeping(self) -> None:
        while True:
            await self._clock.sleep(SWEEP_SECONDS)
            try:
                await self._store.sweep(now=self._clock.now(), keep_events=KEEP_EVENTS)
            except Exception as error:  # noqa: BLE001  # whatever a store raises, the next hour tries again
                logger.warning("the store could not be swept", error=type(error).__name__)

"""Following the audit log: the one way by which this process and all others learn what has happened.

Whoever writes an event asks for `catch_up` afterwards, so subscribers in the same process have been told when the call
returns; events of other processes arrive within `interval`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from holdfast.logs import get_logger
from holdfast.ports import AuditEvent, Clock, SessionStore

MAX_BACKOFF = 10.0
BATCH = 500

logger = get_logger("holdfast.sessions")

Callback = Callable[[AuditEvent], None]


class EventLog:
    """Hands every event of the store's log to its subscribers, once each and in order."""

    def __init__(self, store: SessionStore, clock: Clock, *, interval: float = 0.5) -> None:
        self._store = store
        self._clock = clock
        self._interval = interval
        self._callbacks: list[Callback] = []
        self._reading = asyncio.Lock()
        self._asked = 0
        self._answered = 0
        self._follower: asyncio.Task[None] | None = None
        self._failures = 0
        self.position = 0
        """The id of the newest event that subscribers have been told."""

    @property
    def healthy(self) -> bool:
        """Whether the last read worked; if not, other processes' revocations are late and will be caught up."""
        return self._failures == 0

    def subscribe(self, callback: Callback) -> Callable[[], None]:
        """Call `callback` for every event from now on, in the order of the log; returns what takes it back.

        It must not block. What it raises is logged and keeps nobody else from being told.
        """
        self._callbacks.append(callback)

        def unsubscribe() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

        return unsubscribe

    async def start(self) -> None:
        """Begin at the present end of the log, and follow it."""
        self._reading = asyncio.Lock()  # which belongs to the loop that first waits for it
        self.position = await self._store.latest_event_id()
        self._failures = 0
        self._follower = asyncio.create_task(self._follow(), name="holdfast-event-log")

    async def aclose(self) -> None:
        """Stop following."""
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.gather(self._follower, return_exceptions=True)
            self._follower = None

    async def catch_up(self, event_id: int | None = None) -> None:
        """Tell subscribers of everything committed so far; at once if `event_id` has been told already.

        Callers who wait together share one read, which begins after each of them asked. A store that cannot be read is
        not the caller's affair, since what it wrote is committed: the follower goes on trying.
        """
        if event_id is not None and event_id <= self.position:
            return
        self._asked += 1
        mine = self._asked
        async with self._reading:
            if self._answered >= mine:
                return
            answering = self._asked
            try:
                await self._read()
            except Exception as error:  # noqa: BLE001  # whatever a store raises, the follower must go on
                self._failed(error)
            else:
                self._worked()
            self._answered = answering

    async def _follow(self) -> None:
        while True:
            await self._clock.sleep(min(self._interval * 2 ** min(self._failures, 16), MAX_BACKOFF))
            await self.catch_up()

    async def _read(self) -> None:
        while True:
            events = await self._store.events_after(self.position, limit=BATCH)
            for event in events:
                assert event.id is not None
                self.position = event.id
                self._tell(event)
            if len(events) < BATCH:
                return

    def _tell(self, event: AuditEvent) -> None:
        for callback in tuple(self._callbacks):
            try:
                callback(event)
            except Exception:
                logger.exception("a subscriber of the event log failed", kind=event.kind, id=event.id)

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        if self._failures == 1:
            logger.error("the event log cannot be read; trying on", error=type(error).__name__)

    def _worked(self) -> None:
        if self._failures:
            logger.info("the event log can be read again", failures=self._failures)
        self._failures = 0

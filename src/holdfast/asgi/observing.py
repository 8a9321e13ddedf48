"""Observers that can harm nobody: the app's own is told of everything, and what it raises is its own affair."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from holdfast.logs import get_logger
from holdfast.ports import Observer

log = get_logger("holdfast")


class SilentObserver:
    """Tells nobody."""

    def connection(self, what: str, *, detail: str = "", seconds: float | None = None) -> None: ...

    def session(self, what: str) -> None: ...

    def channel(self, what: str, count: int = 1) -> None: ...


class GuardedObserver:
    """Passes everything on to another, and logs what that one raises: once for each thing that it fails at.

    It is told in the middle of what happens to a connection, and a lease must end whoever counts it.
    """

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._failed: set[tuple[str, str]] = set()

    def connection(self, what: str, *, detail: str = "", seconds: float | None = None) -> None:
        self._tell("connection", self._observer.connection, what, detail=detail, seconds=seconds)

    def session(self, what: str) -> None:
        self._tell("session", self._observer.session, what)

    def channel(self, what: str, count: int = 1) -> None:
        self._tell("channel", self._observer.channel, what, count)

    def _tell(self, of: str, verb: Callable[..., None], what: str, *counted: int, **told: Any) -> None:
        try:
            verb(what, *counted, **told)
        except Exception:
            # One that fails at each of ten thousand deliveries a second would be all that the log says.
            if (of, what) not in self._failed:
                self._failed.add((of, what))
                log.exception("the observer failed; not logged again for this", of=of, what=what)


def guarded(observer: Observer | None) -> Observer:
    """The observer of an app, which may have none, as everything here is given it."""
    return SilentObserver() if observer is None else GuardedObserver(observer)

"""What has happened to one connection: for the administrator, the metrics and the log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.core.effects import Record
from holdfast.logs import get_logger

if TYPE_CHECKING:
    from holdfast.asgi.driver import Driver

log = get_logger("holdfast.live")
_standard = logging.getLogger("holdfast.live")

LENGTH = 64
LOGGED = frozenset({"proven", "ended", "gone"})


# Nobody changes one, but a frozen one takes three times as long to make.
@dataclass(slots=True)
class Moment:
    """A line of a connection's timeline; `seconds` is what was left of the lease or the grace."""

    at: float
    what: str
    detail: str = ""
    seconds: float | None = None


class Timeline:
    """The newest moments, oldest first."""

    __slots__ = ("_moments",)

    def __init__(self) -> None:
        self._moments: list[Moment] = []

    def __iter__(self) -> Iterator[Moment]:
        return iter(self._moments)

    def __len__(self) -> int:
        return len(self._moments)

    def add(self, moment: Moment) -> None:
        """Write a line, in the place of the oldest if there are many."""
        self._moments.append(moment)
        if len(self._moments) > LENGTH:
            del self._moments[0]


def is_logged(what: str) -> bool:
    """Whether `write_down` has anything to do."""
    return what in LOGGED and _standard.isEnabledFor(logging.INFO)


def write_down(driver: Driver, record: Record) -> None:
    """A line of the log: who it is about, and never what they carried."""
    visitor = driver.visitor
    log.info(
        f"connection {record.what}",
        connection=driver.id,
        user=driver.proof.user if driver.proof else None,
        session=driver.session,
        carrier=str(visitor.carrier),
        address=visitor.address,
        origin=visitor.origin,
        detail=record.detail,
    )

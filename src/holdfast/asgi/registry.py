"""The live connections of this process, found by id, session and user.

A user is an issuer and a `sub`: two issuers may give one `sub` to different people.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from holdfast.asgi.driver import Driver

Key = TypeVar("Key")


class Registry:
    """Every proven connection, once. A connection is under one session and one user at a time."""

    def __init__(self) -> None:
        self._all: dict[str, Driver] = {}
        self._by_session: defaultdict[str, set[Driver]] = defaultdict(set)
        self._by_user: defaultdict[tuple[str, str], set[Driver]] = defaultdict(set)
        self._places: dict[Driver, tuple[str | None, tuple[str, str]]] = {}
        self._issuers: set[str] = set()

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Driver]:
        return iter(list(self._all.values()))

    def get(self, connection_id: str) -> Driver | None:
        """The connection of this id, if it lives in this process."""
        return self._all.get(connection_id)

    def of_session(self, session_id: str) -> list[Driver]:
        """Every connection that was last proven by this session."""
        return list(self._by_session.get(session_id, ()))

    def of_user(self, user_id: str, issuer: str | None = None) -> list[Driver]:
        """Every connection of this user, whichever session proved it; without an issuer, of all who have this `sub`."""
        issuers = self._issuers if issuer is None else (issuer,)
        return [driver for each in issuers for driver in self._by_user.get((each, user_id), ())]

    def count_of_user(self, user_id: str, issuer: str = "") -> int:
        """How many connections this user holds here."""
        return len(self._by_user.get((issuer, user_id), ()))

    def place(self, driver: Driver, *, session: str | None, user: str, issuer: str = "") -> None:
        """Put a connection under its session and user, moving it if it was elsewhere."""
        self.remove(driver)
        self._all[driver.id] = driver
        self._issuers.add(issuer)
        self._places[driver] = (session, (issuer, user))
        self._by_user[issuer, user].add(driver)
        if session is not None:
            self._by_session[session].add(driver)

    def remove(self, driver: Driver) -> None:
        """Forget a connection; harmless for one that is not here."""
        place = self._places.pop(driver, None)
        if place is None:
            return
        del self._all[driver.id]
        session, user = place
        _discard(self._by_user, user, driver)
        if session is not None:
            _discard(self._by_session, session, driver)


def _discard(index: defaultdict[Key, set[Driver]], key: Key, driver: Driver) -> None:
    index[key].discard(driver)
    if not index[key]:
        del index[key]

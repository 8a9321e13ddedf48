"""The live connections of this process, found by id, session and user.

A user is an issuer and a `sub`: two issuers may give one `sub` to different people.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from holdfast.asgi.driver import Driver

K = TypeVar("K", bound=Hashable)


class Registry:
    """Every proven connection, once. A connection is under one session and one user at a time."""

    def __init__(self) -> None:
        self._all: dict[str, Driver] = {}
        self._by_session = Index[str]()
        self._by_user = Index[tuple[str, str]]()
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
        return self._by_session.find(session_id)

    def of_user(self, user_id: str, issuer: str | None = None) -> list[Driver]:
        """Every connection of this user, whichever session proved it; without an issuer, of all who have this `sub`."""
        issuers = self._issuers if issuer is None else (issuer,)
        return [driver for each in issuers for driver in self._by_user.find((each, user_id))]

    def count_of_user(self, user_id: str, issuer: str) -> int:
        """How many connections this user holds here."""
        return self._by_user.count((issuer, user_id))

    def place(self, driver: Driver, *, session: str | None, user: str, issuer: str) -> None:
        """Put a connection under its session and user, moving it if it was elsewhere."""
        if driver in self._places:
            self.remove(driver)
        self._all[driver.id] = driver
        self._issuers.add(issuer)
        self._places[driver] = (session, (issuer, user))
        self._by_user.add((issuer, user), driver)
        if session is not None:
            self._by_session.add(session, driver)

    def remove(self, driver: Driver) -> None:
        """Forget a connection; harmless for one that is not here."""
        place = self._places.pop(driver, None)
        if place is None:
            return
        self._all.pop(driver.id, None)
        session, user = place
        self._by_user.discard(user, driver)
        if session is not None:
            self._by_session.discard(session, driver)


class Index(Generic[K]):
    """Connections by a key. Most keys have one, and a set for one would weigh more than all else about it."""

    def __init__(self) -> None:
        self._found: dict[K, Driver | set[Driver]] = {}

    def find(self, key: K) -> list[Driver]:
        """Those of this key."""
        found = self._found.get(key)
        if found is None:
            return []
        return list(found) if isinstance(found, set) else [found]

    def count(self, key: K) -> int:
        """How many this key has."""
        found = self._found.get(key)
        if found is None:
            return 0
        return len(found) if isinstance(found, set) else 1

    def add(self, key: K, driver: Driver) -> None:
        """Put a connection under a key."""
        found = self._found.get(key)
        if found is None:
            self._found[key] = driver
        elif isinstance(found, set):
            found.add(driver)
        else:
            self._found[key] = {found, driver}

    def discard(self, key: K, driver: Driver) -> None:
        """Take a connection from under a key; harmless if it is not there."""
        found = self._found.get(key)
        if isinstance(found, set):
            found.discard(driver)
            if len(found) == 1:
                self._found[key] = found.pop()
        elif found is driver:
            del self._found[key]

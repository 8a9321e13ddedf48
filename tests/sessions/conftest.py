"""Real sessions over a real store, by a clock that stands still."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random as Dice

import pytest
from argon2.profiles import CHEAPEST

from holdfast.core.policy import SessionPolicy
from holdfast.ports import AuditEvent
from holdfast.sessions.passwords import Passwords
from holdfast.sessions.service import Sessions
from holdfast.stores.sql import SqlStore
from holdfast.testing.clock import ManualClock
from holdfast.tokens.issuer import Issuer
from holdfast.tokens.keys import KeyRing
from holdfast.tokens.refresh import RefreshTokenCodec
from holdfast.tokens.verifier import Verifier

SECRET = "a secret for tests that is long enough to sign with"
POLICY = SessionPolicy(
    access_lifetime=60.0, rotation_window=10.0, idle_lifetime=3600.0, absolute_lifetime=36_000.0
)


class FixedRandom:
    """Different ids each time, the same in each run, and no jitter."""

    def __init__(self) -> None:
        self._dice = Dice(1)

    def token(self, nbytes: int) -> bytes:
        return self._dice.randbytes(nbytes)

    def unit(self) -> float:
        return 0.5


@dataclass
class Counts:
    """An observer that remembers."""

    seen: list[str] = field(default_factory=list)

    def connection(self, what: str, *, detail: str = "", seconds: float | None = None) -> None: ...

    def session(self, what: str) -> None:
        self.seen.append(what)

    def channel(self, what: str, count: int = 1) -> None: ...


class World:
    """One store and one clock, with as many processes on them as a test wants."""

    def __init__(self, store: SqlStore, clock: ManualClock, passwords: Passwords) -> None:
        self.store = store
        self.clock = clock
        self.random = FixedRandom()
        self.passwords = passwords
        self.counts = Counts()
        self.keys = KeyRing.from_secret(SECRET)
        self.processes: list[Sessions] = []

    async def process(self, policy: SessionPolicy = POLICY) -> Sessions:
        """Another server process on the same store."""
        sessions = Sessions(
            store=self.store,
            issuer=Issuer(self.keys, issuer="holdfast", audience="holdfast", random=self.random),
            verifier=Verifier(self.keys, issuer="holdfast", audience="holdfast"),
            refresh_tokens=RefreshTokenCodec(self.keys),
            clock=self.clock,
            random=self.random,
            policy=policy,
            refresh_lead=300.0,
            passwords=self.passwords,
            observer=self.counts,
        )
        await sessions.start()
        self.processes.append(sessions)
        return sessions

    async def events(self, kind: str = "") -> list[AuditEvent]:
        """What the log holds."""
        return [event for event in await self.store.events_after(0) if event.kind.startswith(kind)]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_800_000_000.25)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    store = SqlStore(f"sqlite:///{tmp_path / 'holdfast.db'}")
    await store.start()
    yield store
    await store.aclose()


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    passwords = Passwords(profile=CHEAPEST)
    yield passwords
    passwords.close()


@pytest.fixture
async def world(store: SqlStore, clock: ManualClock, passwords: Passwords) -> AsyncIterator[World]:
    world = World(store, clock, passwords)
    yield world
    for sessions in world.processes:
        await sessions.aclose()


@pytest.fixture
async def sessions(world: World) -> Sessions:
    """One process, with the user ann whose password is `correct horse battery`."""
    sessions = await world.process()
    await sessions.add_user("ann", "correct horse battery", ["admin"])
    return sessions

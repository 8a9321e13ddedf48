"""What the suite's tests put into a store."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from holdfast.core.connection import Proof
from holdfast.core.policy import SessionPolicy
from holdfast.ports import AuditEvent, Rotated, Session, SessionStore, Ticket, User

NOW = 1_800_000_000.25
W = 10.0
IDLE = 1_000.0
ABSOLUTE = 5_000.0
POLICY = SessionPolicy(rotation_window=W, idle_lifetime=IDLE, absolute_lifetime=ABSOLUTE)
HASH = "$argon2id$of-ann"
ANN = User(id="u-ann", name="Ann", roles=("admin", "reader"), password_hash=HASH, created_at=NOW)
BOB = User(id="u-bob", name="bob", created_at=NOW)


def a_session(sid: str = "s-1", *, user: User = ANN, at: float = NOW, **given: Any) -> Session:
    """A session as one is opened at `at`."""
    opened = Session(
        id=sid,
        user_id=user.id,
        client="browser",
        kid="k1",
        salt=bytes(range(16)),
        confirmed_at=at,
        issued_at=at,
        created_at=at,
        auth_time=at,
        idle_expires_at=at + IDLE,
        absolute_expires_at=at + ABSOLUTE,
        last_seen_at=at,
        address="192.0.2.7",
        user_agent="Mozilla/5.0 (X11; Linux)",
    )
    return replace(opened, **given)


def a_ticket(*, expires_at: float = NOW + 30) -> Ticket:
    """A ticket with every part filled in."""
    proof = Proof(
        user="u-ann",
        name="Ann",
        issuer="holdfast",
        expires_at=NOW + 60.5,
        session="s-1",
        generation=3,
        epoch=2,
        roles=("admin", "reader"),
        issued_at=NOW,
        auth_time=NOW - 5,
        client="browser",
    )
    return Ticket(proof=proof, origin="https://app.example.com", expires_at=expires_at)


async def refresh(
    store: SessionStore, presented: int, *, after: float, sid: str = "s-1", kid: str = "k1"
) -> Rotated:
    """Present a generation `after` seconds from `NOW`."""
    now = NOW + after
    return await store.rotate(
        sid, presented, now=now, policy=POLICY, kid=kid, access_expires_at=round(now) + 60.0
    )


async def happened(store: SessionStore, *, after: int = 0) -> list[AuditEvent]:
    """The whole log."""
    return list(await store.events_after(after, limit=10_000))


async def with_session(store: SessionStore, **given: Any) -> Session:
    """Ann, with one session, opened at `NOW`."""
    await store.add_user(ANN)
    return await store.open_session(a_session(**given), now=NOW)

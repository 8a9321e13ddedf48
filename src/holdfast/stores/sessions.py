"""Sessions: the verbs of the port, each as what one transaction does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from holdfast.core import rotation
from holdfast.core.policy import SessionPolicy
from holdfast.core.rotation import Decision, Family, Outcome
from holdfast.errors import Conflict, SessionEnded, Unavailable
from holdfast.ports import AuditEvent, Rotated, Session, SessionStatus, User
from holdfast.stores import log, users
from holdfast.stores.tables import session

ATTEMPTS = 20
"""How often a row that changes under a refresh is read again before the store gives up."""

_WRITTEN = (
    "status",
    "ended_at",
    "ended_reason",
    "kid",
    "generation",
    "confirmed_generation",
    "confirmed_at",
    "issued_at",
    "replay_count",
    "idle_expires_at",
    "last_seen_at",
)
_DECIDED_BY = ("id", "status", "generation", "confirmed_generation", "issued_at", "epoch")

_by_id = select(session).where(session.c.id == bindparam("id"))
_open = insert(session)
_swap = (
    update(session)
    .where(*[session.c[name] == bindparam(f"was_{name}") for name in _DECIDED_BY])
    .values({name: bindparam(f"new_{name}") for name in _WRITTEN})
)


def open_(connection: Connection, opened: Session, now: float) -> Session:
    """Store a new session of a user who may have one."""
    person = users.by_id(connection, opened.user_id)
    if person is None or person.disabled:
        raise SessionEnded(reason="unknown" if person is None else "disabled")
    opened = replace(opened, epoch=person.epoch)
    try:
        connection.execute(_open, {column.name: getattr(opened, column.name) for column in session.c})
    except IntegrityError:
        raise Conflict("This session exists already.") from None
    facts = {"client": opened.client, "user_agent": opened.user_agent}
    log.append(connection, _event("user.signed_in", opened, now, facts))
    return opened


def by_id(connection: Connection, sid: str) -> Session | None:
    """One session."""
    row = connection.execute(_by_id, {"id": sid}).one_or_none()
    return None if row is None else _read(row)


def listed(connection: Connection, user_id: str | None, active_at: float | None) -> Sequence[Session]:
    """Sessions, newest first."""
    wanted = select(session).order_by(session.c.created_at.desc(), session.c.id.desc())
    if user_id is not None:
        wanted = wanted.where(session.c.user_id == user_id)
    if active_at is not None:
        wanted = wanted.where(
            session.c.status == SessionStatus.ACTIVE,
            session.c.idle_expires_at > active_at,
            session.c.absolute_expires_at > active_at,
        )
    return [_read(row) for row in connection.execute(wanted)]


def opened_from(connection: Connection, user_id: str, address: str) -> bool:
    """Whether the user has, or had, a session from this address."""
    known = select(session.c.id).where(session.c.user_id == user_id, session.c.address == address).limit(1)
    return connection.execute(known).first() is not None


def rotate(
    connection: Connection,
    sid: str,
    presented: int,
    *,
    now: float,
    policy: SessionPolicy,
    kid: str,
    access_expires_at: float,
) -> Rotated:
    """Decide what the generation presented is worth, and write what follows if the row is still as it was read."""
    for _ in range(ATTEMPTS):
        before = by_id(connection, sid)
        if before is None:
            return _unknown(connection, sid, presented, now)
        person = users.by_id(connection, before.user_id)
        family = _family(before, person)
        decision = rotation.decide(family, presented, now, window=policy.rotation_window)
        advanced = rotation.advance(family, decision, now=now, idle_lifetime=policy.idle_lifetime)
        after = _after(before, advanced, decision, now, kid)
        if swap(connection, before, after):
            facts = _facts(decision, after, person, presented, access_expires_at)
            kind = "session.reuse" if decision.outcome is Outcome.REUSE else f"refresh.{decision.outcome}"
            written = log.append(connection, _event(kind, after, now, facts))
            return Rotated(decision, after, person, written.id)
    raise Unavailable("the session changes faster than it can be read; try again")


def confirm(connection: Connection, sid: str, generation: int, now: float) -> bool:
    """Write that the client holds this generation, if it is the newest and that is news."""
    for _ in range(ATTEMPTS):
        before = by_id(connection, sid)
        if before is None:
            return False
        proved = rotation.confirm(_family(before, None), generation, now=now)
        after = _merged(before, proved)
        if after == before:
            return False
        if swap(connection, before, after):
            return True
    raise Unavailable("the session changes faster than it can be read; try again")


def swap(connection: Connection, before: Session, after: Session) -> bool:
    """Put one state of a session in place of another, in one conditional UPDATE; false if it is no longer the first."""
    if after == before:
        return True
    values = {f"was_{name}": getattr(before, name) for name in _DECIDED_BY}
    values |= {f"new_{name}": getattr(after, name) for name in _WRITTEN}
    return connection.execute(_swap, values).rowcount == 1


def _after(before: Session, family: Family, decision: Decision, now: float, kid: str) -> Session:
    after = _merged(before, family)
    if decision.outcome.hands_out:
        # The key goes with the generation: a token that was handed out once must come out the same again.
        rotated = decision.outcome is Outcome.ROTATE
        return replace(after, last_seen_at=now, kid=kid if rotated else before.kid)
    if family.active or before.status is not SessionStatus.ACTIVE:
        return after
    status = SessionStatus.REVOKED if decision.outcome is Outcome.REUSE else SessionStatus.EXPIRED
    return replace(after, status=status, ended_at=now, ended_reason=family.ended_reason)


def _merged(before: Session, family: Family) -> Session:
    return replace(
        before,
        generation=family.generation,
        confirmed_generation=family.confirmed_generation,
        confirmed_at=family.confirmed_at,
        issued_at=family.issued_at,
        replay_count=family.replay_count,
        idle_expires_at=family.idle_expires_at,
    )


def _family(row: Session, person: User | None) -> Family:
    return Family(
        active=row.status is SessionStatus.ACTIVE,
        ended_reason=row.ended_reason,
        user_disabled=person is None or person.disabled,
        epoch_current=person is not None and row.epoch == person.epoch,
        generation=row.generation,
        confirmed_generation=row.confirmed_generation,
        confirmed_at=row.confirmed_at,
        issued_at=row.issued_at,
        replay_count=row.replay_count,
        idle_expires_at=row.idle_expires_at,
        absolute_expires_at=row.absolute_expires_at,
    )


def _facts(
    decision: Decision, after: Session, person: User | None, presented: int, access_expires_at: float
) -> dict[str, Any]:
    match decision.outcome:
        case Outcome.ROTATE | Outcome.COALESCE | Outcome.REPLAY:
            assert person is not None  # or nothing would be handed out
            return {
                "generation": after.generation,
                "expires_at": access_expires_at,
                "name": person.name,
                "roles": list(person.roles),
            }
        case Outcome.REUSE:
            return {"reason": decision.reason, "generation": presented, "newest": after.generation}
        case Outcome.AHEAD:
            return {"generation": presented, "newest": after.generation}
        case _:
            return {"reason": decision.reason, "generation": presented}


def _unknown(connection: Connection, sid: str, presented: int, now: float) -> Rotated:
    facts = {"generation": presented}
    happened = AuditEvent(kind="refresh.invalid", at=now, session_id=sid, data=facts)
    written = log.append(connection, happened)
    return Rotated(Decision(Outcome.UNKNOWN, "unknown"), None, None, written.id)


def _event(kind: str, of: Session, now: float, facts: dict[str, Any]) -> AuditEvent:
    return AuditEvent(kind=kind, at=now, user_id=of.user_id, session_id=of.id, address=of.address, data=facts)


def _read(row: Row[Any]) -> Session:
    return Session(**{**row._asdict(), "status": SessionStatus(row.status)})

"""The log of events: what one transaction writes, and what readers of it see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection, bindparam, func, insert, select

from holdfast.ports import AuditEvent
from holdfast.stores.tables import event

REVOCATIONS = ("session.revoked", "session.reuse", "user.revoked")

_append = insert(event)
_after = select(event).where(event.c.id > bindparam("after")).order_by(event.c.id).limit(bindparam("most"))
_latest = select(func.coalesce(func.max(event.c.id), 0))
_revocations = (
    select(event).where(event.c.kind.in_(REVOCATIONS), event.c.at >= bindparam("since")).order_by(event.c.id)
)


def append(connection: Connection, happened: AuditEvent) -> AuditEvent:
    """Write an event; it comes back with its id."""
    row = {
        "kind": happened.kind,
        "at": happened.at,
        "user_id": happened.user_id,
        "session_id": happened.session_id,
        "address": happened.address,
        "data": happened.data,
    }
    key = connection.execute(_append, row).inserted_primary_key
    assert key is not None
    return replace(happened, id=key[0])


def after(connection: Connection, event_id: int, limit: int) -> Sequence[AuditEvent]:
    """Events after `event_id`, oldest first."""
    rows = connection.execute(_after, {"after": event_id, "most": limit})
    return [AuditEvent(**row._asdict()) for row in rows]


def latest_id(connection: Connection) -> int:
    """The newest event's id, 0 if there is none."""
    latest: int = connection.execute(_latest).scalar_one()
    return latest


def revocations_since(connection: Connection, at: float) -> Sequence[AuditEvent]:
    """What closes connections, from `at` on, oldest first."""
    rows = connection.execute(_revocations, {"since": at})
    return [AuditEvent(**row._asdict()) for row in rows]

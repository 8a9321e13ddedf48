"""Forgetting what no longer matters, a piece at a time so that nobody waits long for the database."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, or_, select

from holdfast.ports import SessionStatus
from holdfast.stores.tables import event, session, ticket

PIECE = 2_000
"""How many rows one transaction forgets."""

KEEP_TICKETS = 3_600.0
"""Seconds that a ticket which is over is still known as one."""

Doomed = tuple[Table, ColumnElement[bool]]


def doomed(now: float, keep: float) -> list[Doomed]:
    """What is over, table by table: tickets after an hour, events and ended sessions once older than `keep`."""
    cut = now - keep
    ran_out = or_(session.c.idle_expires_at < cut, session.c.absolute_expires_at < cut)
    abandoned = and_(session.c.status == SessionStatus.ACTIVE, ran_out)
    return [
        (ticket, ticket.c.expires_at <= now - KEEP_TICKETS),
        (event, event.c.at < cut),
        (session, or_(session.c.ended_at < cut, abandoned)),
    ]


def forget(connection: Connection, what: Doomed) -> int:
    """Delete a piece of it; how many rows it was."""
    table, over = what
    (key,) = table.primary_key.columns
    return connection.execute(delete(table).where(key.in_(select(key).where(over).limit(PIECE)))).rowcount

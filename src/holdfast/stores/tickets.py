"""One-use tickets: the verbs of the port, each as what one transaction does."""

from __future__ import annotations

from dataclasses import asdict, fields

from sqlalchemy import Connection, bindparam, delete, insert, select
from sqlalchemy.exc import IntegrityError

from holdfast.core.connection import Proof
from holdfast.errors import Conflict
from holdfast.ports import Ticket
from holdfast.stores.tables import ticket

_FIELDS = frozenset(field.name for field in fields(Proof))
_find = select(ticket).where(ticket.c.digest == bindparam("digest"))
_remove = delete(ticket).where(ticket.c.digest == bindparam("digest"))


def add(connection: Connection, digest: bytes, issued: Ticket) -> None:
    """Keep a ticket under its digest."""
    row = {
        "digest": digest,
        "proof": asdict(issued.proof),
        "origin": issued.origin,
        "expires_at": issued.expires_at,
    }
    try:
        connection.execute(insert(ticket), row)
    except IntegrityError:
        raise Conflict("This ticket exists already.") from None


def take(connection: Connection, digest: bytes) -> Ticket | None:
    """Remove a ticket; only who removes it gets it."""
    row = connection.execute(_find, {"digest": digest}).one_or_none()
    if row is None or connection.execute(_remove, {"digest": digest}).rowcount == 0:
        return None
    # While versions change, a node may meet a proof that says more than it knows.
    known = {name: value for name, value in row.proof.items() if name in _FIELDS}
    proof = Proof(**{**known, "roles": tuple(row.proof["roles"])})
    return Ticket(proof=proof, origin=row.origin, expires_at=row.expires_at)

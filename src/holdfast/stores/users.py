"""Users: the verbs of the port, each as what one transaction does."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from holdfast.errors import Conflict, NotFound
from holdfast.ports import AuditEvent, User
from holdfast.stores import log
from holdfast.stores.tables import user

_FIELDS = [column for column in user.c if column.name != "name_key"]
_by_id = select(*_FIELDS).where(user.c.id == bindparam("id"))
_by_name = select(*_FIELDS).where(user.c.name_key == bindparam("key"))
_everybody = select(*_FIELDS).order_by(user.c.name_key)


def folded(name: str) -> str:
    """What two names that count as one have in common: no case, and one spelling for each letter of Unicode."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def add(connection: Connection, person: User) -> User:
    """Add a user; raises `errors.Conflict`."""
    row = {column.name: getattr(person, column.name) for column in _FIELDS}
    row |= {"name_key": folded(person.name), "roles": list(person.roles)}
    try:
        connection.execute(insert(user), row)
    except IntegrityError:
        raise Conflict("There is a user of this name already.", detail="user name or id taken") from None
    facts = {"name": person.name, "roles": list(person.roles)}
    log.append(connection, AuditEvent(kind="user.added", at=person.created_at, user_id=person.id, data=facts))
    return person


def by_id(connection: Connection, user_id: str) -> User | None:
    """One user."""
    return _user(connection.execute(_by_id, {"id": user_id}).one_or_none())


def by_name(connection: Connection, name: str) -> User | None:
    """One user, without regard to case."""
    return _user(connection.execute(_by_name, {"key": folded(name)}).one_or_none())


def everybody(connection: Connection) -> Sequence[User]:
    """All users, by name."""
    return [_read(row) for row in connection.execute(_everybody)]


def rehash(connection: Connection, user_id: str, old: str, new: str) -> None:
    """Put another hash of the same password in place of `old`, unless somebody has changed the password meanwhile."""
    still = update(user).where(user.c.id == user_id, user.c.password_hash == old)
    connection.execute(still.values(password_hash=new))


def set_roles(connection: Connection, user_id: str, roles: Sequence[str], now: float) -> None:
    """Give a user other roles."""
    change(connection, user_id, roles=list(roles))
    facts = {"roles": list(roles)}
    log.append(connection, AuditEvent(kind="user.roles_changed", at=now, user_id=user_id, data=facts))


def change(connection: Connection, user_id: str, **values: Any) -> None:
    """Write some columns of a user; raises `errors.NotFound`."""
    if connection.execute(update(user).where(user.c.id == user_id).values(**values)).rowcount == 0:
        raise NotFound("There is no such user.")


def _user(row: Row[Any] | None) -> User | None:
    return None if row is None else _read(row)


def _read(row: Row[Any]) -> User:
    return User(**{**row._asdict(), "roles": tuple(row.roles)})

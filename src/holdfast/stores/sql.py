"""`SqlStore`: users, sessions, tickets and the log of events in an SQL database.

The verbs are here; what each does in its transaction stands in the modules beside this one, as functions of a
SQLAlchemy connection that know no driver. What runs them is the database's own affair (`sqlite`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from sqlalchemy import Connection, make_url, select
from sqlalchemy.exc import ArgumentError

from holdfast.core.policy import SessionPolicy
from holdfast.errors import ConfigurationError
from holdfast.ports import AuditEvent, Rotated, Session, Ticket, User
from holdfast.stores import log, revocation, schema, sessions, sweeping, tickets, users
from holdfast.stores.sqlite import SqliteDatabase
from holdfast.stores.tables import REVISION, event


class SqlStore:
    """A `ports.SessionStore` in the database that an SQLAlchemy URL names.

    `sqlite:///holdfast.db` (or `sqlite+aiosqlite:///…`) is a file that many processes may share; `sqlite://` is memory,
    for tests, and gone with the store. `busy_timeout` is how many seconds a write waits for another process's.
    `readers` is how many reads of this process may run at once.
    """

    def __init__(self, url: str, *, busy_timeout: float = 15.0, readers: int = 4) -> None:
        try:
            parsed = make_url(url)
        except ArgumentError:  # its text holds the URL, and that may hold a password
            raise ConfigurationError(
                "the database URL cannot be read; write it as sqlite:///holdfast.db"
            ) from None
        if parsed.get_backend_name() != "sqlite":
            raise ConfigurationError(
                f"there is no store for {parsed.get_backend_name()!r} databases; write sqlite:///holdfast.db"
            )
        self._name = parsed.render_as_string(hide_password=True)
        self._database = SqliteDatabase(parsed, busy_timeout=busy_timeout, readers=readers)

    def __repr__(self) -> str:
        return f"SqlStore({self._name!r})"

    async def start(self) -> None:
        """Open the database and bring its schema up to date; any number of processes may do so at once.

        Raises:
            ConfigurationError: the database is of a newer Holdfast, or no database at all.
            Unavailable: it cannot be opened or written; the text says what to do.
        """
        try:
            await self._database.start()
            if await self._database.read(schema.applied) != REVISION:
                await self._database.write(schema.upgrade)
        except BaseException:
            await self._database.aclose()
            raise

    async def aclose(self) -> None:
        await self._database.aclose()

    async def ping(self) -> None:
        def look(connection: Connection) -> None:
            connection.execute(select(event.c.id).limit(1)).first()

        await self._database.read(look)

    # Users

    async def add_user(self, user: User) -> User:
        return await self._database.write(partial(users.add, person=user))

    async def user(self, user_id: str) -> User | None:
        return await self._database.read(partial(users.by_id, user_id=user_id))

    async def user_named(self, name: str) -> User | None:
        return await self._database.read(partial(users.by_name, name=name))

    async def users(self) -> Sequence[User]:
        return await self._database.read(users.everybody)

    async def set_password(
        self, user_id: str, password_hash: str, *, now: float, keep: str | None = None
    ) -> AuditEvent:
        change = partial(
            revocation.set_password, user_id=user_id, password_hash=password_hash, now=now, keep=keep
        )
        return await self._database.write(change)

    async def rehash_password(self, user_id: str, password_hash: str, *, instead_of: str) -> None:
        await self._database.write(partial(users.rehash, user_id=user_id, old=instead_of, new=password_hash))

    async def set_roles(self, user_id: str, roles: Sequence[str], *, now: float) -> None:
        await self._database.write(partial(users.set_roles, user_id=user_id, roles=roles, now=now))

    async def set_disabled(self, user_id: str, disabled: bool, *, now: float) -> None:
        change = partial(revocation.set_disabled, user_id=user_id, disabled=disabled, now=now)
        await self._database.write(change)

    # Sessions

    async def open_session(self, session: Session, *, now: float) -> Session:
        return await self._database.write(partial(sessions.open_, opened=session, now=now))

    async def rotate(
        self,
        sid: str,
        presented: int,
        *,
        now: float,
        policy: SessionPolicy,
        kid: str,
        access_expires_at: float,
    ) -> Rotated:
        refresh = partial(
            sessions.rotate,
            sid=sid,
            presented=presented,
            now=now,
            policy=policy,
            kid=kid,
            access_expires_at=access_expires_at,
        )
        return await self._database.write(refresh)

    async def confirm(self, sid: str, generation: int, *, now: float) -> bool:
        # Nearly always it is no news, and what is confirmed stays so: then reading is enough.
        row = await self._database.read(partial(sessions.by_id, sid=sid))
        if row is None or row.generation != generation or row.confirmed_generation >= generation:
            return False
        return await self._database.write(partial(sessions.confirm, sid=sid, generation=generation, now=now))

    async def session(self, sid: str) -> Session | None:
        return await self._database.read(partial(sessions.by_id, sid=sid))

    async def sessions(
        self, *, user_id: str | None = None, active_at: float | None = None
    ) -> Sequence[Session]:
        return await self._database.read(partial(sessions.listed, user_id=user_id, active_at=active_at))

    async def revoke_session(self, sid: str, *, reason: str, now: float) -> AuditEvent | None:
        return await self._database.write(partial(revocation.revoke_session, sid=sid, reason=reason, now=now))

    async def revoke_user(
        self, user_id: str, *, reason: str, now: float, keep: str | None = None
    ) -> AuditEvent:
        end = partial(revocation.revoke_user, user_id=user_id, reason=reason, now=now, keep=keep)
        return await self._database.write(end)

    async def has_signed_in_from(self, user_id: str, address: str) -> bool:
        return await self._database.read(partial(sessions.opened_from, user_id=user_id, address=address))

    # Tickets

    async def add_ticket(self, digest: bytes, ticket: Ticket) -> None:
        await self._database.write(partial(tickets.add, digest=digest, issued=ticket))

    async def take_ticket(self, digest: bytes) -> Ticket | None:
        return await self._database.write(partial(tickets.take, digest=digest))

    # The log

    async def record(self, event: AuditEvent) -> AuditEvent:
        return await self._database.write(partial(log.append, happened=event))

    async def events_after(self, event_id: int, *, limit: int = 500) -> Sequence[AuditEvent]:
        return await self._database.read(partial(log.after, event_id=event_id, limit=limit))

    async def latest_event_id(self) -> int:
        return await self._database.read(log.latest_id)

    async def revocations_since(self, at: float) -> Sequence[AuditEvent]:
        return await self._database.read(partial(log.revocations_since, at=at))

    async def sweep(self, *, now: float, keep_events: float) -> int:
        """As the port says, but in pieces: a sweep that is killed half way is finished by the next."""
        total = 0
        for what in sweeping.doomed(now, keep_events):
            forgotten = sweeping.PIECE
            while forgotten == sweeping.PIECE:
                forgotten = await self._database.write(partial(sweeping.forget, what=what))
                total += forgotten
        return total

"""Ending sessions: one, or all of a user, with the event that closes their connections in the same transaction."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from holdfast.ports import AuditEvent, SessionStatus
from holdfast.stores import log, users
from holdfast.stores.tables import session, user


def revoke_session(connection: Connection, sid: str, reason: str, now: float) -> AuditEvent | None:
    """End one session, if it is active."""
    ended = (
        update(session)
        .where(session.c.id == sid, session.c.status == SessionStatus.ACTIVE)
        .values(status=SessionStatus.REVOKED, ended_at=now, ended_reason=reason)
    )
    if connection.execute(ended).rowcount == 0:
        return None
    user_id = connection.execute(select(session.c.user_id).where(session.c.id == sid)).scalar_one()
    happened = AuditEvent(
        kind="session.revoked", at=now, user_id=user_id, session_id=sid, data={"reason": reason}
    )
    return log.append(connection, happened)


def revoke_user(
    connection: Connection, user_id: str, reason: str, now: float, keep: str | None
) -> AuditEvent:
    """End every session of a user but `keep`, and raise the user's epoch, if Holdfast knows this user."""
    # The user first: its row is what two of these at once wait for, where a database locks rows.
    connection.execute(update(user).where(user.c.id == user_id).values(epoch=user.c.epoch + 1))
    epoch = connection.execute(select(user.c.epoch).where(user.c.id == user_id)).scalar_one_or_none()
    active = update(session).where(session.c.user_id == user_id, session.c.status == SessionStatus.ACTIVE)
    if keep is not None:
        connection.execute(active.where(session.c.id == keep).values(epoch=epoch))
        active = active.where(session.c.id != keep)
    connection.execute(active.values(status=SessionStatus.REVOKED, ended_at=now, ended_reason=reason))
    facts = {"reason": reason, "keep": keep, "epoch": epoch}
    return log.append(connection, AuditEvent(kind="user.revoked", at=now, user_id=user_id, data=facts))


def set_password(
    connection: Connection, user_id: str, password_hash: str, now: float, keep: str | None
) -> AuditEvent:
    """Give a user another password, and end every session that the old one may have opened, but `keep`."""
    users.change(connection, user_id, password_hash=password_hash)
    log.append(connection, AuditEvent(kind="user.password_changed", at=now, user_id=user_id))
    return revoke_user(connection, user_id, "password_changed", now, keep)


def set_disabled(connection: Connection, user_id: str, disabled: bool, now: float) -> None:
    """Shut a user out, with all sessions, or let the user in again."""
    users.change(connection, user_id, disabled=disabled)
    kind = "user.disabled" if disabled else "user.enabled"
    log.append(connection, AuditEvent(kind=kind, at=now, user_id=user_id))
    if disabled:
        revoke_user(connection, user_id, "disabled", now, None)

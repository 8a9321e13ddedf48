"""Refusals, told to the log with their reason and to the audit trail (ASVS 5.0, section 16.3).

Nothing here repeats what somebody typed: people type passwords into the name field.
"""

from __future__ import annotations

from typing import Any

from holdfast.errors import RefusedError, Throttled, TokenInvalid
from holdfast.logs import get_logger
from holdfast.ports import AuditEvent, Clock, Observer, SessionStore
from holdfast.sessions import names
from holdfast.sessions.accounts import account_key
from holdfast.sessions.throttle import Throttle

logger = get_logger("holdfast.sessions")


class Audit:
    """Writes down what the store's own verbs do not."""

    def __init__(
        self, *, store: SessionStore, clock: Clock, throttle: Throttle, observer: Observer | None
    ) -> None:
        self._store = store
        self._clock = clock
        self._throttle = throttle
        self._observer = observer

    async def sign_in_refused(self, name: str, address: str | None, error: RefusedError) -> None:
        """`user.sign_in_failed` or `user.throttled`, with the user's own name if there is such a user."""
        known = names.known_form(name)
        user = await self._store.user_named(known) if known is not None else None
        user_id = user.id if user is not None else None
        throttled = isinstance(error, Throttled)
        kind = "user.throttled" if throttled else "user.sign_in_failed"
        self.count(kind)
        logger.warning("sign-in refused", code=error.code, detail=error.detail, user=user_id, address=address)
        if throttled and not await self._throttle.worth_telling(account_key(name), address):
            return
        data: dict[str, Any] = {"reason": error.detail or error.code}
        if user is not None:
            data["name"] = user.name
        await self._record(kind, user_id=user_id, address=address, data=data)

    async def password_refused(
        self, user_id: str, session_id: str | None, address: str | None, error: RefusedError
    ) -> None:
        """`user.password_change_failed`: somebody signed in does not know the present password."""
        logger.warning("password change refused", code=error.code, user=user_id, address=address)
        if not isinstance(error, Throttled):
            await self._record(
                "user.password_change_failed", user_id=user_id, session_id=session_id, address=address
            )

    async def bad_token(self, address: str | None, error: TokenInvalid) -> None:
        """`refresh.invalid`: a refresh token that is none of ours. Raises `Throttled` for an address with too many."""
        self.count("refresh.invalid")
        logger.warning("refresh token refused", detail=error.detail, address=address)
        await self._throttle.bad_token(address)
        await self._record("refresh.invalid", address=address, data={"reason": error.detail})

    def count(self, what: str) -> None:
        """Tell the observer, if there is one."""
        if self._observer is not None:
            self._observer.session(what)

    async def _record(self, kind: str, **facts: Any) -> None:
        await self._store.record(AuditEvent(kind=kind, at=self._clock.now(), **facts))

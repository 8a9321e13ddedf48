"""What was revoked while access tokens that it covers may still be alive.

An access token is checked without asking the store, so each process remembers who was thrown out for as long as a token
from before can live.
"""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.core.connection import Proof
from holdfast.errors import SessionEnded
from holdfast.ports import AuditEvent

MARGIN = 60.0
"""Seconds that are kept beyond the lifetime of a token, for clocks that differ between machines."""

KEEP_AT_LEAST = 86_400.0
"""Tokens of outside issuers, and of ours before a shorter lifetime was set, live by other rules than today's."""

SENTENCES = {
    "signed_out": "You have signed out. Please sign in again.",
    "signed_out_everywhere": "You have signed out on all devices. Please sign in again.",
    "password_changed": "The password was changed, so this session has ended. Please sign in again.",
    "reuse": "This session was used from two places, so it was ended to protect you. Please sign in again.",
    "idle": "You have been away for long, so your session has ended. Please sign in again.",
    "too_old": "Your session has reached its longest time. Please sign in again.",
    "disabled": "This account has been disabled. Please ask an administrator.",
}


@dataclass(frozen=True, slots=True)
class _OfUser:
    at: float
    reason: str
    issuer: str | None
    """Whose people it is about; `None` for those of every issuer."""
    epoch: int
    keep: str | None

    def covers(self, proof: Proof) -> bool:
        if self.issuer not in (None, proof.issuer):
            return False
        if self.epoch and proof.generation:
            return proof.epoch < self.epoch and proof.session != self.keep
        # People of an outside issuer have no epoch here. `iat` is in whole seconds: within the same one, refuse.
        return proof.issued_at <= self.at and (self.keep is None or proof.session != self.keep)

    def adds_nothing_to(self, other: _OfUser) -> bool:
        """Whether `other` covers every proof that this covers."""
        later = other.at >= self.at and other.epoch >= self.epoch
        return later and other.keep in (None, self.keep) and other.issuer in (None, self.issuer)


class Revocations:
    """A memory of revocations, fed by the event log.

    `lifetime` is how long an access token lives, in seconds; `issuer` is our own name. Two issuers may give one `sub`
    to different people, so a user of ours is told from a stranger of the same `sub`.
    """

    def __init__(self, *, lifetime: float, issuer: str) -> None:
        self._issuer = issuer
        self._keep_for = max(lifetime, KEEP_AT_LEAST) + MARGIN
        self._sessions: dict[str, tuple[float, str]] = {}
        self._users: dict[str, list[_OfUser]] = {}
        self._forget_at = 0.0

    def __len__(self) -> int:
        return len(self._sessions) + sum(len(found) for found in self._users.values())

    @property
    def since(self) -> float:
        """How far back, in seconds, revocations matter."""
        return self._keep_for

    def apply(self, event: AuditEvent) -> None:
        """Remember an event if it revokes something; telling it twice changes nothing."""
        reason = str(event.data.get("reason", "revoked"))
        if event.kind in ("session.revoked", "session.reuse") and event.session_id is not None:
            told = "reuse" if event.kind == "session.reuse" else reason
            self._sessions.setdefault(event.session_id, (event.at, told))
        elif event.kind == "user.revoked" and event.user_id is not None:
            epoch = int(event.data.get("epoch") or 0)
            # Only somebody with a row here has an epoch; a `sub` that nobody here has may be at any issuer.
            issuer = event.data.get("issuer") or (self._issuer if epoch else None)
            new = _OfUser(event.at, reason, issuer, epoch, event.data.get("keep"))
            known = self._users.get(event.user_id, [])
            if not any(new.adds_nothing_to(other) for other in known):
                kept = [other for other in known if not other.adds_nothing_to(new)]
                self._users[event.user_id] = [*kept, new]

    def check(self, proof: Proof, now: float) -> None:
        """Refuse a proof whose session or user was revoked after it was signed.

        Raises:
            SessionEnded: with the reason.
        """
        if now >= self._forget_at:
            self.forget(now)
        if proof.session is not None and (ended := self._sessions.get(proof.session)) is not None:
            raise session_ended(ended[1])
        for found in self._users.get(proof.user, ()):
            if found.covers(proof):
                raise session_ended(found.reason)

    def forget(self, now: float) -> None:
        """Drop what no living token can be covered by."""
        self._forget_at = now + MARGIN
        edge = now - self._keep_for
        self._sessions = {sid: kept for sid, kept in self._sessions.items() if kept[0] >= edge}
        fresh = {user: [kept for kept in found if kept.at >= edge] for user, found in self._users.items()}
        self._users = {user: found for user, found in fresh.items() if found}


def session_ended(reason: str, *, detail: str = "") -> SessionEnded:
    """The error for a session that ended for this reason, in words for people where there are some."""
    return SessionEnded(SENTENCES.get(reason), reason=reason, detail=detail)

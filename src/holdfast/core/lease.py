"""How long a connection may live without a new proof.

    granted ----- refresh_at ----- expires_at ----- ends_at
       held           |    due         |    grace      |  over

Every edge belongs to what follows it: at exactly `expires_at` the token is no longer good (RFC 7519, section 4.1.4).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

JITTER = 0.1
"""How far, as a share, the lead is spread, so that a fleet that connected together does not refresh together."""


class Phase(StrEnum):
    """Where in its life a lease is."""

    HELD = "held"
    DUE = "due"
    GRACE = "grace"
    OVER = "over"


# Nobody changes one, but a frozen one takes three times as long to make, and each renewal makes one.
@dataclass(slots=True)
class Lease:
    """One granted stretch of life; times are seconds since the epoch."""

    granted_at: float
    refresh_at: float
    expires_at: float
    ends_at: float

    def phase(self, now: float) -> Phase:
        """Where this lease stands at `now`."""
        if now >= self.ends_at:
            return Phase.OVER
        if now >= self.expires_at:
            return Phase.GRACE
        return Phase.DUE if now >= self.refresh_at else Phase.HELD

    def next_change(self, now: float) -> float | None:
        """When the phase changes next; `None` once it is over."""
        if now < self.refresh_at:
            return self.refresh_at
        if now < self.expires_at:
            return self.expires_at
        return self.ends_at if now < self.ends_at else None


def grant(*, now: float, expires_at: float, lead: float, grace: float, jitter: float) -> Lease:
    """The lease that a proof good until `expires_at` gives.

    `jitter` is a number drawn from [0, 1); 0.5 is no spread at all.
    """
    left = max(0.0, expires_at - now)
    return Lease(now, now + refresh_in(left, lead=lead, jitter=jitter), expires_at, expires_at + grace)


def refresh_in(lifetime: float, *, lead: float, jitter: float) -> float:
    """In how many seconds a client should refresh a token that lives `lifetime` seconds more.

    The lead is never over half the lifetime: a fixed one would make a short token stale from its first second.
    """
    spread = 1 + JITTER * (2 * jitter - 1)
    return max(0.0, lifetime - min(lead, lifetime / 2) * spread)

"""Confirmed-successor rotation: what a refresh token is worth, from the session's row, the token and `now` alone.

A refresh hands out generation N. Nobody is thrown out for coming back with N-1 until the client has proved that it
holds N, so a lost answer, a crash and five tabs at once are harmless; after that proof, N-1 is a theft.

The rows are tried in this order; `g` is the presented generation, W the rotation window:

    1  not active, idle or absolute limit passed, user disabled, epoch changed   refuse, session ended
    7  g > N: the store is older than the token (restored from a backup)         refuse, session ended
    2  g = N, handed out W ago or more                                           rotate to N+1
    3  g = N, handed out within W                                                the same N again (coalesced)
    4  g = N-1, N never proved received                                          the same N again (replayed), at any age
    5  g = N-1, N proved within W: a late tab                                    the same N again (replayed)
    6  anything older                                                            reuse: the session is over

Without row 3 eight tabs always end in a false theft; and W counts from the last hand-out, not from the rotation, or a
replay followed by a fast second rotation throws out a third tab.

`decide` says what a refresh is worth, `advance` what the row becomes by it, `confirm` what it becomes when the client
proves elsewhere that it holds a generation. Whoever presents N proves N as well, so rows 2 and 3 confirm it; a proof
that is no news moves nothing, or repeating N would hold the door of row 5 open for ever. The idle limit counts from the
last hand-out of a token, rotated or replayed: a client whose answers get lost is in use all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

TOO_OLD = "too_old"
IDLE = "idle"
RAN_OUT = (TOO_OLD, IDLE)
"""The denials that end a session by the clock alone; the others were written down when they happened."""


class Outcome(StrEnum):
    """What becomes of a refresh."""

    ROTATE = "rotated"
    COALESCE = "coalesced"
    REPLAY = "replayed"
    REUSE = "reuse"
    DENY = "denied"
    AHEAD = "ahead"
    UNKNOWN = "invalid"
    """No such session; decided by the store, which is where one would be."""

    @property
    def hands_out(self) -> bool:
        """Whether the client gets tokens."""
        return self in (Outcome.ROTATE, Outcome.COALESCE, Outcome.REPLAY)

    @property
    def replaces(self) -> bool:
        """Whether the client gets another refresh token than it presented.

        Only such an answer may set the cookie: a coalesced one brings nothing new, and coming late it would put its
        token back over the next one, which by then may be proved.
        """
        return self in (Outcome.ROTATE, Outcome.REPLAY)


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome, and for a refusal why: `signed_out`, `revoked`, `idle`, `too_old`, `disabled`, …"""

    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What rotation needs of a session's row and its user's."""

    active: bool
    ended_reason: str | None
    user_disabled: bool
    epoch_current: bool
    generation: int
    confirmed_generation: int
    confirmed_at: float
    issued_at: float
    """When the newest generation was last handed out by a rotation or a replay."""
    replay_count: int = 0
    idle_expires_at: float
    absolute_expires_at: float


def decide(family: Family, presented: int, now: float, *, window: float) -> Decision:
    """What to do about generation `presented`; `window` (W) is in seconds."""
    denied = _denial(family, now)
    if denied is not None:
        return Decision(Outcome.DENY, denied)
    newest = family.generation
    if presented > newest:
        return Decision(Outcome.AHEAD, "ahead")
    if presented == newest:
        return Decision(Outcome.ROTATE if now - family.issued_at >= window else Outcome.COALESCE)
    if presented == newest - 1 and _may_replay(family, now, window):
        return Decision(Outcome.REPLAY)
    return Decision(Outcome.REUSE, "reuse")


def advance(family: Family, decision: Decision, *, now: float, idle_lifetime: float) -> Family:
    """The row after what `decide` said of it at the same `now`; an equal one where nothing is to be written."""
    match decision.outcome:
        case Outcome.ROTATE:
            proved = replace(confirm(family, family.generation, now=now), replay_count=0)
            return _handed_out(replace(proved, generation=family.generation + 1), now, idle_lifetime)
        case Outcome.COALESCE:
            return confirm(family, family.generation, now=now)
        case Outcome.REPLAY:
            counted = replace(family, replay_count=family.replay_count + 1)
            return _handed_out(counted, now, idle_lifetime)
        case Outcome.REUSE:
            return replace(family, active=False, ended_reason=decision.reason)
        case Outcome.DENY if family.active and decision.reason in RAN_OUT:
            return replace(family, active=False, ended_reason=decision.reason)
        case _:
            return family


def confirm(family: Family, generation: int, *, now: float) -> Family:
    """The row after the client has proved that it holds `generation`; the same one where that is no news."""
    newest = family.generation
    if not family.active or generation != newest or family.confirmed_generation >= newest:
        return family
    return replace(family, confirmed_generation=newest, confirmed_at=now)


def _denial(family: Family, now: float) -> str | None:
    if not family.active:
        return family.ended_reason or "ended"
    if now >= family.absolute_expires_at:
        return TOO_OLD
    if now >= family.idle_expires_at:
        return IDLE
    if family.user_disabled:
        return "disabled"
    return None if family.epoch_current else "revoked"


def _may_replay(family: Family, now: float, window: float) -> bool:
    unproved = family.confirmed_generation < family.generation
    return unproved or now - family.confirmed_at <= window


def _handed_out(family: Family, now: float, idle_lifetime: float) -> Family:
    idle = min(now + idle_lifetime, family.absolute_expires_at)
    return replace(family, issued_at=now, idle_expires_at=idle)

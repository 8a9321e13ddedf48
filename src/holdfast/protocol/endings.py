"""Why a connection ends: every close code that Holdfast sends, with its reason and what the client should do.

A person reads the reason, a program reads the action. RFC 6455, section 7.4.2 leaves 4000-4999 to applications; the
exact texts of 4003 are those that people already search for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

MAX_REASON_BYTES = 123
"""What fits in a close frame beside its code (RFC 6455, section 5.5)."""


class Action(StrEnum):
    """What a client does after an ending."""

    REFRESH = "refresh"
    """Get a new access token, then connect again."""
    RELOGIN = "relogin"
    """Ask the person to sign in; trying again with what is at hand cannot help."""
    RECONNECT = "reconnect"
    """Connect again with the same token, after `retry_after_ms` or a backoff."""
    STOP = "stop"
    """Do not come back by yourself: the same thing would happen again."""


@dataclass(frozen=True, slots=True)
class Ending:
    """One way for a connection to end."""

    code: int
    reason: str
    action: Action
    retry_after_ms: int | None = None

    def __post_init__(self) -> None:
        if len(self.reason.encode()) > MAX_REASON_BYTES:
            raise ValueError(f"close reason over {MAX_REASON_BYTES} bytes: {self.reason!r}")

    @property
    def ends_rights(self) -> bool:
        """Whether the person may do nothing more: what they have asked for before is not to be done either.

        Not at the end of a token: what was asked for while it was good was asked for by right.
        """
        return self.code == REVOKED.code

    def after(self, milliseconds: int) -> Ending:
        """The same ending, telling the client when to come back."""
        return replace(self, retry_after_ms=milliseconds)


TOKEN_EXPIRED = Ending(4003, "Token expired. Please refresh the page to get a new token.", Action.REFRESH)
TOKEN_INVALID = Ending(4003, "Invalid token. Please refresh the page to get a new token.", Action.RELOGIN)

SIGNED_OUT = Ending(4001, "Session ended: signed out.", Action.RELOGIN)
REVOKED = Ending(4001, "Session ended: revoked.", Action.RELOGIN)
SIGNED_IN_AS_ANOTHER = Ending(4001, "Session ended: signed in as somebody else.", Action.RECONNECT)

SLOW_CONSUMER = Ending(
    4008, "Slow consumer: the connection could not keep up; nothing is lost, recover.", Action.RECONNECT
)

TOO_MANY_CONNECTIONS = Ending(
    4009, "Limit reached: too many connections for this user.", Action.RECONNECT, retry_after_ms=30_000
)
TOO_MANY_FRAMES = Ending(
    4009, "Limit reached: too many frames per second.", Action.RECONNECT, retry_after_ms=1_000
)
FRAME_TOO_LARGE = Ending(4009, "Limit reached: the frame is too large.", Action.STOP)

NO_PROOF = Ending(4010, "No proof: send a token within the time allowed.", Action.RELOGIN)

FINISHED = Ending(1000, "", Action.STOP)
"""The app's own handler has returned: nothing went wrong."""
DISCONNECTED = Ending(1001, "Disconnected by an administrator.", Action.RECONNECT)
SERVER_ERROR = Ending(1011, "Server error: the handler failed. It has been logged.", Action.RECONNECT)
PEER_GONE = Ending(1011, "No answer to two pings.", Action.RECONNECT)
RESTARTING = Ending(1012, "The server is restarting; come back in a moment.", Action.RECONNECT)
TRY_LATER = Ending(1013, "The server cannot check the token just now; try again later.", Action.RECONNECT)

TABLE: tuple[Ending, ...] = (
    TOKEN_EXPIRED,
    TOKEN_INVALID,
    SIGNED_OUT,
    REVOKED,
    SIGNED_IN_AS_ANOTHER,
    SLOW_CONSUMER,
    TOO_MANY_CONNECTIONS,
    TOO_MANY_FRAMES,
    FRAME_TOO_LARGE,
    NO_PROOF,
    FINISHED,
    DISCONNECTED,
    SERVER_ERROR,
    PEER_GONE,
    RESTARTING,
    TRY_LATER,
)


def revoked(why: str) -> Ending:
    """The revoked ending with the operator's words in it, cut to what a close frame holds."""
    if not why:
        return REVOKED
    head, tail = "Session ended: revoked (", ")."
    return replace(REVOKED, reason=head + cut(why, MAX_REASON_BYTES - len(head) - len(tail)) + tail)


def cut(reason: str, room: int = MAX_REASON_BYTES) -> str:
    """As much of a reason as there is room for in a close frame, in UTF-8; a lone surrogate becomes a question mark."""
    return reason.encode(errors="replace")[:room].decode(errors="ignore")


def is_unknown(code: int) -> bool:
    """Whether the code means nothing here: it is an app's own, or one of which the RFC says nothing that helps."""
    return code not in _BY_CODE and all(ending.code != code for ending in TABLE)


def action_for(code: int, reason: str = "") -> Action:
    """What a client that saw only the close frame should do.

    For clients that do not speak holdfast.v1 or lost the `bye`. Codes that are not in the table (1006 above all) are
    faults of the network or of something between, and those are worth another try.
    """
    for ending in TABLE:
        if ending.code == code and ending.reason == reason:
            return ending.action
    return _BY_CODE.get(code, Action.RECONNECT)


_BY_CODE = {
    1000: Action.STOP,
    1002: Action.STOP,
    1003: Action.STOP,
    1007: Action.STOP,
    1009: Action.STOP,
    4001: Action.RELOGIN,
    4003: Action.REFRESH,
    4010: Action.RELOGIN,
}

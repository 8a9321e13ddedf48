"""What the machine of a live connection has its driver do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class LiveNews(StrEnum):
    """What is announced to the app."""

    READY = "ready"
    GRACE = "grace"
    HEALED = "healed"
    LOST = "lost"
    PARKED = "parked"
    STOPPED = "stopped"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Open:
    """Take the session's token, after a refresh if one is due, and open socket number `socket` with it.

    Answer with `opened`, `denied`, `closed` or `session_over`. Waiting for the token is part of opening, so that a
    reconnect and a refresh after a sleep do not race.
    """

    socket: int


@dataclass(frozen=True, slots=True)
class SendAuth:
    """Show the session's newest token in band."""

    socket: int
    id: str


@dataclass(frozen=True, slots=True)
class SendPing:
    """Ask whether the server is there."""

    socket: int
    id: str


@dataclass(frozen=True, slots=True)
class SendPong:
    """Answer the server's `ping`."""

    socket: int
    id: str | int | None


@dataclass(frozen=True, slots=True)
class Close:
    """Close the socket with 1000 and forget it: whatever it says from here on is not heard."""

    socket: int


@dataclass(frozen=True, slots=True)
class Deliver:
    """Hand a message to the app."""

    data: Any


@dataclass(frozen=True, slots=True)
class AskRefresh:
    """Tell the session that token number `token` is not good enough (`due`); if it is over, answer `session_over`."""

    token: int


@dataclass(frozen=True, slots=True)
class Denial:
    """A handshake's HTTP answer: its status, our `code` if the body has one, and `Retry-After` in seconds."""

    status: int
    code: str = ""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Announce:
    """Tell the app; `code` is a close code, or an error frame's code."""

    what: LiveNews
    code: int | str | None = None
    reason: str = ""
    seconds: float | None = None
    id: str | int | None = None


Effect = Open | SendAuth | SendPing | SendPong | Close | Deliver | AskRefresh | Announce

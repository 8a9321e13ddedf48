"""What is said on a live connection, apart from how it is written: one dataclass a frame.

`codec` writes these as holdfast.v1 JSON; another wire protocol would write the same ones its own way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from holdfast.protocol.endings import Ending


@dataclass(frozen=True, slots=True)
class Limits:
    """What the server will take from one connection."""

    frame_bytes: int
    frames_per_second: int


# From the server. Seconds are relative, never a point in time: a client's clock may be wrong.


@dataclass(frozen=True, slots=True)
class Welcome:
    """The proof was good: the connection is ready (an open socket alone is not)."""

    connection: str
    session: str | None
    user: str
    expires_in: float
    refresh_in: float
    grace: float
    ping_interval: float
    limits: Limits


@dataclass(frozen=True, slots=True)
class AuthDue:
    """It is time for a new proof."""

    expires_in: float


@dataclass(frozen=True, slots=True)
class AuthOk:
    """The lease was renewed; without an `id`, through the session."""

    expires_in: float
    refresh_in: float
    id: str | int | None = None


@dataclass(frozen=True, slots=True)
class AuthGrace:
    """The token has run out; what the client sends is refused until a renewal."""

    grace_left: float


@dataclass(frozen=True, slots=True)
class Ok:
    """A request was done."""

    id: str | int
    result: Any = None


@dataclass(frozen=True, slots=True)
class Error:
    """What the client sent could not be used; the connection goes on."""

    code: str
    message: str
    id: str | int | None = None
    retry_after_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Bye:
    """The last frame before the close frame, with the same code and reason, and what to do."""

    ending: Ending


ServerFrame = Welcome | AuthDue | AuthOk | AuthGrace | Ok | Error | Bye


# From either side.


@dataclass(frozen=True, slots=True)
class Ping:
    """Are you there? A `ping` with an `id` is answered by a `pong` with the same one."""

    id: str | int | None = None


@dataclass(frozen=True, slots=True)
class Pong:
    """I am here."""

    id: str | int | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """The app's own message: any JSON value that is not a frame of the protocol."""

    data: Any


# From the client.


@dataclass(frozen=True, slots=True)
class Auth:
    """A new proof for the lease; the token stays out of every `repr`."""

    token: str = field(repr=False)
    id: str | int | None = None


@dataclass(frozen=True, slots=True)
class Malformed:
    """What could not be read, as the error to answer with."""

    error: Error


ClientFrame = Auth | Ping | Pong | Message | Malformed

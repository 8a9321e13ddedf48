"""What the core asks its driver to do, in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from holdfast.protocol.endings import Ending
from holdfast.protocol.frames import ChannelRequest, Message, Ping, Pong, ServerFrame


@dataclass(frozen=True, slots=True)
class Send:
    """Send a frame, if this client's protocol has words for it."""

    frame: ServerFrame | Ping | Pong | Message


@dataclass(frozen=True, slots=True)
class Verify:
    """Check a token and come back with `proven` or `refused`; the token stays out of every `repr`."""

    token: str = field(repr=False)
    request: str | int | None = None


@dataclass(frozen=True, slots=True)
class Deliver:
    """Hand a message to the app."""

    message: Any


@dataclass(frozen=True, slots=True)
class Request:
    """Do what the client asks of a channel, and answer it; the core has seen that it may ask now."""

    frame: ChannelRequest


@dataclass(frozen=True, slots=True)
class Bind:
    """The connection now belongs to this session: revocations and renewals of it must find it."""

    session: str | None


@dataclass(frozen=True, slots=True)
class Close:
    """Close with this code and reason; nothing may be sent after it."""

    ending: Ending


@dataclass(frozen=True, slots=True)
class Record:
    """Something worth telling: a line on the connection's timeline, and a count."""

    what: str
    detail: str = ""
    seconds: float | None = None


Effect = Send | Verify | Deliver | Request | Bind | Close | Record

"""What the core asks its driver to do, in order.

These are not frozen, as one or more is made for everything that happens, and a frozen one takes three times as long.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from holdfast.protocol.endings import Ending
from holdfast.protocol.frames import ChannelRequest, Message, Ping, Pong, ServerFrame


@dataclass(slots=True)
class Send:
    """Send a frame, if this client's protocol has words for it."""

    frame: ServerFrame | Ping | Pong | Message


@dataclass(slots=True)
class Verify:
    """Check a token and come back with `proven` or `refused`; the token stays out of every `repr`."""

    token: str = field(repr=False)
    request: str | int | None = None


@dataclass(slots=True)
class Deliver:
    """Hand a message to the app; its frame had so many bytes."""

    message: Any
    size: int


@dataclass(slots=True)
class Request:
    """Do what the client asks of a channel, and answer it; the core has seen that it may ask now."""

    frame: ChannelRequest


@dataclass(slots=True)
class Bind:
    """The connection now belongs to this session: revocations and renewals of it must find it."""

    session: str | None


@dataclass(slots=True)
class Close:
    """Close with this code and reason; nothing may be sent after it."""

    ending: Ending


@dataclass(slots=True)
class Record:
    """Something worth telling: a line on the connection's timeline, and a count."""

    what: str
    detail: str = ""
    seconds: float | None = None


Effect = Send | Verify | Deliver | Request | Bind | Close | Record

PASSED_ON = frozenset({Deliver, Request})
"""Effects that leave the connection as it was; nearly all that comes from a client is one of these, alone."""

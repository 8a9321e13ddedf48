"""What is said on a live connection, apart from how it is written: one dataclass a frame.

`codec` writes these as holdfast.v1 JSON; another wire protocol would write the same ones its own way. Nobody changes
one; those that a server makes most of are not frozen, as that takes three times as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.protocol.endings import Ending


@dataclass(slots=True)
class Limits:
    """What the server will take from one connection."""

    frame_bytes: int
    frames_per_second: int


# From the server. Seconds are relative, never a point in time: a client's clock may be wrong.


@dataclass(slots=True)
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


# Channels, from the server. The data of a publication is JSON text wherever it goes: it is written once, by whoever
# publishes, and only ever copied after that.


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a channel: `offset` counts the publications of one life of the channel, which `epoch` names."""

    epoch: str
    offset: int


@dataclass(slots=True)
class Publication:
    """What was published, and its place; `data` is JSON text."""

    offset: int
    data: str


@dataclass(frozen=True, slots=True)
class Member:
    """One connection that is subscribed to a channel, and whose it is."""

    connection: str
    user: str
    name: str


@dataclass(slots=True)
class Event:
    """A publication on its way to a subscriber; `data` is JSON text."""

    channel: str
    offset: int
    data: str


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The connection gets the channel's events from now on.

    `position` is the channel's newest. With `recovered`, every publication between the `since` of the request and
    `position` follows at once as an event; without it none of them does. Without an `id` nobody asked: the server has
    lost its place in the channel, and starts over at `position`.
    """

    channel: str
    position: Position
    recovered: bool
    positioned: bool
    """Whether the channel keeps history, so that a position is worth keeping."""
    presence: Sequence[Member] | None = None
    id: str | int | None = None


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    """The server has ended a subscription; the connection goes on."""

    channel: str
    reason: str
    """`revoked` or `channel_closed`."""


@dataclass(frozen=True, slots=True)
class PresenceJoined:
    """Somebody has subscribed to the channel."""

    channel: str
    member: Member


@dataclass(frozen=True, slots=True)
class PresenceLeft:
    """Somebody is no longer subscribed to the channel."""

    channel: str
    member: Member


@dataclass(slots=True)
class Published:
    """The `ok` of a `publish`: the place that the publication got."""

    id: str | int
    position: Position


@dataclass(frozen=True, slots=True)
class HistoryRead:
    """The `ok` of a `history`."""

    id: str | int
    position: Position
    publications: Sequence[Publication]
    recovered: bool


@dataclass(frozen=True, slots=True)
class PresenceRead:
    """The `ok` of a `presence`."""

    id: str | int
    members: Sequence[Member]


ChannelFrame = (
    Event | Subscribed | Unsubscribed | PresenceJoined | PresenceLeft | Published | HistoryRead | PresenceRead
)
ServerFrame = Welcome | AuthDue | AuthOk | AuthGrace | Ok | Error | Bye | ChannelFrame


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


@dataclass(slots=True)
class ChannelRequest:
    """Something that a client wants of a channel; always one of the classes below."""

    id: str | int
    channel: str


@dataclass(slots=True)
class Subscribe(ChannelRequest):
    """Send me the channel's events, those missed after `since` first; with `presence`, also who comes and goes."""

    since: Position | None = None
    presence: bool = False


@dataclass(slots=True)
class Unsubscribe(ChannelRequest):
    """Send me no more of this channel."""


@dataclass(slots=True)
class Publish(ChannelRequest):
    """Give this to all subscribers; `data` is JSON text, and a `key` that comes again changes nothing."""

    data: str
    key: str | None = None


@dataclass(slots=True)
class ReadHistory(ChannelRequest):
    """What was published: the newest `limit`, or the first `limit` after `since`."""

    since: Position | None = None
    limit: int = 100


@dataclass(slots=True)
class ReadPresence(ChannelRequest):
    """Who is subscribed?"""


@dataclass(frozen=True, slots=True)
class Malformed:
    """What could not be read, as the error to answer with."""

    error: Error


def id_of(message: Any) -> str | int | None:
    """The `id` that an app's message may have, for the error that answers it."""
    request = message.get("id") if isinstance(message, dict) else None
    return request if isinstance(request, str | int) else None


def busy(message: Any) -> Error:
    """The app has not taken those that came before it."""
    return Error("busy", "too many messages wait already; send this again later", id_of(message), 1_000)


ClientFrame = Auth | Ping | Pong | Message | ChannelRequest | Malformed

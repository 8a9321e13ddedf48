"""holdfast.v1 as the client reads and writes it; the server's side is `protocol.codec`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from holdfast.protocol.codec import FROM_SERVER
from holdfast.protocol.endings import Action, action_for
from holdfast.protocol.frames import (
    AuthDue,
    AuthGrace,
    AuthOk,
    Error,
    Limits,
    Member,
    Message,
    Ok,
    Ping,
    Pong,
    Position,
    PresenceJoined,
    PresenceLeft,
    Subscribed,
    Unsubscribed,
    Welcome,
)

LARGEST = 2**53 - 1
"""No number of the protocol's is larger, and JavaScript holds none that is."""


@dataclass(frozen=True, slots=True)
class Farewell:
    """A `bye` as it was received: its code and reason may be newer than this client's table."""

    code: int
    reason: str
    action: Action
    retry_after_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """What was published on a channel, and its place there."""

    channel: str
    offset: int
    data: Any
    missed: bool = False
    """Whether others were published before this one that cannot be had any more."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A frame of the protocol that this client has no use for, or that lacks a field; `kind` is its type."""

    kind: str


ChannelNews = Event | Subscribed | Unsubscribed | PresenceJoined | PresenceLeft
Received = (
    Welcome
    | AuthDue
    | AuthOk
    | AuthGrace
    | Ok
    | Error
    | Farewell
    | Ping
    | Pong
    | Message
    | Ignored
    | ChannelNews
)


def read(text: str | bytes) -> Received:
    """What a frame from the server means; never raises on what a server sends."""
    if isinstance(text, bytes):
        return Ignored("binary")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return Ignored("unreadable")
    kind = body.get("type") if isinstance(body, dict) else None
    if not isinstance(kind, str) or kind not in FROM_SERVER:
        return Message(body)
    try:
        return _channel_news(kind, body) or _frame(kind, body)
    except (KeyError, TypeError, ValueError):
        return Ignored(kind)


def auth(token: str, request: str) -> str:
    """A proof."""
    return _write({"type": "auth", "id": request, "token": token})


def ping(request: str) -> str:
    """A question whether the server is there."""
    return _write({"type": "ping", "id": request})


def pong(request: str | int | None) -> str:
    """The answer to the server's `ping`."""
    return _write({"type": "pong"} if request is None else {"type": "pong", "id": request})


def subscribe(request: str, channel: str, since: Position | None, *, presence: bool) -> str:
    """What is published on the channel, from where this client stands."""
    body: dict[str, Any] = {"type": "subscribe", "id": request, "channel": channel}
    if since is not None:
        body["since"] = {"epoch": since.epoch, "offset": since.offset}
    if presence:
        body["presence"] = True
    return _write(body)


def unsubscribe(request: str, channel: str) -> str:
    """No more of the channel."""
    return _write({"type": "unsubscribe", "id": request, "channel": channel})


def publish(request: str, channel: str, data: Any, key: str | None) -> str:
    """To everybody on the channel. Raises `TypeError`, `ValueError` or `RecursionError` for data that is no JSON."""
    body = {"type": "publish", "id": request, "channel": channel, "data": data}
    text = _write(body if key is None else {**body, "key": key})
    text.encode()  # half a surrogate pair cannot be sent
    return text


def history(request: str, channel: str, since: Position | None, limit: int | None) -> str:
    """What the channel remembers."""
    body: dict[str, Any] = {"type": "history", "id": request, "channel": channel}
    if since is not None:
        body["since"] = {"epoch": since.epoch, "offset": since.offset}
    if limit is not None:
        body["limit"] = limit
    return _write(body)


def presence(request: str, channel: str) -> str:
    """Who is on the channel."""
    return _write({"type": "presence", "id": request, "channel": channel})


def position(body: Any) -> Position:
    """A place in a channel. Raises `TypeError`, `KeyError` or `ValueError` for anything else, as those below do."""
    return Position(_text(body["epoch"]), int(_seconds(body["offset"])))


def members(value: Any) -> list[Member]:
    """Who is there."""
    return [_member(each) for each in value]


def publications(channel: str, value: Any) -> list[Event]:
    """What a channel remembers."""
    return [Event(channel, int(_seconds(each["offset"])), each["data"]) for each in value]


def _channel_news(kind: str, body: dict[str, Any]) -> ChannelNews | None:
    match kind:
        case "event":
            return Event(_text(body["channel"]), int(_seconds(body["offset"])), body.get("data"))
        case "subscribed":
            there = body.get("presence")
            return Subscribed(
                channel=_text(body["channel"]),
                position=position(body),
                recovered=body.get("recovered") is True,
                positioned=body.get("positioned") is True,
                presence=None if there is None else members(there),
                id=_id(body),
            )
        case "unsubscribed":
            return Unsubscribed(_text(body["channel"]), _text(body.get("reason", "")))
        case "presence.join":
            return PresenceJoined(_text(body["channel"]), _member(body))
        case "presence.leave":
            return PresenceLeft(_text(body["channel"]), _member(body))
        case _:
            return None


def _frame(kind: str, body: dict[str, Any]) -> Received:
    match kind:
        case "welcome":
            return _welcome(body)
        case "auth.due":
            return AuthDue(_seconds(body["expires_in"]))
        case "auth.ok":
            return AuthOk(_seconds(body["expires_in"]), _seconds(body["refresh_in"]), _id(body))
        case "auth.grace":
            return AuthGrace(_seconds(body["grace_left"]))
        case "error":
            return Error(_text(body["code"]), _text(body.get("message", "")), _id(body), _milliseconds(body))
        case "ok":
            return Ok(_text_or_number(body["id"]), body.get("result"))
        case "bye":
            return _farewell(body)
        case "ping":
            return Ping(_id(body))
        case "pong":
            return Pong(_id(body))
        case _:
            return Ignored(kind)


def _welcome(body: dict[str, Any]) -> Welcome:
    limits = body["limits"]
    session = body.get("session")
    return Welcome(
        connection=_text(body["connection"]),
        session=None if session is None else _text(session),
        user=_text(body["user"]),
        expires_in=_seconds(body["expires_in"]),
        refresh_in=_seconds(body["refresh_in"]),
        grace=_seconds(body["grace"]),
        ping_interval=_seconds(body["ping_interval"]),
        limits=Limits(int(_seconds(limits["frame_bytes"])), int(_seconds(limits["frames_per_second"]))),
    )


def _member(body: Any) -> Member:
    return Member(_text(body["connection"]), _text(body["user"]), _text(body["name"]))


def _farewell(body: dict[str, Any]) -> Farewell:
    code = int(_seconds(body["code"]))
    reason = _text(body.get("reason", ""))
    try:
        action = Action(_text(body.get("action")))
    except (TypeError, ValueError):
        action = action_for(code, reason)
    return Farewell(code, reason, action, _milliseconds(body))


def _id(body: dict[str, Any]) -> str | int | None:
    value = body.get("id")
    return None if value is None else _text_or_number(value)


def _text_or_number(value: Any) -> str | int:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LARGEST:
        raise ValueError
    return float(value)


def _milliseconds(body: dict[str, Any]) -> int | None:
    value = body.get("retry_after_ms")
    return None if value is None else int(_seconds(value))


def _write(body: dict[str, Any]) -> str:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)

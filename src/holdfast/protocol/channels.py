"""Channel requests and channel frames as JSON, for every protocol that is made of JSON.

The data of a publication is JSON text already when it gets here. It is set into the text around it, never read and
written again: that would cost more than all the rest of a publication's way.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from json.encoder import encode_basestring as quoted
from typing import Any

from holdfast.protocol.frames import (
    ChannelFrame,
    ChannelRequest,
    Error,
    Event,
    HistoryRead,
    Member,
    Position,
    PresenceJoined,
    PresenceLeft,
    Publish,
    Published,
    ReadHistory,
    ReadPresence,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
)
from holdfast.protocol.jsontext import dump

REQUESTS = frozenset({"subscribe", "unsubscribe", "publish", "history", "presence"})
"""Frame types by which a client asks something of a channel."""

MAX_CHANNEL_LENGTH = 255
MAX_EPOCH_LENGTH = 64
MAX_KEY_LENGTH = 128
MAX_OFFSET = 2**53 - 1
"""The largest integer that JavaScript holds exactly."""
MAX_HISTORY_LIMIT = 1_000
DEFAULT_HISTORY_LIMIT = 100

BAD_CHANNEL = (
    f"a channel's name has 1 to {MAX_CHANNEL_LENGTH} ASCII characters, and none of space {{ }} * ? & ,"
)

# From "!" to "~" without & * , ? { }
_CHANNEL = re.compile(rf"[!-%'-)+\-->@-z|~]{{1,{MAX_CHANNEL_LENGTH}}}")


def is_channel(name: object) -> bool:
    """Whether this can be the name of a channel."""
    return isinstance(name, str) and _CHANNEL.fullmatch(name) is not None


# What clients write


def read_request(kind: str, request: str | int | None, body: dict[str, Any]) -> ChannelRequest | Error:
    """The request of type `kind` (one of `REQUESTS`) with a good `id`, or what is wrong with it."""
    if request is None:
        return Error("bad_frame", f"{kind} needs an id, which its answer will carry")
    channel = body.get("channel")
    if not is_channel(channel):
        return Error("bad_channel", BAD_CHANNEL, request)
    try:
        return _request(kind, request, str(channel), body)
    except _Wrong as wrong:
        return Error("bad_frame", f"{kind}: {wrong}", request)


class _Wrong(Exception):
    """A field that cannot mean anything; the text says what to send."""


def _request(kind: str, request: str | int, channel: str, body: dict[str, Any]) -> ChannelRequest:
    match kind:
        case "subscribe":
            return Subscribe(request, channel, _since(body), _presence(body))
        case "unsubscribe":
            return Unsubscribe(request, channel)
        case "publish":
            if "data" not in body:
                raise _Wrong("data is missing; it may be any JSON value, null too")
            return Publish(request, channel, dump(body["data"]), _key(body))
        case "history":
            return ReadHistory(request, channel, _since(body), _limit(body))
        case _:
            return ReadPresence(request, channel)


def _since(body: dict[str, Any]) -> Position | None:
    match body.get("since"):
        case None:
            return None
        case {"epoch": str(epoch), "offset": int(offset)} if (
            0 < len(epoch) <= MAX_EPOCH_LENGTH and not isinstance(offset, bool) and 0 <= offset <= MAX_OFFSET
        ):
            return Position(epoch, offset)
        case _:
            raise _Wrong('since is a position that the server gave: {"epoch": "...", "offset": 7}')


def _presence(body: dict[str, Any]) -> bool:
    match body.get("presence"):
        case None:
            return False
        case bool(wanted):
            return wanted
        case _:
            raise _Wrong("presence is true or false")


def _key(body: dict[str, Any]) -> str | None:
    match body.get("key"):
        case None:
            return None
        case str(key) if 0 < len(key) <= MAX_KEY_LENGTH:
            return key
        case _:
            raise _Wrong(f"key is a string of 1 to {MAX_KEY_LENGTH} characters")


def _limit(body: dict[str, Any]) -> int:
    match body.get("limit"):
        case None:
            return DEFAULT_HISTORY_LIMIT
        case int(limit) if not isinstance(limit, bool) and 0 < limit <= MAX_HISTORY_LIMIT:
            return limit
        case _:
            raise _Wrong(f"limit is a whole number from 1 to {MAX_HISTORY_LIMIT}")


# What servers write


def data_text(value: Any) -> str:
    """The data of a publication as JSON text. Raises `ValueError` or `TypeError` for what JSON cannot carry."""
    text = dump(value)
    if not text.isascii():
        text.encode()  # half a surrogate pair would stop it at every subscriber
    return text


def event_text(channel: str, offset: int, data: str) -> str:
    """An event as holdfast.v1 writes it; `data` is JSON text."""
    return f'{{"type":"event","channel":{quoted(channel)},"offset":{offset},"data":{data}}}'


def plain_event_text(channel: str, offset: int, data: str) -> str:
    """An event as a plain socket gets it, which knows no frames and so no `type`; `data` is JSON text."""
    return f'{{"channel":{quoted(channel)},"offset":{offset},"data":{data}}}'


def write(frame: ChannelFrame) -> str:
    """A channel frame as holdfast.v1 writes it."""
    match frame:
        case Published(request, position):
            return _published(request, position)
        case Event(channel, offset, data):
            return event_text(channel, offset, data)
        case HistoryRead():
            return _history(frame)
        case Subscribed():
            return dump(_subscribed(frame))
        case Unsubscribed(channel, reason):
            return dump({"type": "unsubscribed", "channel": channel, "reason": reason})
        case PresenceJoined(channel, member):
            return dump({"type": "presence.join", "channel": channel, **_member(member)})
        case PresenceLeft(channel, member):
            return dump({"type": "presence.leave", "channel": channel, **_member(member)})
        case _:
            return dump({"type": "ok", "id": frame.id, "result": {"members": _members(frame.members)}})


def _published(request: str | int, position: Position) -> str:
    """Put together by hand: each publication of a client has this answer."""
    return (
        f'{{"type":"ok","id":{quoted(request) if isinstance(request, str) else request},"result":{{'
        f'"epoch":{quoted(position.epoch)},"offset":{position.offset}}}}}'
    )


def _history(frame: HistoryRead) -> str:
    publications = ",".join(
        f'{{"offset":{publication.offset},"data":{publication.data}}}' for publication in frame.publications
    )
    return (
        f'{{"type":"ok","id":{dump(frame.id)},"result":{{'
        f'"epoch":{quoted(frame.position.epoch)},"offset":{frame.position.offset},'
        f'"publications":[{publications}],"recovered":{dump(frame.recovered)}}}}}'
    )


def _subscribed(frame: Subscribed) -> dict[str, Any]:
    return {
        "type": "subscribed",
        **({} if frame.id is None else {"id": frame.id}),
        "channel": frame.channel,
        **_position(frame.position),
        "recovered": frame.recovered,
        "positioned": frame.positioned,
        **({} if frame.presence is None else {"presence": _members(frame.presence)}),
    }


def _position(position: Position) -> dict[str, Any]:
    return {"epoch": position.epoch, "offset": position.offset}


def _member(member: Member) -> dict[str, Any]:
    return {"connection": member.connection, "user": member.user, "name": member.name}


def _members(members: Sequence[Member]) -> list[dict[str, Any]]:
    return [_member(member) for member in members]

"""How frames are written as JSON text: holdfast.v1, and plain sockets, which only ever see the app's own messages.

A codec is all that a wire protocol is to the rest of Holdfast: `encode` says what goes out (or `None` for "this
client is not told"), `decode` what came in. Nothing here raises on what a peer sends: it becomes a `Malformed`.
"""

from __future__ import annotations

from functools import lru_cache
from json.encoder import encode_basestring as quoted
from typing import Any, Protocol

from holdfast.errors import ReservedFrameError
from holdfast.protocol import channels, jsontext
from holdfast.protocol.frames import (
    Auth,
    AuthDue,
    AuthGrace,
    AuthOk,
    Bye,
    ChannelFrame,
    ClientFrame,
    Error,
    Event,
    Malformed,
    Message,
    Ok,
    Ping,
    Pong,
    ServerFrame,
    Welcome,
)

SUBPROTOCOL = "holdfast.v1"

FROM_SERVER = frozenset(
    {"welcome", "auth.due", "auth.ok", "auth.grace", "ok", "error", "bye", "ping", "pong"}
    | {"event", "subscribed", "unsubscribed", "presence.join", "presence.leave"}
)
"""Frame types that only the protocol may send to a client."""

FROM_CLIENT = channels.REQUESTS | {"auth", "ping", "pong"}
"""Frame types that only the protocol may send to a server."""

MAX_ID_LENGTH = 64
MAX_INTEGER_ID = 2**53 - 1
"""The largest integer that JavaScript holds exactly."""


class Codec(Protocol):
    """One wire protocol."""

    controlled: bool
    """Whether the client is sent control frames, and so can renew in band."""

    def encode(self, frame: ServerFrame | Ping | Pong | Message) -> str | None:
        """The text to send, or `None` where this client is not told of such a frame."""

    def decode(self, data: str | bytes) -> ClientFrame:
        """What a frame from the client means."""


class HoldfastV1:
    """The subprotocol `holdfast.v1`: JSON objects with `type` first."""

    controlled = True

    def encode(self, frame: ServerFrame | Ping | Pong | Message) -> str | None:
        if isinstance(frame, ChannelFrame):
            return channels.write(frame)
        return _welcome(frame) if isinstance(frame, Welcome) else jsontext.dump(_body(frame))

    def decode(self, data: str | bytes) -> ClientFrame:
        parsed = _parse(data)
        if isinstance(parsed, Malformed):
            return parsed
        if not isinstance(parsed, dict):
            return _malformed("bad_frame", 'a frame is a JSON object, such as {"type": "ping"}')
        kind = parsed.get("type")
        request = parsed.get("id")
        # A `type` may be any JSON value, and lists do not hash.
        if not isinstance(kind, str) or kind not in FROM_CLIENT:
            return Message(parsed)
        if not _is_id(request):
            return _malformed(
                "bad_id", f"an id is a string of up to {MAX_ID_LENGTH} characters or a whole number"
            )
        if kind == "auth":
            token = parsed.get("token")
            if not isinstance(token, str) or not token:
                return _malformed(
                    "bad_frame", 'auth needs a token: {"type": "auth", "token": "..."}', request
                )
            return Auth(token, request)
        if kind == "ping":
            return Ping(request)
        if kind == "pong":
            return Pong(request)
        asked = channels.read_request(kind, request, parsed)
        return Malformed(asked) if isinstance(asked, Error) else asked


class Plain:
    """A socket without a subprotocol: the app's own JSON, events, and answers to what the client itself asked."""

    controlled = False

    def encode(self, frame: ServerFrame | Ping | Pong | Message) -> str | None:
        match frame:
            case Event(channel, offset, data):
                return channels.plain_event_text(channel, offset, data)
            case Message() | Error():
                return jsontext.dump(_body(frame))
            case Pong(id=request) if request is not None:
                return jsontext.dump(_body(frame))
            case _:
                return None

    def decode(self, data: str | bytes) -> ClientFrame:
        parsed = _parse(data)
        if isinstance(parsed, dict):
            request = parsed.get("id")
            if parsed.get("type") == "ping" and request is not None and _is_id(request):
                return Ping(request)
            # The first frame of a socket that came without a token; the connection refuses it later on.
            if parsed.get("type") == "auth" and isinstance(parsed.get("token"), str) and _is_id(request):
                return Auth(parsed["token"], request)
        return parsed if isinstance(parsed, Malformed) else Message(parsed)


def check_message(data: Any) -> None:
    """Refuse an app's message that a client would take for a frame of the protocol.

    Raises:
        ReservedFrameError: its `type` is one of holdfast.v1's own.
    """
    if isinstance(data, dict) and isinstance(data.get("type"), str) and data["type"] in FROM_SERVER:
        raise ReservedFrameError(
            f"the message type {data['type']!r} belongs to holdfast.v1; "
            f"name yours otherwise, such as 'app.{data['type']}'"
        )


def _welcome(frame: Welcome) -> str:
    """Put together by hand: it is a part of every handshake, and has three strings in it that may need an escape."""
    session = "null" if frame.session is None else quoted(frame.session)
    return (
        f'{{"type":"welcome","connection":{quoted(frame.connection)},"session":{session}'
        f',"user":{quoted(frame.user)},"expires_in":{_seconds(frame.expires_in)}'
        f',"refresh_in":{_seconds(frame.refresh_in)}'
        + _terms(frame.grace, frame.ping_interval, frame.limits.frame_bytes, frame.limits.frames_per_second)
    )


@lru_cache(maxsize=16, typed=True)  # 30 is written otherwise than 30.0
def _terms(grace: float, ping_interval: float, frame_bytes: int, frames_per_second: int) -> str:
    """The end of a welcome, which all connections of a server are told alike."""
    return (
        f',"grace":{_seconds(grace)},"ping_interval":{_seconds(ping_interval)}'
        f',"limits":{{"frame_bytes":{frame_bytes},"frames_per_second":{frames_per_second}}}}}'
    )


def _body(frame: AuthDue | AuthOk | AuthGrace | Ok | Error | Bye | Ping | Pong | Message) -> Any:
    match frame:
        case Message(data):
            return data
        case AuthDue(expires_in):
            return {"type": "auth.due", "expires_in": _seconds(expires_in)}
        case AuthOk(expires_in, refresh_in, request):
            return _with_id(
                {"type": "auth.ok"}, request, expires_in=_seconds(expires_in), refresh_in=_seconds(refresh_in)
            )
        case AuthGrace(grace_left):
            return {"type": "auth.grace", "grace_left": _seconds(grace_left)}
        case Ok(request, result):
            return {"type": "ok", "id": request, "result": result}
        case Error(code, message, request, retry):
            body = _with_id({"type": "error"}, request, code=code, message=message)
            return body if retry is None else {**body, "retry_after_ms": retry}
        case Bye(ending):
            body = {
                "type": "bye",
                "code": ending.code,
                "reason": ending.reason,
                "action": ending.action.value,
            }
            return (
                body if ending.retry_after_ms is None else {**body, "retry_after_ms": ending.retry_after_ms}
            )
        case Ping(request):
            return _with_id({"type": "ping"}, request)
        case _:
            return _with_id({"type": "pong"}, frame.id)


def _with_id(head: dict[str, Any], request: str | int | None, **fields: Any) -> dict[str, Any]:
    return {**head, **({} if request is None else {"id": request}), **fields}


def _seconds(value: float) -> float:
    return int(value * 1000 + 0.5) / 1000 if value > 0 else 0.0


def _parse(data: str | bytes) -> Any:
    if isinstance(data, bytes):
        return _malformed(
            "binary_frame", "send text frames with JSON in them; binary frames are not read here"
        )
    try:
        return jsontext.parse(data)
    except RecursionError:
        return _malformed("bad_frame", "the JSON is nested too deeply")
    except ValueError:
        return _malformed("bad_frame", "the frame is not JSON")


def _is_id(value: Any) -> bool:
    # `type` and not `isinstance`: True is an int to Python.
    if type(value) is str:
        return 0 < len(value) <= MAX_ID_LENGTH
    return value is None or (type(value) is int and abs(value) <= MAX_INTEGER_ID)


def _malformed(code: str, message: str, request: str | int | None = None) -> Malformed:
    return Malformed(Error(code, message, request))

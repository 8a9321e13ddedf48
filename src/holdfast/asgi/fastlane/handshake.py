"""The opening handshake (RFC 6455, section 4.2): what a request must be, and the answers to it. Pure."""

from __future__ import annotations

import binascii
import re
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha1
from http import HTTPStatus

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
VERSION = b"13"
LONGEST_TARGET = 16_384
LARGEST_HEAD = 65_536
MOST_HEADERS = 128
"""A target with a token in it fits; a cookie jar that has grown for years does too."""

Headers = list[tuple[bytes, bytes]]

_ONCE = frozenset(
    (b"content-length", b"host", b"sec-websocket-key", b"sec-websocket-version", b"transfer-encoding")
)
_READ = _ONCE | {b"connection", b"sec-websocket-extensions", b"sec-websocket-protocol", b"upgrade"}


@dataclass(slots=True)  # a frozen one takes three times as long to make, and each handshake makes one
class Request:
    """An upgrade request; the names of headers are in lower case."""

    method: bytes
    target: bytes
    version: str
    headers: Headers
    offer: Offer | Refusal | None = field(default=None, compare=False)
    """What `consider` says, where that is known already."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a handshake is not taken: a status, a sentence, and what the answer must tell besides."""

    status: int
    text: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(slots=True)  # the same
class Offer:
    """What a good handshake asks for."""

    accept: bytes
    subprotocols: list[str]
    extensions: str


TARGET_TOO_LONG = Refusal(414, f"The target is longer than {LONGEST_TARGET} bytes.")
HEAD_TOO_LARGE = Refusal(
    431, f"The headers are more than {LARGEST_HEAD} bytes together, or more than {MOST_HEADERS}."
)
UNFINISHED = Refusal(408, "The request was not finished in time.")


def read_whole(data: bytes) -> Request | None:
    """The request, if `data` is exactly one that asks for a WebSocket and has nothing unusual; else `None`.

    What is unusual is for a whole HTTP parser to judge.
    """
    if b"pgrade" not in data or _USUAL.fullmatch(data) is None or len(data) > LARGEST_HEAD:
        return None
    start, *lines = data[:-4].split(b"\r\n")
    target = start[4:-9]
    if len(lines) > MOST_HEADERS or len(target) > LONGEST_TARGET:
        return None
    headers = [_shared.get(line) or _taken_apart(line) for line in lines]
    said = _said(headers)
    if isinstance(said, Refusal) or _no_upgrade(said) is not None or not _is_target(target):
        return None
    return Request(b"GET", target, "1.1", headers, _no_request(said) or _judge(said))


SHARED = frozenset(
    b"accept accept-encoding accept-language cache-control connection host origin pragma"
    b" sec-websocket-extensions sec-websocket-version upgrade user-agent".split()
)
"""Headers that many clients send alike and that hold no secret.

An app may keep them for as long as its connection lives, so those that are the same are kept once.
"""
MOST_SHARED = 1_024
LONGEST_SHARED = 512

_shared: dict[bytes, tuple[bytes, bytes]] = {}


def _taken_apart(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    header = name.lower(), value.strip(b" \t")
    if header[0] in SHARED and len(line) <= LONGEST_SHARED:
        if len(_shared) >= MOST_SHARED:
            _shared.clear()
        _shared[line] = header
    return header


_USUAL = re.compile(
    rb"GET [!-~]+ HTTP/1\.1\r\n"
    rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)+\r\n"
)


def read(head: bytes, version: str) -> Request | Refusal:
    """The request that uvicorn's HTTP protocols hand on as text, of which they know the version."""
    lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    start = lines[0].split(b" ")
    if len(start) != 3:
        return Refusal(400, "The request line is broken.")
    if len(start[1]) > LONGEST_TARGET:
        return TARGET_TOO_LONG
    if len(head) - len(lines[0]) > LARGEST_HEAD or len(lines) > MOST_HEADERS:
        return HEAD_TOO_LARGE
    headers = []
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon or not name:
            return Refusal(400, "A header is broken.")
        headers.append((name.lower(), value.strip(b" \t")))
    return Request(start[0], start[1], version, headers)


def consider(request: Request) -> Offer | Refusal:
    """Whether it is a handshake that can be taken, and what it asks for."""
    if request.offer is not None:
        return request.offer
    if request.method != b"GET":
        return Refusal(405, "A WebSocket is opened with GET.", ((b"allow", b"GET"),))
    if request.version != "1.1":
        return Refusal(400, "A WebSocket needs HTTP/1.1.")
    if not _is_target(request.target):
        return Refusal(400, "The target is none that a WebSocket can have.")
    said = _said(request.headers)
    return said if isinstance(said, Refusal) else _no_request(said) or _no_upgrade(said) or _judge(said)


def _is_target(target: bytes) -> bool:
    return target.startswith((b"/", b"http://", b"https://", b"ws://", b"wss://")) and b"#" not in target


def _said(headers: Headers) -> dict[bytes, bytes] | Refusal:
    """Of the headers what a handshake is about."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _READ:
            if name not in found:
                found[name] = value
            elif name in _ONCE:
                return Refusal(400, f"There are two {name.decode()} headers.")
            else:
                found[name] += b"," + value
    return found


def _no_request(found: dict[bytes, bytes]) -> Refusal | None:
    if b"host" not in found:
        return Refusal(400, "There is no host header.")
    if b"transfer-encoding" in found or found.get(b"content-length", b"0") != b"0":
        return Refusal(400, "A handshake has no body.")
    return None


def _no_upgrade(found: dict[bytes, bytes]) -> Refusal | None:
    if not names(found.get(b"upgrade"), b"websocket"):
        return Refusal(426, "Here is a WebSocket only.", ((b"upgrade", b"websocket"),))
    if not names(found.get(b"connection"), b"upgrade"):
        return Refusal(400, "The connection header does not ask for the upgrade.")
    return None


def _judge(found: dict[bytes, bytes]) -> Offer | Refusal:
    version = found.get(b"sec-websocket-version")
    if version is None:
        return Refusal(400, "There is no sec-websocket-version header.")
    if version != VERSION:
        text = "Only version 13 of the protocol is spoken here."
        return Refusal(426, text, ((b"sec-websocket-version", VERSION), (b"upgrade", b"websocket")))
    key = found.get(b"sec-websocket-key", b"")
    if not _is_key(key):
        return Refusal(400, "There is no sec-websocket-key header with 16 bytes in base64.")
    protocols = found.get(b"sec-websocket-protocol")
    extensions = found.get(b"sec-websocket-extensions")
    return Offer(
        accept=accept_for(key),
        subprotocols=[] if protocols is None else [token.decode("latin-1") for token in _split(protocols)],
        extensions="" if extensions is None else extensions.decode("latin-1"),
    )


def accept_for(key: bytes) -> bytes:
    """What shows a client that its key was read (section 4.2.2)."""
    made = _SHA1.copy()  # OpenSSL looks for the algorithm anew each time that it begins one
    made.update(key + GUID)
    return b64encode(made.digest())


_SHA1 = sha1(usedforsecurity=False)


def _split(value: bytes) -> list[bytes]:
    return [token for part in value.split(b",") if (token := part.strip(b" \t"))]


def names(value: bytes | None, token: bytes) -> bool:
    """Whether a list has a token in it; in nearly every one it is the only one."""
    return value is not None and (value.lower() == token or token in _split(value.lower()))


def _is_key(key: bytes) -> bool:
    try:
        return len(key) == 24 and len(binascii.a2b_base64(key, strict_mode=True)) == 16
    except binascii.Error:
        return False


def response(status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes = b"") -> bytes:
    """An HTTP response. Raises `ValueError` for a header that would end its line.

    A body of which the length is not among the headers lasts until the connection is closed.
    """
    lines = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d " % status]
    lines += [_line(name, value) for name, value in headers]
    lines += (b"", body)
    return b"\r\n".join(lines)


_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}".encode() for status in HTTPStatus}


def refused(refusal: Refusal, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The answer to a handshake that is not taken, with what the server sends along with all its answers."""
    body = refusal.text.encode() + b"\n"
    own = (
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
        *refusal.headers,
    )
    return response(refusal.status, [*own, *headers], body)


def accepted(
    offer: Offer,
    head: bytes,
    *,
    subprotocol: str | None,
    extension: str | None,
    headers: Iterable[tuple[bytes, bytes]],
) -> bytes:
    """The answer that opens a WebSocket, with what is `written` already for all answers.

    Raises:
        ValueError: a header would end its line.
    """
    answer = _ACCEPTED + offer.accept
    if subprotocol is not None:
        answer += written(((b"sec-websocket-protocol", subprotocol.encode("latin-1")),))
    if extension is not None:
        answer += written(((b"sec-websocket-extensions", extension.encode("latin-1")),))
    return answer + head + written(headers) + b"\r\n\r\n"


def written(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Headers as they follow another one. Raises `ValueError` for one that would end its line."""
    return b"".join([b"\r\n" + _line(name, value) for name, value in headers])


_ACCEPTED = (
    b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: "
)


def _line(name: bytes, value: bytes) -> bytes:
    line = name + b": " + value
    if b"\n" in line or b"\r" in line or b"\0" in line:
        raise ValueError(f"a header must be one line: {name!r}")
    return line

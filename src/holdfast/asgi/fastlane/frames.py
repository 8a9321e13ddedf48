"""Frames as a server sends them (RFC 6455, section 5.2): whole, and never masked."""

from __future__ import annotations

from struct import Struct

FIN = 0x80
RSV1 = 0x40
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

LONGEST_CONTROL = 125
"""Bytes that the payload of a control frame may have."""

LONGEST_REASON = LONGEST_CONTROL - 2

NO_STATUS = 1005
"""What a close frame without a code counts as; never sent."""

ABNORMAL = 1006
"""What a connection that ended without a close frame counts as; never sent."""

_MEDIUM = Struct("!BBH").pack
_LONG = Struct("!BBQ").pack
_HEADS = {
    first: [bytes((first, size)) for size in range(LONGEST_CONTROL + 1)]
    for first in (
        *(FIN | code for code in (TEXT, BINARY, CLOSE, PING, PONG)),
        FIN | RSV1 | TEXT,
        FIN | RSV1 | BINARY,
    )
}


def frame(first: int, payload: bytes) -> bytes:
    """One frame; `first` is its first byte: FIN, RSV1 and the opcode."""
    size = len(payload)
    if size <= LONGEST_CONTROL:
        return _HEADS[first][size] + payload
    if size < 0x1_0000:
        return _MEDIUM(first, 126, size) + payload
    return _LONG(first, 127, size) + payload


def text_frame(payload: bytes) -> bytes:
    """A text message in one frame; the payload is UTF-8."""
    return frame(FIN | TEXT, payload)


def binary_frame(payload: bytes) -> bytes:
    """A binary message in one frame."""
    return frame(FIN | BINARY, payload)


def close_frame(code: int, reason: str = "") -> bytes:
    """A close frame; one for `NO_STATUS` is empty, and a reason that is too long is cut."""
    if code == NO_STATUS:
        return frame(FIN | CLOSE, b"")
    text = reason.encode()
    if len(text) > LONGEST_REASON:
        text = text[:LONGEST_REASON].decode(errors="ignore").encode()
    return frame(FIN | CLOSE, code.to_bytes(2) + text)


def may_be_sent(code: int) -> bool:
    """Whether a close frame may carry the code: not those that only stand for its absence, nor unassigned ones."""
    return 3000 <= code <= 4999 or (1000 <= code <= 1014 and code not in (1004, NO_STATUS, ABNORMAL))

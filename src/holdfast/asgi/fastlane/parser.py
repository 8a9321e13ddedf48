"""Takes the bytes of a client apart into messages and control frames (RFC 6455, sections 5 to 8). Pure.

A parser is fed as bytes come and asked for one event after the other, so that its owner can stop in between. It keeps
no more than one message and what it was fed last. What is wrong is found at the first byte that shows it, also inside a
frame that is not whole yet.
"""

from __future__ import annotations

import codecs
import zlib
from dataclasses import dataclass

from holdfast.asgi.fastlane.deflate import Inflater, TooLarge
from holdfast.asgi.fastlane.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    LONGEST_CONTROL,
    NO_STATUS,
    PING,
    PONG,
    RSV1,
    TEXT,
    may_be_sent,
)
from holdfast.asgi.fastlane.masking import apply_mask

_OPCODE = 0x0F
_MASKED = 0x80
_RESERVED = 0x70
_SIZE = 0x7F
_CONTROL = 0x8
_WHOLE_TEXT = FIN | TEXT
_MEDIUM, _LONG = 126, 127
_EXTENDED = {_MEDIUM: 2, _LONG: 8}
"""How many bytes of length follow, by what stands in the place of a short one."""

_Utf8 = codecs.getincrementaldecoder("utf-8")


@dataclass(frozen=True, slots=True)
class Pinged:
    """A ping, to be answered with its payload."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Ponged:
    """A pong, asked for or not."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Closed:
    """The peer's close frame; nothing comes after it."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The peer broke the rules, and is to be told so with this code; nothing comes after it."""

    code: int
    reason: str


Event = str | bytes | Pinged | Ponged | Closed | Failed
"""`str` and `bytes` are whole messages."""


class ProtocolError(Exception):
    """What ends a connection: a close code, and a sentence for the peer's log."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Parser:
    """The receiving side of one connection."""

    __slots__ = (
        "_at", "_buffer", "_decoder", "_done", "_ends", "_in_frame", "_inflater", "_limit", "_mask", "_may_deflate",
        "_message", "_missing", "_opcode", "_room", "failed",
    )  # fmt: skip

    def __init__(self, limit: int, *, deflate: bool = False) -> None:
        self._limit = limit
        self._may_deflate = deflate
        self._buffer = b""
        self._at = 0
        self._done = False
        self.failed = False
        # The message that is not whole yet: its opcode, 0 for none, and how much more of it may come.
        self._opcode = 0
        self._room = limit
        self._message: bytes | bytearray | None = None
        self._decoder: codecs.IncrementalDecoder | None = None
        self._inflater: Inflater | None = None
        # Its frame that is not whole yet, and how much of the payload is still to come.
        self._in_frame = False
        self._missing = 0
        self._mask = b""
        self._ends = False

    @property
    def held(self) -> int:
        """Bytes that it was fed and has not looked at."""
        return len(self._buffer) - self._at

    def feed(self, data: bytes) -> None:
        """Take what came; `take` what it makes."""
        if self._at == len(self._buffer):
            self._buffer = data
        else:
            self._buffer = self._buffer[self._at :] + data
        self._at = 0

    def take(self) -> Event | None:
        """The next event; `None` when more bytes are needed, and after a `Closed` or `Failed`."""
        buffer, at = self._buffer, self._at
        size = len(buffer)
        if size - at >= 6 and not self._opcode and buffer[at] == _WHOLE_TEXT:
            # What nearly everything is: a text below 64 KB, whole, in one frame.
            second = buffer[at + 1]
            start = at + 6
            length = second & _SIZE
            if length == _MEDIUM:
                start += 2
                length = buffer[at + 2] << 8 | buffer[at + 3]
            end = start + length
            if _MASKED <= second < _MASKED | _LONG and end <= size and length <= self._limit:
                if end == size:
                    self._buffer, self._at = b"", 0
                else:
                    self._at = end
                try:
                    return apply_mask(buffer[start:end], buffer[start - 4 : start]).decode()
                except UnicodeDecodeError:
                    return self._failed(1007, "text that is not UTF-8")
        if self._done:
            return None
        event = self._take()
        if self._at == len(self._buffer):
            self._buffer, self._at = b"", 0  # or an idle connection would keep all of its last read
        return event

    def _take(self) -> Event | None:
        try:
            while True:
                if not self._in_frame:
                    if len(self._buffer) - self._at < 2:
                        return None
                    first, second = self._buffer[self._at], self._buffer[self._at + 1]
                    self._check(first, second)
                    if first & _CONTROL:
                        return self._control(first & _OPCODE, second & _SIZE)
                    if not self._begin_frame(first, second & _SIZE):
                        return None
                if not self._payload():
                    return None
                self._in_frame = False
                if self._ends:
                    return self._finish()
        except ProtocolError as error:
            return self._failed(error.code, error.reason)
        except UnicodeDecodeError:
            return self._failed(1007, "text that is not UTF-8")
        except zlib.error:
            return self._failed(1007, "a compressed message that cannot be inflated")
        except TooLarge:
            return self._failed(1009, "a message over the limit")

    def _failed(self, code: int, reason: str) -> Failed:
        self._over()
        self.failed = True
        return Failed(code, reason)

    def _over(self) -> None:
        self._done = True
        self._opcode = -1
        self._message = self._decoder = self._inflater = None

    def closes(self) -> bool:
        """After a `Failed`, skip what was fed; whether the peer's close frame is there by now."""
        while True:
            skipped = min(self._missing, self.held)
            self._at += skipped
            self._missing -= skipped
            if self._missing or self.held < 2:
                break
            first, second = self._buffer[self._at], self._buffer[self._at + 1]
            if first & _OPCODE == CLOSE:
                return True
            size = second & _SIZE
            start = self._at + 2
            extended = _EXTENDED.get(size, 0)
            head = 2 + extended + (4 if second & _MASKED else 0)
            if self.held < head:
                break
            self._missing = int.from_bytes(self._buffer[start : start + extended]) if extended else size
            self._at += head
        self._buffer, self._at = self._buffer[self._at :], 0
        return False

    def _check(self, first: int, second: int) -> None:
        """What the first two bytes of a frame may say. Raises `ProtocolError`."""
        opcode = first & _OPCODE
        reserved = first & _RESERVED
        if reserved and not (reserved == RSV1 and self._may_deflate and opcode in (TEXT, BINARY)):
            raise ProtocolError(1002, "reserved bits are set")
        if not second & _MASKED:
            raise ProtocolError(1002, "a frame without a mask")
        if opcode in (CLOSE, PING, PONG):
            if not first & FIN:
                raise ProtocolError(1002, "a control frame in fragments")
            if second & _SIZE > LONGEST_CONTROL:
                raise ProtocolError(1002, "a control frame over 125 bytes")
        elif opcode == CONTINUATION:
            if not self._opcode:
                raise ProtocolError(1002, "a continuation of nothing")
        elif opcode not in (TEXT, BINARY):
            raise ProtocolError(1002, "a reserved opcode")
        elif self._opcode:
            raise ProtocolError(1002, "a new message inside another")

    def _control(self, opcode: int, size: int) -> Event | None:
        start = self._at + 6
        end = start + size
        if len(self._buffer) < end:
            return None
        payload = apply_mask(self._buffer[start:end], self._buffer[start - 4 : start])
        if opcode != CLOSE:
            self._at = end
        if opcode == PING:
            return Pinged(payload)
        if opcode == PONG:
            return Ponged(payload)
        self._over()
        if not payload:
            return Closed(NO_STATUS, "")
        if size == 1:
            raise ProtocolError(1002, "a close frame with half a code")
        code = int.from_bytes(payload[:2])
        if not may_be_sent(code):
            raise ProtocolError(1002, "a close code that may not be sent")
        return Closed(code, payload[2:].decode())

    def _begin_frame(self, first: int, size: int) -> bool:
        """Read the head of a data frame; whether it was all there."""
        start = self._at + 2
        extended = _EXTENDED.get(size, 0)
        if len(self._buffer) < start + extended + 4:
            return False
        if extended:
            size = int.from_bytes(self._buffer[start : start + extended])
            start += extended
        if size > self._room:
            raise ProtocolError(1009, "a message over the limit")
        self._room -= size
        self._mask = self._buffer[start : start + 4]
        self._at = start + 4
        self._missing = size
        self._in_frame = True
        self._ends = bool(first & FIN)
        if not self._opcode:
            self._opcode = first & _OPCODE
            self._message = None
            self._inflater = Inflater(self._limit) if first & RSV1 else None
            self._decoder = None
        return True

    def _payload(self) -> bool:
        """Take what there is of a frame's payload; whether it is all there."""
        piece = self._buffer[self._at : self._at + self._missing]
        size = len(piece)
        self._at += size
        self._missing -= size
        plain = apply_mask(piece, self._mask)
        if turn := size % 4:
            self._mask = self._mask[turn:] + self._mask[:turn]
        whole = self._ends and not self._missing
        if self._inflater is not None:
            plain = self._inflater.feed(plain)
            if whole:
                plain += self._inflater.finish()
        if self._opcode == TEXT and not (whole and self._message is None):
            # A message that comes in pieces is refused at the piece that spoils it.
            self._decoder = self._decoder or _Utf8()
            self._decoder.decode(plain, whole)
        if self._message is None:
            self._message = plain
        else:
            if isinstance(self._message, bytes):
                self._message = bytearray(self._message)
            self._message += plain
        return not self._missing

    def _finish(self) -> str | bytes:
        message, opcode = self._message or b"", self._opcode
        self._opcode = 0
        self._message = self._decoder = self._inflater = None
        self._room = self._limit
        return message.decode() if opcode == TEXT else bytes(message)

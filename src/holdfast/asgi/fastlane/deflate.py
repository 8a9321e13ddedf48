"""permessage-deflate (RFC 7692), with no context taken over in either direction.

So no connection keeps a window of its own (40 KB and more), and a message for many is compressed once.
"""

from __future__ import annotations

import zlib

from holdfast.asgi.fastlane.frames import FIN, RSV1, TEXT, frame

TAIL = b"\x00\x00\xff\xff"
LARGEST_WINDOW = 15
SMALLEST_WINDOW = 9  # zlib makes no raw stream with 8
LEVEL = 6
MEMORY = 5
"""zlib's memLevel: little worse than its default, and an eighth of the memory to fill for each message."""


class TooLarge(Exception):
    """What was inflated is more than was allowed."""


def agree(offers: str) -> int:
    """The window to compress with after a `Sec-WebSocket-Extensions` header; 0 if nothing in it can be taken."""
    for offer in offers.split(","):
        name, *parameters = (part.strip() for part in offer.split(";"))
        if name == "permessage-deflate" and (window := _window(parameters)):
            return window
    return 0


def answer(window: int) -> str:
    """What the handshake's answer says of it."""
    limit = "" if window == LARGEST_WINDOW else f"; server_max_window_bits={window}"
    return f"permessage-deflate; server_no_context_takeover; client_no_context_takeover{limit}"


def _window(parameters: list[str]) -> int:
    """The window that an offer leaves us; 0 if the offer cannot be taken."""
    window = LARGEST_WINDOW
    seen = set()
    for parameter in parameters:
        name, equals, value = (part.strip() for part in parameter.partition("="))
        value = value.removeprefix('"').removesuffix('"')
        bits = int(value) if value.isascii() and value.isdigit() and not value.startswith("0") else 0
        match name:
            case "server_no_context_takeover" | "client_no_context_takeover":
                good = not equals
            case "server_max_window_bits":
                good = SMALLEST_WINDOW <= bits <= LARGEST_WINDOW
                window = bits
            case "client_max_window_bits":
                good = not equals or 8 <= bits <= LARGEST_WINDOW
            case _:
                good = False
        if not good or name in seen:
            return 0
        seen.add(name)
    return window


def message_frame(opcode: int, payload: bytes, window: int = LARGEST_WINDOW) -> bytes:
    """A message in one frame, compressed unless that would make it longer."""
    # No distance in it is longer than the message, so a smaller window loses nothing, and is faster to set up.
    bits = min(window, max(SMALLEST_WINDOW, len(payload).bit_length()))
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, -bits, MEMORY)
    packed = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    if len(packed) - len(TAIL) >= len(payload):
        return frame(FIN | opcode, payload)
    return frame(FIN | RSV1 | opcode, packed[: -len(TAIL)])


def deflated_frame(payload: bytes) -> bytes:
    """A compressed text message in one frame; the same bytes do for every lane that is `compressed`."""
    return message_frame(TEXT, payload)


class Inflater:
    """Inflates one message, piece by piece, up to a limit."""

    __slots__ = ("_room", "_stream")

    def __init__(self, limit: int) -> None:
        self._room = limit
        self._stream = zlib.decompressobj(-LARGEST_WINDOW)

    def feed(self, piece: bytes) -> bytes:
        """What a piece inflates to. Raises `TooLarge`, and `zlib.error` for what was not deflated."""
        found = self._stream.decompress(piece, self._room + 1)
        self._room -= len(found)
        if self._room < 0:
            raise TooLarge
        return found

    def finish(self) -> bytes:
        """The rest of the message. Raises as `feed`."""
        return self.feed(TAIL)

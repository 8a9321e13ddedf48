"""Make pictures of a screen small: `palette.py FILE…` writes each PNG again with at most 256 colours.

A screen has few colours, and thousands of shades of them on the edges of letters; nobody misses those. Standard library
only, so it knows just what a browser writes: 8 bits a channel, RGB or RGBA, not interlaced.
"""

from __future__ import annotations

import struct
import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOURS = 256
CHANNELS = {2: 3, 6: 4}
"""How many bytes a pixel has, by the colour type."""

Colour = tuple[int, int, int]


def chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The parts of a file: their types and contents."""
    at = len(SIGNATURE)
    while at < len(png):
        length, kind = struct.unpack_from(">I4s", png, at)
        yield kind, png[at + 8 : at + 8 + length]
        at += length + 12


def chunk(kind: bytes, body: bytes) -> bytes:
    """One part, ready to be written."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def unfiltered(packed: bytes, width: int, height: int, size: int) -> Iterator[bytes]:
    """The rows of a picture whose pixels have `size` bytes."""
    raw, length = zlib.decompress(packed), width * size
    before = bytearray(length)
    for y in range(height):
        start = y * (length + 1)
        row = bytearray(raw[start + 1 : start + 1 + length])
        undo(raw[start], row, before, size)
        yield bytes(row)
        before = row


def undo(how: int, row: bytearray, above: bytearray, size: int) -> None:
    """Take the filter of a row back, in place (RFC 2083, section 6)."""
    for x in range(len(row) if how else 0):
        left, corner = (row[x - size], above[x - size]) if x >= size else (0, 0)
        match how:
            case 1:
                guess = left
            case 2:
                guess = above[x]
            case 3:
                guess = (left + above[x]) // 2
            case _:
                guess = paeth(left, above[x], corner)
        row[x] = (row[x] + guess) & 255


def paeth(left: int, above: int, corner: int) -> int:
    """Which of the three is nearest to their linear continuation."""
    guess = left + above - corner
    return min((left, above, corner), key=lambda one: abs(guess - one))


def apart(one: Colour, other: Colour) -> int:
    """How different two colours look, squared."""
    red, green, blue = (a - b for a, b in zip(one, other, strict=True))
    return 2 * red * red + 4 * green * green + 3 * blue * blue


def nearest(colour: Colour, known: list[Colour]) -> int:
    """Where in the palette the colour is that looks most like this one."""
    return min(range(len(known)), key=lambda index: apart(colour, known[index]))


def spread(counts: Counter[Colour]) -> list[Colour]:
    """The palette: half of it the most frequent colours, the rest as far apart as there is room for.

    The frequent ones keep grounds and soft shadows smooth, the others the edges of coloured letters in colour.
    """
    ordered = [colour for colour, _ in counts.most_common()]
    frequent = ordered[: COLOURS // 2]
    for least in (0, 100, 400, 900, 1600, 2500, 3600, 6400):
        palette = list(frequent)
        for colour in ordered[COLOURS // 2 :]:
            if all(apart(colour, known) > least for known in palette):
                palette.append(colour)
            if len(palette) > COLOURS:
                break
        else:
            return palette
    return ordered[:COLOURS]


def smaller(png: bytes) -> bytes:
    """The same picture with a palette."""
    parts = list(chunks(png))
    width, height, depth, kind, *_, interlaced = struct.unpack(">IIBBBBB", parts[0][1])
    if depth != 8 or kind not in CHANNELS or interlaced:
        raise ValueError("this knows only what a browser writes")
    size = CHANNELS[kind]
    packed = b"".join(body for name, body in parts if name == b"IDAT")
    rows = [
        list(zip(*(row[n::size] for n in range(3)), strict=True))
        for row in unfiltered(packed, width, height, size)
    ]
    counts: Counter[Colour] = Counter()
    for row in rows:
        counts.update(row)
    palette = spread(counts)
    index = {colour: nearest(colour, palette) for colour in counts}
    body = b"".join(b"\0" + bytes(map(index.__getitem__, row)) for row in rows)
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    colours = bytes(part for colour in palette for part in colour)
    written = [(b"IHDR", header), (b"PLTE", colours), (b"IDAT", zlib.compress(body, 9)), (b"IEND", b"")]
    return SIGNATURE + b"".join(chunk(*one) for one in written)


def main() -> None:
    for name in sys.argv[1:]:
        path = Path(name)
        before = path.read_bytes()
        if before[25] in CHANNELS:  # those that have a palette already stay
            path.write_bytes(smaller(before))


if __name__ == "__main__":
    main()

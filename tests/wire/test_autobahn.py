"""The cases of the Autobahn test suite, by their numbers, against the fast lane.

The suite itself needs Python 2. Its cases are ported one by one: what is sent, in which pieces, and what has to come
back, strictly or at least. They are run on a connection that was handed over (`/lane`) and on an ordinary ASGI app
(`/app`). docs/rfc6455.md has the results; `python tests/wire/test_autobahn.py` writes its table again.

Two things are less than there: categories 12 and 13 send 8 messages of each size and not 1,000, and their data is made
up here. Category 13 asks for windows of 9 bits where the suite once asked for 8, which zlib cannot do.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "rfc6455.md"

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
OCTETS = 1
FRAMES = -1
"""Sent frame by frame, each on its own."""


@dataclass(frozen=True)
class Frame:
    """What the client sends."""

    opcode: int
    payload: bytes = b""
    fin: bool = True
    rsv: int = 0


@dataclass(frozen=True)
class Case:
    """One case: after all that has to come back has come, the client closes, or the server must have with `code`."""

    number: str
    sent: tuple[Frame, ...]
    back: tuple[tuple[int, bytes], ...] = ()
    code: int | None = None
    at_least: tuple[tuple[int, bytes], ...] | None = None
    """What the suite still lets pass, as non-strict."""
    piece: int = 0
    """Octets in one write; all at once if 0."""


def text(payload: bytes) -> tuple[int, bytes]:
    return (0x81, payload)


def binary(payload: bytes) -> tuple[int, bytes]:
    return (0x82, payload)


def pong(payload: bytes = b"") -> tuple[int, bytes]:
    return (0x8A, payload)


# 1: framing


def framing() -> Iterator[Case]:
    sizes = ((0, 0), (125, 0), (126, 0), (127, 0), (128, 0), (65_535, 0), (65_536, 0), (65_536, 997))
    for kind, opcode, back in ((1, TEXT, text), (2, BINARY, binary)):
        for number, (size, piece) in enumerate(sizes, 1):
            payload = (b"*" if opcode == TEXT else b"\xfe") * size
            yield Case(f"1.{kind}.{number}", (Frame(opcode, payload),), (back(payload),), piece=piece)


# 2: pings and pongs


def pings() -> Iterator[Case]:
    for number, payload in enumerate(
        (b"", b"Hello, world!", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", b"\xfe" * 125), 1
    ):
        yield Case(f"2.{number}", (Frame(PING, payload),), (pong(payload),))
    yield Case("2.5", (Frame(PING, b"\xfe" * 126),), code=1002)
    yield Case("2.6", (Frame(PING, b"\xfe" * 125),), (pong(b"\xfe" * 125),), piece=OCTETS)
    yield Case("2.7", (Frame(PONG),))
    yield Case("2.8", (Frame(PONG, b"unsolicited pong payload"),))
    unsolicited = Frame(PONG, b"unsolicited pong payload")
    yield Case("2.9", (unsolicited, Frame(PING, b"ping payload")), (pong(b"ping payload"),))
    ten = [b"payload-%d" % number for number in range(10)]
    for number, piece in ((10, 0), (11, OCTETS)):
        sent, back = tuple(Frame(PING, one) for one in ten), tuple(pong(one) for one in ten)
        yield Case(f"2.{number}", sent, back, piece=piece)


# 3 and 4: reserved bits and opcodes

HELLO = Frame(TEXT, b"Hello, world!")
ECHO = text(b"Hello, world!")


def reserved_bits() -> Iterator[Case]:
    yield Case("3.1", (replace(HELLO, rsv=1),), code=1002)
    for number, rsv, piece in ((2, 2, 0), (3, 3, FRAMES), (4, 4, OCTETS)):
        sent = (HELLO, replace(HELLO, rsv=rsv), Frame(PING))
        yield Case(f"3.{number}", sent, (ECHO,), 1002, at_least=(), piece=piece)
    yield Case("3.5", (Frame(BINARY, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", rsv=5),), code=1002)
    yield Case("3.6", (Frame(PING, b"Hello, world!", rsv=6),), code=1002)
    yield Case("3.7", (Frame(CLOSE, b"", rsv=7),), code=1002)


def opcodes() -> Iterator[Case]:
    for kind, first in ((1, 3), (2, 11)):
        yield Case(f"4.{kind}.1", (Frame(first),), code=1002)
        yield Case(f"4.{kind}.2", (Frame(first + 1, b"reserved opcode payload"),), code=1002)
        for number, payload, piece in (
            (3, b"", 0),
            (4, b"reserved opcode payload", 0),
            (5, b"reserved", OCTETS),
        ):
            sent = (HELLO, Frame(first + number - 1, payload), Frame(PING))
            yield Case(f"4.{kind}.{number}", sent, (ECHO,), 1002, at_least=(), piece=piece)


# 5: fragmentation


def fragments(*payloads: bytes, opcode: int = TEXT) -> tuple[Frame, ...]:
    last = len(payloads) - 1
    return tuple(
        Frame(opcode if place == 0 else CONTINUATION, payload, fin=place == last)
        for place, payload in enumerate(payloads)
    )


def fragmentation() -> Iterator[Case]:
    yield Case("5.1", (Frame(PING, b"fragment1", fin=False), Frame(CONTINUATION, b"fragment2")), code=1002)
    yield Case("5.2", (Frame(PONG, b"fragment1", fin=False), Frame(CONTINUATION, b"fragment2")), code=1002)
    first, second = fragments(b"fragment1", b"fragment2")
    whole = text(b"fragment1fragment2")
    for number, piece in ((3, 0), (4, FRAMES), (5, OCTETS)):
        yield Case(f"5.{number}", (first, second), (whole,), piece=piece)
    for number, piece in ((6, 0), (7, FRAMES), (8, OCTETS)):
        yield Case(f"5.{number}", (first, Frame(PING, b"ping"), second), (pong(b"ping"), whole), piece=piece)
    number = 9
    for fin in (True, False):
        for piece in (0, FRAMES, OCTETS):
            orphan = Frame(CONTINUATION, b"non-continuation payload", fin=fin)
            yield Case(f"5.{number}", (orphan, HELLO), code=1002, piece=piece)
            number += 1
    orphan = Frame(CONTINUATION, b"fragment3", fin=False)
    yield Case("5.15", (first, second, orphan, Frame(TEXT, b"fragment4")), (whole,), 1002, at_least=())
    for number, fin in ((16, False), (17, True)):
        orphan = Frame(CONTINUATION, b"fragment1", fin=fin)
        yield Case(f"5.{number}", (orphan, *fragments(b"fragment2", b"fragment3")) * 2, code=1002)
    yield Case("5.18", (first, Frame(TEXT, b"fragment2")), code=1002)
    one, two, three, four, five = fragments(*(b"fragment%d" % number for number in range(1, 6)))
    sent = (one, two, Frame(PING, b"pongme 1!"), three, four, Frame(PING, b"pongme 2!"), five)
    whole = text(b"fragment1fragment2fragment3fragment4fragment5")
    for number, piece in ((19, FRAMES), (20, 0)):
        yield Case(f"5.{number}", sent, (pong(b"pongme 1!"), pong(b"pongme 2!"), whole), piece=piece)


# 6: UTF-8

KOSME = "κ\u1f79σμε".encode()  # with the accent that makes it 11 bytes
SURROGATE = KOSME + b"\xed\xa0\x80edited"


def utf8() -> Iterator[Case]:
    yield Case("6.1.1", (Frame(TEXT),), (text(b""),))
    yield Case("6.1.2", fragments(b"", b"", b""), (text(b""),))
    yield Case("6.1.3", fragments(b"", b"middle frame payload", b""), (text(b"middle frame payload"),))
    hello = "Hello-µ@ßöäüàá-UTF-8!!".encode()
    yield Case("6.2.1", (Frame(TEXT, hello),), (text(hello),))
    yield Case("6.2.2", fragments(hello[:12], hello[12:]), (text(hello),))
    for number, payload in ((3, hello), (4, KOSME)):
        singly = fragments(*(payload[place : place + 1] for place in range(len(payload))))
        yield Case(f"6.2.{number}", singly, (text(payload),))
    yield Case("6.3.1", (Frame(TEXT, SURROGATE),), code=1007)
    singly = fragments(*(SURROGATE[place : place + 1] for place in range(len(SURROGATE))))
    yield Case("6.3.2", singly, code=1007)
    for group, sequences in enumerate(SEQUENCES, 5):
        for number, payload in enumerate(sequences, 1):
            good = is_utf8(payload)
            back, code = ((text(payload),), None) if good else ((), 1007)
            yield Case(f"6.{group}.{number}", (Frame(TEXT, payload),), back, code)


def is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


INCOMPLETE = (
    *(b"\xc0", b"\xe0\x80", b"\xf0\x80\x80", b"\xf8\x80\x80\x80", b"\xfc\x80\x80\x80\x80"),
    *(b"\xdf", b"\xef\xbf", b"\xf7\xbf\xbf", b"\xfb\xbf\xbf\xbf", b"\xfd\xbf\xbf\xbf\xbf"),
)
SURROGATES = [
    b"\xed" + pair
    for pair in (b"\xa0\x80", b"\xad\xbf", b"\xae\x80", b"\xaf\xbf", b"\xb0\x80", b"\xbe\x80", b"\xbf\xbf")
]
NO_CHARACTERS = [chr(plane << 16 | last).encode() for plane in range(17) for last in (0xFFFE, 0xFFFF)]
SEQUENCES: tuple[tuple[bytes, ...], ...] = (
    # As in Markus Kuhn's UTF-8 decoder stress test, in the suite's order.
    (*(f"hello{middle}world".encode() for middle in "$¢€\U00024b62"), KOSME),
    tuple(KOSME[:size] for size in range(1, len(KOSME) + 1)),
    (b"\x00", b"\xc2\x80", b"\xe0\xa0\x80", b"\xf0\x90\x80\x80"),
    (b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80"),
    (b"\x7f", b"\xdf\xbf", b"\xef\xbf\xbf", b"\xf4\x8f\xbf\xbf"),
    (b"\xf7\xbf\xbf\xbf", b"\xfb\xbf\xbf\xbf\xbf", b"\xfd\xbf\xbf\xbf\xbf\xbf"),
    (b"\xed\x9f\xbf", b"\xee\x80\x80", b"\xef\xbf\xbd", b"\xf4\x8f\xbf\xbf", b"\xf4\x90\x80\x80"),
    (b"\x80", b"\xbf", *((b"\x80\xbf" * 3)[:size] for size in range(2, 7)), bytes(range(0x80, 0xBF))),
    tuple(
        b"".join(bytes((octet, 0x20)) for octet in range(start, end))
        for start, end in ((0xC0, 0xDF), (0xE0, 0xEF), (0xF0, 0xF7), (0xF8, 0xFB), (0xFC, 0xFD))
    ),
    INCOMPLETE,
    (b"".join(INCOMPLETE),),
    (b"\xfe", b"\xff", b"\xfe\xfe\xff\xff"),
    (b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xf8\x80\x80\x80\xaf", b"\xfc\x80\x80\x80\x80\xaf"),
    (b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf", b"\xf8\x87\xbf\xbf\xbf", b"\xfc\x83\xbf\xbf\xbf\xbf"),
    (b"\xc0\x80", b"\xe0\x80\x80", b"\xf0\x80\x80\x80", b"\xf8\x80\x80\x80\x80", b"\xfc\x80\x80\x80\x80\x80"),
    tuple(SURROGATES),
    tuple(high + low for high in SURROGATES[:4] for low in (SURROGATES[4], SURROGATES[6])),
    tuple(NO_CHARACTERS),
    tuple(chr(code).encode() for code in range(0xFFF9, 0x10000)),
)

FAIL_FAST = KOSME + b"\xf4\x90\x80\x80" + b"edited"
"""Of the character in its middle the second octet makes it one that cannot be."""


# 7: closing


def close(code: int, reason: bytes = b"") -> Frame:
    return Frame(CLOSE, code.to_bytes(2) + reason)


def closing() -> Iterator[Case]:
    yield Case("7.1.1", (HELLO,), (ECHO,))
    yield Case("7.1.2", (close(1000), close(1000)), code=1000)
    yield Case("7.1.3", (close(1000), Frame(PING)), code=1000)
    yield Case("7.1.4", (close(1000), HELLO), code=1000)
    first, second = fragments(b"fragment1", b"fragment2")
    yield Case("7.1.5", (first, close(1000), second), code=1000)
    large = b"BAsd7&jh23" * 26_215
    sent = (Frame(TEXT, large[: 256 * 1024]), Frame(TEXT, b"Hello World!"), close(1000), Frame(PING))
    back = (text(large[: 256 * 1024]), text(b"Hello World!"))
    yield Case("7.1.6", sent, back, 1000, at_least=())
    yield Case("7.3.1", (Frame(CLOSE),), code=1005)
    yield Case("7.3.2", (Frame(CLOSE, b"a"),), code=1002)
    yield Case("7.3.3", (close(1000),), code=1000)
    yield Case("7.3.4", (close(1000, b"Hello World!"),), code=1000)
    yield Case("7.3.5", (close(1000, b"*" * 123),), code=1000)
    yield Case("7.3.6", (close(1000, b"*" * 124),), code=1002)
    yield Case("7.5.1", (close(1000, SURROGATE),), code=1007)
    good = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
    for number, code in enumerate(good, 1):
        yield Case(f"7.7.{number}", (close(code),), code=code)
    for number, code in enumerate((0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999), 1):
        yield Case(f"7.9.{number}", (close(code),), code=1002)
    for number, code in enumerate((5000, 65_535), 1):
        yield Case(f"7.13.{number}", (close(code),), code=1002)


# 9 and 10: sizes


def chopped(payload: bytes, size: int, opcode: int) -> tuple[Frame, ...]:
    return fragments(*(payload[at : at + size] for at in range(0, len(payload), size)), opcode=opcode)


def sizes() -> Iterator[Case]:
    kilobyte, megabyte = 1024, 1024 * 1024
    whole = [size * kilobyte for size in (64, 256, 1024, 4096, 8192, 16_384)]
    frame_sizes = [64, 256, kilobyte, *(size * kilobyte for size in (4, 16, 64, 256, 1024, 4096))]
    pieces = [64, 128, 256, 512, 1024, 2048]
    for kind, opcode, back, fill in ((0, TEXT, text, b"*"), (1, BINARY, binary, b"\xfe")):
        for number, size in enumerate(whole, 1):
            yield Case(f"9.{1 + kind}.{number}", (Frame(opcode, fill * size),), (back(fill * size),))
        for number, size in enumerate(frame_sizes, 1):
            payload = fill * (4 * megabyte)
            yield Case(f"9.{3 + kind}.{number}", chopped(payload, size, opcode), (back(payload),))
        for number, piece in enumerate(pieces, 1):
            payload = fill * megabyte
            yield Case(f"9.{5 + kind}.{number}", (Frame(opcode, payload),), (back(payload),), piece=piece)
    payload = b"*" * 65_536
    yield Case("10.1.1", chopped(payload, 1300, TEXT), (text(payload),))


CASES = [
    *framing(),
    *pings(),
    *reserved_bits(),
    *opcodes(),
    *fragmentation(),
    *utf8(),
    *closing(),
    *sizes(),
]
ROUNDTRIPS = [
    (f"9.{7 + kind}.{number}", opcode, size)
    for kind, opcode in ((0, TEXT), (1, BINARY))
    for number, size in enumerate((0, 16, 64, 256, 1024, 4096), 1)
]
FAST_FAILURES = ["6.4.1", "6.4.2", "6.4.3", "6.4.4"]

# 12 and 13: compression

MESSAGES = 8
LENGTHS = [
    *((size, 0) for size in (16, 64, 256, 1024, 4096, 8192, 16_384, 32_768, 65_536, 131_072)),
    *((size, 256) for size in (8192, 16_384, 32_768, 65_536, 131_072)),
    *((131_072, size) for size in (1024, 4096, 32_768)),
]
OFFERS = [
    "permessage-deflate",
    "permessage-deflate; server_no_context_takeover",
    "permessage-deflate; server_max_window_bits=9",
    "permessage-deflate; server_max_window_bits=15",
    "permessage-deflate; server_no_context_takeover; server_max_window_bits=9",
    "permessage-deflate; server_no_context_takeover; server_max_window_bits=15",
    "permessage-deflate; server_no_context_takeover; server_max_window_bits=9, "
    "permessage-deflate; server_no_context_takeover, permessage-deflate",
]


def material() -> dict[str, tuple[int, bytes]]:
    """As the suite has them: prose, a picture, a document that is packed already, JSON and HTML."""
    random = Random(6455)
    words = ["".join(random.choices("enisratdhulcgmobwfkzüäöß", k=random.randint(2, 11))) for _ in range(900)]
    prose = " ".join(random.choices(words, k=30_000)).encode()
    picture = bytes(128 + (x * y // 97 + random.randrange(9)) % 100 for y in range(512) for x in range(512))
    rows = ",".join(
        f'{{"id":{n},"name":"{random.choice(words)}","at":{random.random()}}}' for n in range(3_000)
    )
    page = "".join(
        f"<tr class='row'><td>{n}</td><td>{random.choice(words)}</td></tr>\n" for n in range(4_000)
    )
    return {
        "1": (BINARY, prose),
        "2": (BINARY, picture),
        "3": (BINARY, random.randbytes(200_000)),
        "4": (TEXT, rows.encode().decode().encode("ascii", "ignore")),
        "5": (TEXT, page.encode("ascii", "ignore")),
    }


MATERIAL = material()
COMPRESSED = [
    *(
        (f"12.{kind}.{number}", OFFERS[0], kind, *length)
        for kind in MATERIAL
        for number, length in enumerate(LENGTHS, 1)
    ),
    *(
        (f"13.{place}.{number}", offer, "4", *length)
        for place, offer in enumerate(OFFERS, 1)
        for number, length in enumerate(LENGTHS, 1)
    ),
]


# Running them

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def echo(start: Callable[..., Any]) -> Any:
    return start("echo")


@pytest.fixture(scope="module")
def echo_deflate(start: Callable[..., Any]) -> Any:
    return start("echo-deflate")


def play(client: Any, case: Case) -> None:
    """Send what the case says; the server may have enough before its end."""
    frames = [client.masked(one.opcode, one.payload, fin=one.fin, rsv=one.rsv) for one in case.sent]
    try:
        if case.piece == FRAMES:
            for one in frames:
                client.send(one)
        else:
            client.send(b"".join(frames), case.piece)
    except (BrokenPipeError, ConnectionResetError):
        assert case.code is not None, "the server left"


def answers(client: Any, case: Case) -> tuple[list[tuple[int, bytes]], int | None]:
    """What came back, and the code of the server's close frame."""
    found: list[tuple[int, bytes]] = []
    while case.code is not None or len(found) < len(case.back):
        frame = client.next()
        if frame is None:
            return found, None
        if frame[0] == 0x88:
            return found, int.from_bytes(frame[1][:2]) if frame[1] else 1005
        found.append(frame)
    return found, None


def finish(client: Any) -> None:
    """Close, as the suite does after a case that went well, and see the server leave first."""
    client.frame(CLOSE, b"\x03\xe8")
    assert client.next() == (0x88, b"\x03\xe8")
    assert client.next() is None


@pytest.mark.parametrize("path", ["/lane", "/app"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.number)
def test_case(echo: Any, raw: Open, case: Case, path: str) -> None:
    client = raw(echo).open(path)
    play(client, case)
    found, code = answers(client, case)
    if path == "/lane" or case.at_least is None:
        assert found == list(case.back)
    else:
        # An app of one's own has its say a tick later, when the connection may have failed.
        assert tuple(found) in (case.back, case.at_least)
    assert code == case.code
    if code is None:
        finish(client)
    elif case.sent[-1].opcode != CLOSE:
        client.send(client.masked(CLOSE, code.to_bytes(2)))
    assert client.next() is None


@pytest.mark.parametrize("path", ["/lane", "/app"])
@pytest.mark.parametrize("number", FAST_FAILURES)
def test_bad_text_fails_at_the_octet_that_spoils_it(echo: Any, raw: Open, number: str, path: str) -> None:
    client = raw(echo).open(path)
    split = (11, 15) if number in ("6.4.1", "6.4.3") else (12, 13)
    parts = FAIL_FAST[: split[0]], FAIL_FAST[split[0] : split[1]]
    if number in ("6.4.1", "6.4.2"):
        client.frame(TEXT, parts[0], fin=False)
        client.frame(PING, b"still there?")
        assert client.next() == pong(b"still there?")
        client.frame(CONTINUATION, parts[1], fin=False)
    else:
        frame = client.masked(TEXT, FAIL_FAST)
        client.send(frame[: 6 + split[0]])
        assert client.quiet(0.05)
        client.send(frame[6 + split[0] : 6 + split[1]])
    first, payload = client.next()
    assert (first, payload[:2]) == (0x88, b"\x03\xef")


@pytest.mark.parametrize("path", ["/lane", "/app"])
@pytest.mark.parametrize(("number", "opcode", "size"), ROUNDTRIPS, ids=[one[0] for one in ROUNDTRIPS])
def test_a_thousand_roundtrips(echo: Any, raw: Open, number: str, opcode: int, size: int, path: str) -> None:
    client = raw(echo).open(path)
    payload = (b"*" if opcode == TEXT else b"\xfe") * size
    frame = client.masked(opcode, payload)
    for _ in range(1_000):
        client.send(frame)
        assert client.next() == (0x80 | opcode, payload), number
    finish(client)


@pytest.mark.parametrize("path", ["/lane", "/app"])
@pytest.mark.parametrize(
    ("number", "offer", "kind", "length", "fragment"), COMPRESSED, ids=[one[0] for one in COMPRESSED]
)
def test_compressed_messages(
    echo_deflate: Any, raw: Open, number: str, offer: str, kind: str, length: int, fragment: int, path: str
) -> None:
    client = raw(echo_deflate).open(path, f"Sec-WebSocket-Extensions: {offer}")
    agreed = re.search(r"(?im)^sec-websocket-extensions: (permessage-deflate.*?)\r?$", client.head)
    assert agreed, f"{number}: nothing was agreed on"
    bits = re.search(r"server_max_window_bits=(\d+)", agreed[1])
    assert bool(bits) == ("bits=9" in offer)
    opcode, data = MATERIAL[kind]
    for place in range(MESSAGES):
        at = place * length % (len(data) - length)
        payload = data[at : at + length]
        squeezed = zlib.compressobj(wbits=-15)
        packed = (squeezed.compress(payload) + squeezed.flush(zlib.Z_SYNC_FLUSH)).removesuffix(
            b"\x00\x00\xff\xff"
        )
        for one in chopped(packed, fragment or len(packed), opcode):
            client.frame(one.opcode, one.payload, fin=one.fin, rsv=4 if one.opcode else 0)
        first, back = client.next()
        assert first & 0x8F == 0x80 | opcode
        if first & 0x40:
            back = zlib.decompressobj(-int(bits[1] if bits else 15)).decompress(back + b"\x00\x00\xff\xff")
        assert back == payload
    finish(client)


# The page

GROUPS = {
    "1.1": "text messages of 0 to 65,536 bytes, also in pieces of 997",
    "1.2": "the same in binary",
    "2": "pings and pongs, asked for or not, too long, octet by octet",
    "3": "reserved bits",
    "4.1": "reserved opcodes for data",
    "4.2": "reserved opcodes for control",
    "5": "fragmentation, with control frames between, and in every wrong order",
    "6.1": "empty fragments",
    "6.2": "UTF-8 cut within characters",
    "6.3": "UTF-8 that is wrong",
    "6.4": "the same, found at the octet that spoils it",
    "6.5-6.23": "the UTF-8 decoder stress test",
    "7.1": "what follows a close frame",
    "7.3": "close frames of every length",
    "7.5": "a reason that is not UTF-8",
    "7.7": "close codes that may be sent",
    "7.9": "close codes that may not",
    "7.13": "close codes beyond all ranges",
    "9.1-9.2": "messages of 64 KiB to 16 MiB",
    "9.3-9.4": "4 MiB in fragments of 64 bytes to 4 MiB",
    "9.5-9.6": "1 MiB in pieces of 64 to 2,048 octets",
    "9.7-9.8": "1,000 round trips of 0 to 4,096 bytes",
    "10.1": "64 KiB in fragments of 1,300 bytes",
    "12.1-12.5": "compression: prose, a picture, noise, JSON, HTML; 16 to 131,072 bytes, whole and in fragments",
    "13.1-13.7": "the same JSON with every kind of offer",
}


def in_group(number: str, group: str) -> bool:
    parts = [int(part) for part in number.split(".")]
    first, _, last = group.partition("-")
    low = [int(part) for part in first.split(".")]
    high = [int(part) for part in (last or first).split(".")]
    return low <= parts[: len(low)] <= high


def table() -> str:
    """The results: what the tests above hold the server to."""
    strict = {case.number: case.at_least is None for case in CASES}
    strict |= dict.fromkeys(
        [*FAST_FAILURES, *(one[0] for one in ROUNDTRIPS), *(one[0] for one in COMPRESSED)], True
    )
    rows = [
        "| cases | what they send | number | built-in `/ws` | an app's own endpoint |",
        "|---|---|---|---|---|",
    ]
    for group, what in GROUPS.items():
        numbers = [number for number in strict if in_group(number, group)]
        loose = [number for number in numbers if not strict[number]]
        own = f"pass; {', '.join(loose)}: non-strict or strict" if loose else "pass"
        rows.append(f"| {group} | {what} | {len(numbers)} | pass | {own} |")
    rows.append(f"| all | | {len(strict)} | pass | pass |")
    return "\n".join(rows)


def test_each_case_is_in_one_group_of_the_page() -> None:
    numbers = [*(case.number for case in CASES), *FAST_FAILURES, *(one[0] for one in ROUNDTRIPS)]
    numbers += [one[0] for one in COMPRESSED]
    assert len(set(numbers)) == len(numbers) == 517
    for number in numbers:
        assert len([group for group in GROUPS if in_group(number, group)]) == 1, number


def test_the_page_has_these_results() -> None:
    assert table() in PAGE.read_text(encoding="utf-8"), "run: python tests/wire/test_autobahn.py"


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(
        re.sub(r"\| cases \|.*?\n\| all [^\n]*", lambda _: table(), page, flags=re.DOTALL), encoding="utf-8"
    )

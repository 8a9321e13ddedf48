"""Bytes become messages, however they are cut, and what is wrong is found at its first byte."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from holdfast.asgi.fastlane.parser import Closed, Failed, Parser, Pinged, Ponged

LIMIT = 1_000
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

Masked = Callable[..., bytes]


def events(*pieces: bytes, limit: int = LIMIT, deflate: bool = False) -> list[Any]:
    parser = Parser(limit, deflate=deflate)
    found = []
    for piece in pieces:
        parser.feed(piece)
        while (event := parser.take()) is not None:
            found.append(event)
    return found


def failure(*pieces: bytes, **options: Any) -> int:
    """The code of a connection that had to fail, and did so last."""
    *_, last = events(*pieces, **options)
    assert isinstance(last, Failed)
    return last.code


def octets(data: bytes) -> Iterable[bytes]:
    return (data[place : place + 1] for place in range(len(data)))


def deflated(payload: bytes) -> bytes:
    squeezed = zlib.compressobj(wbits=-15)
    return (squeezed.compress(payload) + squeezed.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\x00\x00\xff\xff")


# Messages


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 999, 1_000])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_message_in_one_frame(masked: Masked, opcode: int, size: int) -> None:
    expected = "x" * size if opcode == TEXT else b"x" * size
    frame = masked(opcode, b"x" * size)
    assert events(frame) == [expected]
    assert events(*octets(frame)) == [expected]
    assert events(frame + frame) == [expected, expected]


@pytest.mark.parametrize("size", [65_535, 65_536])
def test_however_its_length_is_written(masked: Masked, size: int) -> None:
    frame = masked(TEXT, b"x" * size)
    assert events(frame + masked(TEXT, b"y"), limit=size) == ["x" * size, "y"]
    assert events(frame[:-1], frame[-1:], limit=size) == ["x" * size]
    assert failure(frame, limit=size - 1) == 1009
    assert failure(masked(TEXT, b"x" * (size - 1) + b"\xff"), limit=size) == 1007


def test_a_length_may_be_written_longer_than_it_needs_to_be() -> None:
    assert events(b"\x81\xfe\x00\x02\0\0\0\0hi") == ["hi"]
    assert events(b"\x81\xff" + (2).to_bytes(8) + b"\0\0\0\0hi") == ["hi"]


def test_a_message_in_fragments_with_control_frames_between(masked: Masked) -> None:
    stream = (
        masked(TEXT, "dé".encode()[:2], fin=False)
        + masked(PING, b"?")
        + masked(CONTINUATION, "dé".encode()[2:], fin=False)
        + masked(CONTINUATION, b"", fin=False)
        + masked(PONG, b"!")
        + masked(CONTINUATION, b"j")
        + masked(BINARY, b"\xff")
    )
    assert events(stream) == [Pinged(b"?"), Ponged(b"!"), "déj", b"\xff"]


def test_a_message_that_is_whole_only_in_its_third_read(masked: Masked) -> None:
    frame = masked(BINARY, bytes(range(256)) * 3)
    assert events(frame[:5], frame[5:300], frame[300:]) == [bytes(range(256)) * 3]


def test_an_idle_parser_keeps_nothing_of_what_it_read(masked: Masked) -> None:
    parser = Parser(LIMIT)
    parser.feed(masked(BINARY, b"x" * 900) + masked(TEXT, b"y"))
    assert [parser.take(), parser.take(), parser.take()] == [b"x" * 900, "y", None]
    assert parser._buffer == b""


def test_a_message_is_handed_out_before_the_next_is_looked_at(masked: Masked) -> None:
    parser = Parser(LIMIT)
    parser.feed(masked(TEXT, b"first") + masked(3))
    assert parser.take() == "first"
    assert parser.held == 6
    assert isinstance(parser.take(), Failed)


pieces = st.one_of(
    st.tuples(st.just(TEXT), st.text(max_size=40).map(str.encode)),
    st.tuples(st.just(BINARY), st.binary(max_size=200)),
    st.tuples(st.sampled_from([PING, PONG]), st.binary(max_size=125)),
)
MADE: dict[int, Callable[[bytes], Any]] = {TEXT: bytes.decode, BINARY: bytes, PING: Pinged, PONG: Ponged}


# The fixture is a plain function, so nothing of one example reaches the next.
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), parts=st.lists(pieces, max_size=6))
def test_any_stream_cut_anywhere_gives_the_same(
    masked: Masked, data: st.DataObject, parts: list[tuple[int, bytes]]
) -> None:
    stream = b""
    for opcode, payload in parts:
        if opcode in (PING, PONG):
            stream += masked(opcode, payload)
            continue
        squeeze = data.draw(st.booleans())
        sent = deflated(payload) if squeeze else payload
        at = data.draw(st.integers(0, len(sent)))
        stream += masked(opcode, sent[:at], fin=False, rsv=4 if squeeze else 0)
        stream += masked(PING, b"between")
        stream += masked(CONTINUATION, sent[at:])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    chopped = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    found = [event for event in events(*chopped, deflate=True) if event != Pinged(b"between")]
    assert found == [MADE[opcode](payload) for opcode, payload in parts]


@given(st.lists(st.binary(max_size=60), max_size=5))
@example([b"A\x87z", b"\x00\x00\x00\x10\x00", b"\x00\x00\x00\x00\x00"])
def test_no_garbage_does_worse_than_fail_and_cutting_it_changes_nothing(garbage: list[bytes]) -> None:
    """But which of several faults in one message is found, and told, first."""
    whole, cut = events(b"".join(garbage), deflate=True), events(*garbage, deflate=True)
    assert cut[:-1] == whole[:-1]
    assert cut[-1:] == whole[-1:] or (isinstance(cut[-1], Failed) and isinstance(whole[-1], Failed))
    assert all(not isinstance(event, Closed | Failed) for event in whole[:-1])


# What a peer must not do


@pytest.mark.parametrize("rsv", range(1, 8))
def test_reserved_bits_that_nothing_was_agreed_on_for(masked: Masked, rsv: int) -> None:
    assert failure(masked(TEXT, b"x", rsv=rsv)) == 1002


@pytest.mark.parametrize("rsv", [1, 2, 3, 5, 6, 7])
def test_with_compression_only_the_first_reserved_bit_means_something(masked: Masked, rsv: int) -> None:
    assert failure(masked(TEXT, b"x", rsv=rsv), deflate=True) == 1002


def test_only_the_first_frame_of_a_message_says_that_it_is_compressed(masked: Masked) -> None:
    assert (
        failure(masked(TEXT, b"", fin=False, rsv=4) + masked(CONTINUATION, b"", rsv=4), deflate=True) == 1002
    )
    assert failure(masked(PING, b"", rsv=4), deflate=True) == 1002


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_reserved_opcodes(masked: Masked, opcode: int) -> None:
    assert failure(masked(opcode)) == 1002


def test_a_frame_without_a_mask() -> None:
    assert failure(b"\x81\x01x") == 1002
    assert failure(b"\x89\x00") == 1002


@pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
def test_control_frames_are_short_and_whole(masked: Masked, opcode: int) -> None:
    assert failure(masked(opcode, b"x" * 126)[:2]) == 1002
    assert failure(masked(opcode, b"", fin=False)) == 1002


def test_fragments_in_the_wrong_order(masked: Masked) -> None:
    assert failure(masked(CONTINUATION, b"x")) == 1002
    assert failure(masked(TEXT, b"x", fin=False) + masked(TEXT, b"x")) == 1002
    assert failure(masked(TEXT, b"x", fin=False) + masked(BINARY, b"x", fin=False)) == 1002
    assert failure(masked(TEXT, b"x") + masked(CONTINUATION, b"x")) == 1002


def test_nothing_comes_after_a_failure(masked: Masked) -> None:
    assert len(events(masked(3) + masked(TEXT, b"x"), masked(TEXT, b"y"))) == 1


# Text


@pytest.mark.parametrize("bad", [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc3"])
def test_text_that_is_not_utf_8(masked: Masked, bad: bytes) -> None:
    assert failure(masked(TEXT, b"ok" + bad)) == 1007
    assert failure(masked(TEXT, b"ok", fin=False) + masked(CONTINUATION, bad)) == 1007
    assert failure(masked(TEXT, b"x" * 200 + bad)) == 1007


def test_it_is_found_at_the_byte_that_spoils_it(masked: Masked) -> None:
    frame = masked(TEXT, b"x" * 200 + b"\xf4\x90" + b"x" * 200)
    start = 8
    assert events(*octets(frame[: start + 201])) == []
    assert failure(*octets(frame[: start + 202])) == 1007


def test_a_character_may_be_cut_by_frames_but_not_by_the_end(masked: Masked) -> None:
    assert events(masked(TEXT, b"\xe2\x82", fin=False) + masked(CONTINUATION, b"\xac")) == ["€"]
    assert failure(masked(TEXT, b"\xe2", fin=False) + masked(CONTINUATION, b"\x82")) == 1007


# Limits


def test_a_message_over_the_limit_is_refused_by_its_head(masked: Masked) -> None:
    assert events(masked(BINARY, b"x" * 1_000)[:8]) == []
    assert failure(masked(BINARY, b"x" * 1_001)[:8]) == 1009
    assert failure(b"\x82\xff" + (1 << 63).to_bytes(8) + b"mask") == 1009


def test_fragments_count_together_and_each_message_anew(masked: Masked) -> None:
    half = masked(BINARY, b"x" * 500, fin=False)
    assert len(events((half + masked(CONTINUATION, b"x" * 500)) * 3)) == 3
    assert failure(half + masked(CONTINUATION, b"x" * 501)[:8]) == 1009


@pytest.mark.parametrize("limit", [10, 100])
def test_a_short_message_may_be_over_the_limit_too(masked: Masked, limit: int) -> None:
    assert events(masked(TEXT, b"x" * limit), limit=limit) == ["x" * limit]
    assert failure(masked(TEXT, b"x" * (limit + 1)), limit=limit) == 1009


# Compression


@pytest.mark.parametrize("fragments", [1, 2, 7])
def test_a_compressed_message(masked: Masked, fragments: int) -> None:
    squeezed = deflated("grüße ".encode() * 100)
    size = -(-len(squeezed) // fragments)
    parts = [squeezed[at : at + size] for at in range(0, len(squeezed), size)]
    frames = [
        masked(
            TEXT if number == 0 else CONTINUATION, part, fin=number == len(parts) - 1, rsv=0 if number else 4
        )
        for number, part in enumerate(parts)
    ]
    assert events(*frames, deflate=True) == ["grüße " * 100]
    assert events(*octets(b"".join(frames)), deflate=True) == ["grüße " * 100]


def test_the_examples_of_rfc_7692(masked: Masked) -> None:
    """Section 7.2.3: one block, an empty one, no compression, a last block, two blocks."""
    for payload in (
        b"\xf2\x48\xcd\xc9\xc9\x07\x00",
        b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
        b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
        b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
    ):
        assert events(masked(TEXT, payload, rsv=4), deflate=True) == ["Hello"]


def test_an_uncompressed_message_beside_compressed_ones(masked: Masked) -> None:
    stream = (
        masked(TEXT, deflated(b"one"), rsv=4) + masked(TEXT, b"two") + masked(TEXT, deflated(b"three"), rsv=4)
    )
    assert events(stream, deflate=True) == ["one", "two", "three"]


def test_a_bomb_is_stopped_at_the_limit(masked: Masked) -> None:
    assert events(masked(BINARY, deflated(b"\0" * 1_000), rsv=4), deflate=True) == [b"\0" * 1_000]
    bomb = masked(BINARY, deflated(b"\0" * 500_000), rsv=4)
    assert failure(bomb, deflate=True) == 1009
    assert failure(*octets(bomb), deflate=True) == 1009


def test_what_cannot_be_inflated(masked: Masked) -> None:
    assert failure(masked(TEXT, b"\xff\xff\xff", rsv=4), deflate=True) == 1007


def test_what_inflates_to_no_text(masked: Masked) -> None:
    assert failure(masked(TEXT, deflated(b"\xff"), rsv=4), deflate=True) == 1007


# The end


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"", Closed(1005, "")),
        (b"\x03\xe8", Closed(1000, "")),
        (b"\x0f\xa3bye", Closed(4003, "bye")),
        (b"\x03\xe8" + b"x" * 123, Closed(1000, "x" * 123)),
    ],
)
def test_a_close_frame(masked: Masked, payload: bytes, expected: Closed) -> None:
    assert events(masked(CLOSE, payload) + masked(TEXT, b"too late")) == [expected]


@pytest.mark.parametrize(
    "payload", [b"\x03", *(code.to_bytes(2) for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000))]
)
def test_a_close_frame_with_a_code_that_may_not_be_sent(masked: Masked, payload: bytes) -> None:
    assert failure(masked(CLOSE, payload)) == 1002


def test_a_reason_that_is_not_utf_8(masked: Masked) -> None:
    assert failure(masked(CLOSE, b"\x03\xe8\xff")) == 1007


@pytest.mark.parametrize("cut", [0, 1, 7, 50])
def test_after_a_failure_the_peers_close_is_found_behind_what_it_still_sent(masked: Masked, cut: int) -> None:
    rest = masked(BINARY, b"x" * 2_000) + masked(TEXT, b"\x88\x00" * 30) + b"\x81\x03abc" + masked(PING, b"?")
    parser = Parser(LIMIT)
    parser.feed(rest[:cut])
    while parser.take() is not None:
        pass
    if not parser.failed:
        parser.feed(rest[cut:])
        assert isinstance(parser.take(), Failed)
    else:
        assert not parser.closes()
        parser.feed(rest[cut:])
    assert parser.take() is None
    assert not parser.closes()
    assert parser.held <= 13
    parser.feed(masked(CLOSE, b"\x03\xf1"))
    assert parser.closes()


def test_after_text_was_spoiled_in_the_middle_of_a_frame_too(masked: Masked) -> None:
    frame = masked(TEXT, b"\xff" + b"\x88\x00" * 100)
    parser = Parser(LIMIT)
    parser.feed(frame[:20])
    assert isinstance(parser.take(), Failed)
    parser.feed(frame[20:])
    assert not parser.closes()
    parser.feed(masked(CLOSE))
    assert parser.closes()

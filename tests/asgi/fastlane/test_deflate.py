"""permessage-deflate: what is agreed on, and what is sent then."""

from __future__ import annotations

import os
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.asgi.fastlane import deflate
from holdfast.asgi.fastlane.deflate import Inflater, TooLarge, agree, answer, deflated_frame, message_frame
from holdfast.asgi.fastlane.frames import BINARY, TEXT, text_frame

BASE = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


@pytest.mark.parametrize(
    ("offer", "window"),
    [
        ("permessage-deflate", 15),
        ("permessage-deflate; client_max_window_bits", 15),
        ("permessage-deflate; client_max_window_bits=8", 15),
        ("permessage-deflate; server_no_context_takeover; client_no_context_takeover", 15),
        ("permessage-deflate; server_max_window_bits=10", 10),
        ('permessage-deflate; server_max_window_bits="12"', 12),
        ("x-webkit-deflate-frame, permessage-deflate", 15),
        ("permessage-deflate; server_max_window_bits=8, permessage-deflate", 15),
        ("permessage-deflate; unknown, permessage-deflate; server_max_window_bits=9", 9),
    ],
)
def test_an_offer_that_is_taken(offer: str, window: int) -> None:
    assert agree(offer) == window


@pytest.mark.parametrize(
    "offer",
    [
        "",
        "permessage-bzip2",
        "permessage-deflate; unknown",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=010",
        "permessage-deflate; server_max_window_bits=ten",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
    ],
)
def test_an_offer_that_is_left(offer: str) -> None:
    assert agree(offer) == 0


def test_the_answer_never_lets_a_context_be_taken_over() -> None:
    assert answer(15) == BASE
    assert answer(10) == BASE + "; server_max_window_bits=10"


def inflated(frame: bytes, window: int = 15) -> bytes:
    assert frame[0] & 0x40, "not compressed"
    start = {126: 4, 127: 10}.get(frame[1], 2)
    return zlib.decompressobj(-window).decompress(frame[start:] + deflate.TAIL)


@given(st.binary(max_size=4_000), st.integers(9, 15))
def test_a_message_fits_the_window_that_was_agreed_on(start: bytes, window: int) -> None:
    payload = start * 3 + b"a" * 400
    frame = message_frame(BINARY, payload, window)
    assert frame[0] == 0xC2
    assert inflated(frame, window) == payload


def test_the_same_message_is_the_same_frame_for_all() -> None:
    assert deflated_frame(b"hello " * 20) == deflated_frame(b"hello " * 20)
    assert inflated(deflated_frame(b"hello " * 20)) == b"hello " * 20


def test_what_would_grow_is_sent_as_it_is() -> None:
    noise = os.urandom(300)
    assert deflated_frame(b"hi") == text_frame(b"hi")
    assert message_frame(TEXT, noise) == text_frame(noise)


def test_inflating_stops_one_byte_past_the_limit() -> None:
    squeezed = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = squeezed.compress(b"\0" * 1_000_000) + squeezed.flush(zlib.Z_SYNC_FLUSH)
    with pytest.raises(TooLarge):
        Inflater(999_999).feed(bomb)
    exact = Inflater(1_000_000)
    assert len(exact.feed(bomb.removesuffix(deflate.TAIL)) + exact.finish()) == 1_000_000

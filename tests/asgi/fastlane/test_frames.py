"""Frames as they leave the server."""

from __future__ import annotations

import pytest

from holdfast.asgi.fastlane import frames


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, b"\x81\x00"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65_535, b"\x81\x7e\xff\xff"),
        (65_536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_the_length_is_written_as_short_as_it_can_be(size: int, head: bytes) -> None:
    assert frames.text_frame(b"x" * size) == head + b"x" * size


def test_a_binary_message_has_its_own_opcode() -> None:
    assert frames.binary_frame(b"\x00") == b"\x82\x01\x00"


def test_a_close_frame_has_code_and_reason() -> None:
    assert frames.close_frame(4003, "gone") == b"\x88\x06\x0f\xa3gone"


def test_a_close_without_a_code_is_empty() -> None:
    assert frames.close_frame(frames.NO_STATUS) == b"\x88\x00"


def test_a_reason_that_is_too_long_is_cut_between_two_characters() -> None:
    sent = frames.close_frame(1000, "é" * 100)
    assert len(sent) == 2 + 124
    assert sent[4:].decode() == "é" * 61


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1011, 1012, 1014, 3000, 4999])
def test_codes_that_may_be_sent(code: int) -> None:
    assert frames.may_be_sent(code)


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535])
def test_codes_that_may_not_be_sent(code: int) -> None:
    assert not frames.may_be_sent(code)

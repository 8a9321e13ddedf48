from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import ReservedFrameError
from holdfast.protocol import frames
from holdfast.protocol.channels import REQUESTS
from holdfast.protocol.codec import FROM_CLIENT, FROM_SERVER, HoldfastV1, Plain, check_message


@pytest.mark.parametrize("kind", sorted(FROM_SERVER))
def test_an_app_cannot_send_a_frame_of_the_protocols(kind: str):
    with pytest.raises(ReservedFrameError, match=f"app.{kind}"):
        check_message({"type": kind})


@pytest.mark.parametrize("message", [{"type": "chat"}, {"type": ["event"]}, {}, ["event"], "event", None])
def test_any_other_message_is_the_apps_own(message: object):
    check_message(message)


def test_requests_about_channels_are_the_protocols():
    assert REQUESTS < FROM_CLIENT
    assert not FROM_CLIENT - {"ping", "pong"} & FROM_SERVER


@given(st.text() | st.binary())
def test_no_text_makes_reading_fail(data: str | bytes):
    HoldfastV1().decode(data)
    Plain().decode(data)


@pytest.mark.parametrize(
    ("message", "known"),
    [({"id": 7}, 7), ({"id": "a"}, "a"), ({"id": [1]}, None), ({}, None), ([{"id": 7}], None), ("id", None)],
)
def test_an_app_that_is_behind_answers_with_the_id_that_a_message_may_have(message, known):
    text = HoldfastV1().encode(frames.busy(message))
    why = "too many messages wait already; send this again later"
    expected = {"type": "error", "id": known, "code": "busy", "message": why, "retry_after_ms": 1_000}
    assert json.loads(text) == {name: value for name, value in expected.items() if value is not None}

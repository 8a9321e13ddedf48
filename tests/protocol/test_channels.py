from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.protocol import channels, frames
from holdfast.protocol.channels import data_text, event_text, is_channel, plain_event_text, read_request
from holdfast.protocol.codec import HoldfastV1, Plain

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=10,
)
CHANNEL = st.text(st.sampled_from("abz09:._-/'\"\\<>|~!"), min_size=1, max_size=20)
UNREADABLE = '{"as it":  "stands"}'
"""JSON text that no encoder of ours would write."""


def test_a_channels_name_is_printable_ascii_without_what_urls_and_patterns_need():
    for code in range(0x300):
        wanted = 0x21 <= code <= 0x7E and chr(code) not in "{}*?&,"
        assert is_channel(chr(code)) is wanted, chr(code)
        assert is_channel(f"job:{chr(code)}") is wanted, chr(code)


@pytest.mark.parametrize(("length", "good"), [(0, False), (1, True), (255, True), (256, False)])
def test_a_channels_name_has_up_to_255_characters(length: int, good: bool):
    assert is_channel("x" * length) is good


@pytest.mark.parametrize("name", [None, 42, True, ["job:42"], b"job:42"])
def test_what_is_no_text_is_no_channel(name: object):
    assert not is_channel(name)


@given(CHANNEL, st.integers(1, channels.MAX_OFFSET), JSON)
def test_an_event_is_what_json_would_have_written(channel: str, offset: int, value: object):
    data = data_text(value)
    body = {"channel": channel, "offset": offset, "data": value}
    assert json.loads(event_text(channel, offset, data)) == {"type": "event", **body}
    assert json.loads(plain_event_text(channel, offset, data)) == body


def test_the_data_of_an_event_is_copied_and_not_written_again():
    event = frames.Event("job:42", 7, UNREADABLE)
    head = '"channel":"job:42","offset":7,"data":'
    assert HoldfastV1().encode(event) == '{"type":"event",' + head + UNREADABLE + "}"
    assert Plain().encode(event) == "{" + head + UNREADABLE + "}"


def test_the_data_in_a_history_is_copied_and_not_written_again():
    publications = [frames.Publication(6, UNREADABLE), frames.Publication(7, "1")]
    text = HoldfastV1().encode(frames.HistoryRead("h", frames.Position('e"1', 7), publications, True))
    assert text is not None
    assert f'"publications":[{{"offset":6,"data":{UNREADABLE}}},{{"offset":7,"data":1}}]' in text
    assert json.loads(text)["result"]["epoch"] == 'e"1'


@given(JSON)
def test_data_goes_through_a_publish_as_it_was(value: object):
    frame = HoldfastV1().decode(json.dumps({"type": "publish", "id": 1, "channel": "a", "data": value}))
    assert isinstance(frame, frames.Publish)
    assert json.loads(frame.data) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud83d", {"deep": ["\udc00"]}, b"", object()])
def test_what_json_cannot_carry_is_no_data(value: object):
    with pytest.raises((ValueError, TypeError)):
        data_text(value)


@pytest.mark.parametrize(
    ("kind", "fields", "says"),
    [
        ("subscribe", {"since": 7}, "subscribe: since is a position"),
        ("subscribe", {"presence": "yes"}, "subscribe: presence is true or false"),
        ("publish", {}, "publish: data is missing"),
        ("publish", {"data": 1, "key": ""}, "publish: key is a string of 1 to 128 characters"),
        ("history", {"limit": 1001}, "history: limit is a whole number from 1 to 1000"),
        ("history", {"since": {"epoch": "e1"}}, "history: since is a position"),
    ],
)
def test_an_error_says_which_field_and_what_to_send(kind: str, fields: dict[str, object], says: str):
    error = read_request(kind, 7, {"channel": "job:42", **fields})
    assert isinstance(error, frames.Error)
    assert (error.code, error.id) == ("bad_frame", 7)
    assert error.message.startswith(says)


def test_an_error_says_what_a_channel_is_and_that_an_id_is_needed():
    error = read_request("subscribe", 7, {"channel": "job 42"})
    assert isinstance(error, frames.Error)
    assert "1 to 255 ASCII characters, and none of space { } * ? & ," in error.message
    error = read_request("presence", None, {"channel": "job:42"})
    assert isinstance(error, frames.Error)
    assert error.message.startswith("presence needs an id")


FIELDS = ["id", "channel", "since", "presence", "data", "key", "limit"]


@given(st.sampled_from(sorted(channels.REQUESTS)), st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_no_request_makes_reading_fail(kind: str, fields: dict[str, object]):
    HoldfastV1().decode(json.dumps({"type": kind, **fields}))

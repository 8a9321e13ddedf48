import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.client import wire
from holdfast.protocol.codec import FROM_SERVER, HoldfastV1
from holdfast.protocol.frames import (
    Auth,
    Ping,
    Pong,
    Position,
    Publish,
    ReadHistory,
    ReadPresence,
    Subscribe,
    Unsubscribe,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
FIELDS = [
    "expires_in",
    "refresh_in",
    "grace_left",
    "id",
    "code",
    "reason",
    "action",
    "limits",
    "retry_after_ms",
    "channel",
    "epoch",
    "offset",
    "data",
    "presence",
    "connection",
    "user",
    "name",
]


@given(st.text() | st.binary())
def test_no_text_makes_reading_fail(data: str | bytes) -> None:
    wire.read(data)


@given(st.sampled_from(sorted(FROM_SERVER)), st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_no_frame_makes_reading_fail(kind: str, fields: dict[str, object]) -> None:
    wire.read(json.dumps({"type": kind, **fields}))


@given(st.text(min_size=1, max_size=64).filter(lambda text: text.isprintable()), st.integers(0, 10**6))
def test_the_server_understands_what_is_written(token: str, number: int) -> None:
    server = HoldfastV1()
    request = f"holdfast:{number}"
    assert server.decode(wire.auth(token, request)) == Auth(token, request)
    assert server.decode(wire.ping(request)) == Ping(request)
    assert server.decode(wire.pong(number)) == Pong(number)
    assert server.decode(wire.pong(None)) == Pong(None)


@given(
    st.text("!az:09~", min_size=1, max_size=255),
    st.none() | st.builds(Position, st.text(min_size=1, max_size=64), st.integers(0, 2**53 - 1)),
    st.booleans(),
    JSON,
    st.none() | st.text(min_size=1, max_size=128),
    st.integers(1, 1000),
)
def test_the_server_understands_what_is_asked_of_channels(
    channel: str, since: Position | None, presence: bool, data: object, key: str | None, limit: int
) -> None:
    server = HoldfastV1()
    asked = wire.subscribe("holdfast:c1", channel, since, presence=presence)
    assert server.decode(asked) == Subscribe("holdfast:c1", channel, since, presence)
    assert server.decode(wire.unsubscribe("u", channel)) == Unsubscribe("u", channel)
    assert server.decode(wire.history("h", channel, since, limit)) == ReadHistory("h", channel, since, limit)
    assert server.decode(wire.presence("p", channel)) == ReadPresence("p", channel)
    published = server.decode(wire.publish("p", channel, data, key))
    assert isinstance(published, Publish)
    assert (published.channel, published.key, json.loads(published.data)) == (channel, key, data)


@pytest.mark.parametrize("data", [float("nan"), float("inf"), object(), "half \ud83d"])
def test_what_is_no_json_is_not_written(data: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        wire.publish("p", "job:1", data, None)

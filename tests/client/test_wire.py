import json

from hypothesis import given
from hypothesis import strategies as st

from holdfast.client import wire
from holdfast.protocol.codec import FROM_SERVER, HoldfastV1
from holdfast.protocol.frames import Auth, Ping, Pong

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

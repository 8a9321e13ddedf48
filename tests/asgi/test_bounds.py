"""What is remembered for speed stays small, and holds nothing that is secret."""

from __future__ import annotations

from holdfast.asgi import carriers
from holdfast.asgi.fastlane import handshake
from holdfast.asgi.fastlane.scope import own_address, peer_address
from holdfast.asgi.timeline import LENGTH, Moment, Timeline


def asks(*lines: str) -> bytes:
    common = ("GET / HTTP/1.1", "Host: a", "Upgrade: websocket", "Connection: Upgrade")
    return "\r\n".join((*common, *lines, "", "")).encode()


def test_headers_with_secrets_are_not_kept_for_the_next_handshake() -> None:
    handshake.read_whole(asks("Authorization: Bearer SECRET", "Cookie: a=SECRET", "X-Api-Key: SECRET"))
    assert "SECRET" not in repr(handshake._shared)


def test_so_many_headers_are_kept_and_no_more() -> None:
    for number in range(handshake.MOST_SHARED + 100):
        assert handshake.read_whole(asks(f"User-Agent: {number}")) is not None
    assert len(handshake._shared) <= handshake.MOST_SHARED


def test_a_timeline_keeps_the_newest() -> None:
    timeline = Timeline()
    for number in range(LENGTH + 10):
        timeline.add(Moment(float(number), "renewed"))
    assert [moment.at for moment in timeline] == [float(number) for number in range(10, LENGTH + 10)]


def test_a_unix_socket_has_a_path_and_no_peer() -> None:
    assert (own_address("/run/app.sock"), peer_address("")) == (("/run/app.sock", None), None)
    assert own_address(("::1", 80, 0, 0)) == ("::1", 80)


def test_a_token_in_headers_that_cannot_be_changed_is_hidden_in_their_place() -> None:
    scope = {"type": "websocket", "headers": ((b"authorization", b"Bearer SECRET"),)}
    carriers.hide(scope)
    assert "SECRET" not in repr(scope)

"""Which requests open a WebSocket, and how the others are answered."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from holdfast.asgi.fastlane import handshake
from holdfast.asgi.fastlane.handshake import (
    Offer,
    Refusal,
    Request,
    accepted,
    consider,
    read,
    read_whole,
    refused,
    response,
    written,
)

KEY = "dGhlIHNhbXBsZSBub25jZQ=="

RequestText = Callable[..., bytes]


def judged(head: bytes, version: str = "1.1") -> Offer | Refusal:
    """What becomes of a handshake, which is the same whether it is read as a whole or as text."""
    request = read(head, version)
    verdict = consider(request) if isinstance(request, Request) else request
    whole = read_whole(head) if version == "1.1" else None
    assert whole is None or consider(whole) == verdict
    return verdict


def status(head: bytes, version: str = "1.1") -> int:
    refusal = judged(head, version)
    assert isinstance(refusal, Refusal)
    return refusal.status


def test_the_example_of_the_rfc(request_text: RequestText) -> None:
    head = request_text(
        "/chat", ("Sec-WebSocket-Protocol", "chat, superchat"), ("Sec-WebSocket-Protocol", "third")
    )
    for _ in range(2):
        offer = judged(head)
        assert offer == Offer(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", ["chat", "superchat", "third"], "")


def test_names_in_any_case_and_lists_with_more_in_them(request_text: RequestText) -> None:
    head = request_text(
        "/",
        ("UPGRADE", "h2c, WebSocket"),
        ("connection", "keep-alive"),
        ("Connection", "UpGrade"),
        without=("Upgrade", "Connection"),
    )
    assert isinstance(judged(head), Offer)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"without": ("Host",)}, 400),
        ({"without": ("Sec-WebSocket-Key",)}, 400),
        ({"without": ("Sec-WebSocket-Version",)}, 400),
        ({"without": ("Connection",)}, 400),
        ({"without": ("Upgrade",)}, 426),
        ({"method": "POST"}, 405),
    ],
)
def test_what_is_missing(request_text: RequestText, change: dict, expected: int) -> None:
    assert status(request_text(**change)) == expected


@pytest.mark.parametrize("name", ["Host", "Sec-WebSocket-Key", "Sec-WebSocket-Version"])
def test_what_may_be_there_once(request_text: RequestText, name: str) -> None:
    twice = {"Host": "example.com", "Sec-WebSocket-Key": KEY, "Sec-WebSocket-Version": "13"}[name]
    assert status(request_text("/", (name, twice))) == 400
    assert read_whole(request_text("/", (name, twice))) is None


@pytest.mark.parametrize(
    "key",
    ["", "short", KEY[:-1], KEY[:-2], KEY + "=", "dGhlIHNhbXBsZSBub25j", "!" * 22 + "==", KEY[:-3] + "é=="],
)
def test_a_broken_key(request_text: RequestText, key: str) -> None:
    assert status(request_text("/", ("Sec-WebSocket-Key", key), without=("Sec-WebSocket-Key",))) == 400


@pytest.mark.parametrize("version", ["8", "12", "14", "013", "13, 8", "x"])
def test_another_version_is_told_which_one_is_spoken(request_text: RequestText, version: str) -> None:
    head = request_text("/", ("Sec-WebSocket-Version", version), without=("Sec-WebSocket-Version",))
    refusal = judged(head)
    assert isinstance(refusal, Refusal)
    assert refusal.status == 426
    assert (b"sec-websocket-version", b"13") in refusal.headers


def test_an_old_http(request_text: RequestText) -> None:
    assert status(request_text(), version="1.0") == 400


@pytest.mark.parametrize("target", ["*", "example.com:80", "/a#b", "ftp://x/"])
def test_a_target_that_no_websocket_has(request_text: RequestText, target: str) -> None:
    assert status(request_text(target)) == 400


@pytest.mark.parametrize("body", [("Content-Length", "5"), ("Transfer-Encoding", "chunked")])
def test_a_body(request_text: RequestText, body: tuple[str, str]) -> None:
    assert status(request_text("/", body)) == 400
    assert isinstance(judged(request_text("/", ("Content-Length", "0"))), Offer)


def test_sizes_at_the_limit_and_past_it(request_text: RequestText) -> None:
    longest = "/" + "a" * (handshake.LONGEST_TARGET - 1)
    assert isinstance(judged(request_text(longest)), Offer)
    assert status(request_text(longest + "a")) == 414
    room = handshake.LARGEST_HEAD - len(request_text()) + len(b"GET / HTTP/1.1") - len(b"X: \r\n")
    assert isinstance(judged(request_text("/", ("X", "a" * room))), Offer)
    assert status(request_text("/", ("X", "a" * (room + 1)))) == 431
    assert isinstance(judged(request_text("/", *[("X", "a")] * (handshake.MOST_HEADERS - 6))), Offer)
    assert status(request_text("/", *[("X", "a")] * handshake.MOST_HEADERS)) == 431


@pytest.mark.parametrize(
    "head",
    [
        b"GET\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\n: x\r\n\r\n",
    ],
)
def test_text_that_is_no_request(head: bytes) -> None:
    assert status(head) == 400


@pytest.mark.parametrize(
    "change",
    [
        lambda head: head[:-1],
        lambda head: head + b"x",
        lambda head: head.replace(b"GET", b"POST"),
        lambda head: head.replace(b"HTTP/1.1", b"HTTP/1.0"),
        lambda head: head.replace(b"Host:", b"Host :"),
        lambda head: head.replace(b"Host: ", b" Host: "),
        lambda head: head.replace(b"Host: ", b"Host: \x00"),
        lambda head: head.replace(b"Host: example.com\r", b"Host: example.com"),
        lambda head: head.replace(b"\r\n", b"\n"),
        lambda head: head.replace(b"websocket", b"h2c"),
        lambda head: head.replace(b"Connection: Upgrade", b"Connection: close"),
        lambda head: head.replace(b"Upgrade: websocket\r\n", b""),
        lambda head: head[:-2] + b"X: " + b"a" * 70_000 + b"\r\n\r\n",
        lambda head: head[:-2] + b"X: a\r\n" * 130 + b"\r\n",
        lambda head: head.replace(b"GET /", b"GET /" + b"a" * 20_000),
        lambda head: head.replace(b"GET /", b"GET / "),
    ],
)
def test_what_is_not_whole_and_usual_is_left_to_a_parser(
    request_text: RequestText, change: Callable[[bytes], bytes]
) -> None:
    assert read_whole(request_text()) is not None
    assert read_whole(change(request_text())) is None


def test_whole_ones_are_read_as_text_is(request_text: RequestText) -> None:
    head = request_text("/a?b", ("X-Odd_name!", " \t v\xe9 "), ("X-Empty", ""), ("Connection", "keep-alive"))
    assert read_whole(head) == read(head, "1.1")


def test_a_refusal_says_why_and_that_the_connection_ends() -> None:
    answer = refused(Refusal(405, "No.", ((b"allow", b"GET"),)), [(b"date", b"today")])
    assert answer == (
        b"HTTP/1.1 405 Method Not Allowed\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 4\r\n"
        b"connection: close\r\nallow: GET\r\ndate: today\r\n\r\nNo.\n"
    )


def test_an_acceptance_has_what_was_chosen() -> None:
    answer = accepted(
        Offer(b"accept-key", [], ""),
        written([(b"date", b"today")]),
        subprotocol="chat",
        extension="permessage-deflate",
        headers=[(b"x", b"y")],
    )
    assert answer == (
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
        b"sec-websocket-accept: accept-key\r\nsec-websocket-protocol: chat\r\n"
        b"sec-websocket-extensions: permessage-deflate\r\ndate: today\r\nx: y\r\n\r\n"
    )


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: x", b"a\nb", b"a\0"])
def test_a_header_cannot_smuggle_another(value: bytes) -> None:
    with pytest.raises(ValueError, match="one line"):
        response(200, [(b"x", value)])
    with pytest.raises(ValueError, match="one line"):
        written([(b"x", value)])


def test_a_status_that_has_no_name() -> None:
    assert response(599, []) == b"HTTP/1.1 599 \r\n\r\n"

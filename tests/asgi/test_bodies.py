from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import BaseModel
from starlette.requests import Request

from holdfast.asgi import bodies
from holdfast.asgi.models import NewPassword, RefreshToken, SignIn
from holdfast.errors import BadInput

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


def request(body: bytes | Iterable[bytes], content_type: str | None, length: str | None = None) -> Request:
    chunks = [body] if isinstance(body, bytes) else list(body)
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks
    ]
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    headers = [(b"content-type", content_type.encode())] if content_type else []
    if length is not None:
        headers.append((b"content-length", length.encode()))

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


async def refused(reading: Any) -> str:
    with pytest.raises(BadInput) as caught:
        await reading
    return str(caught.value)


async def test_an_empty_body_is_an_empty_object_whatever_it_calls_itself() -> None:
    for body, content_type in [(b"", None), (b"  \n", None), (b"", "text/plain"), (b"{}", JSON)]:
        assert (await bodies.read_json(request(body, content_type), RefreshToken)).refresh_token is None


@pytest.mark.parametrize("content_type", [JSON, "application/json; charset=utf-8", "Application/JSON"])
async def test_json_is_read_in_pieces(content_type: str) -> None:
    read = await bodies.read_json(request([b'{"refresh_', b'token": "x"}'], content_type), RefreshToken)
    assert read.refresh_token == "x"


@pytest.mark.parametrize(
    "content_type", [None, FORM, "text/plain", "application/jsonp", "multipart/form-data"]
)
async def test_json_of_another_type_is_refused_since_a_foreign_form_could_send_it(
    content_type: str | None,
) -> None:
    assert "application/json" in await refused(bodies.read_json(request(b"{}", content_type), RefreshToken))


async def test_a_field_is_named_in_the_refusal_and_its_value_is_not() -> None:
    body = json.dumps({"old_password": "s3cret", "new_password": ["s3cret"]}).encode()
    told = await refused(bodies.read_json(request(body, JSON), NewPassword))
    assert told.startswith("new_password: ")
    assert "s3cret" not in told


async def test_a_misspelt_field_is_refused_without_repeating_it() -> None:
    told = await refused(bodies.read_json(request(b'{"my secret": 1}', JSON), RefreshToken))
    assert "my secret" not in told


@pytest.mark.parametrize("length", ["16385", "999999999999", "9" * 5000])
async def test_a_body_that_says_it_is_too_large_is_not_read(length: str) -> None:
    async def never() -> dict[str, Any]:
        raise AssertionError("read it")

    asked = request(b"", JSON, length)
    asked._receive = never
    assert "16384 bytes" in await refused(bodies.read_json(asked, RefreshToken))


async def test_a_body_that_grows_too_large_is_not_read_to_its_end() -> None:
    read: list[int] = []

    async def endless() -> dict[str, Any]:
        read.append(1)
        return {"type": "http.request", "body": b" " * 1024, "more_body": True}

    asked = request(b"", JSON)
    asked._receive = endless
    assert "16384 bytes" in await refused(bodies.read_json(asked, RefreshToken))
    assert len(read) == 17


@pytest.mark.parametrize("length", ["-1", "x", "٣", ""])
async def test_a_senseless_content_length_is_the_servers_affair(length: str) -> None:
    asked = request(b"{}", JSON)
    asked.scope["headers"].append((b"content-length", length.encode("utf-8")))
    assert (await bodies.read_json(asked, RefreshToken)).refresh_token is None


async def test_a_request_that_breaks_off_is_refused() -> None:
    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    asked = request(b"", JSON)
    asked._receive = gone
    assert "broke off" in await refused(bodies.read_json(asked, RefreshToken))


@pytest.mark.parametrize("encode", [str.encode, lambda text: quote(text, safe="=&").encode()])
async def test_a_form_is_utf_8_percent_encoded_or_not(encode: Callable[[str], bytes]) -> None:
    read = await bodies.read_form(request(encode("username=Анна&password=пароль"), FORM), SignIn)
    assert (read.username, read.password.get_secret_value()) == ("Анна", "пароль")


async def test_a_form_keeps_what_is_in_a_password() -> None:
    read = await bodies.read_form(request(b"username=a&password=+%20%2B%26%3D%00%25", FORM), SignIn)
    assert read.password.get_secret_value() == "  +&=\0%"


@pytest.mark.parametrize(
    "body",
    [
        b"username=a&username=b&password=c",
        b"scope=a&scope=b&username=a&password=c",
        b"username=%ff&password=c",
        b"username=\xff&password=c",
        b"&".join(b"f%d=1" % n for n in range(21)),
    ],
)
async def test_a_form_that_can_be_read_in_two_ways_is_refused(body: bytes) -> None:
    assert "each field once" in await refused(bodies.read_form(request(body, FORM), SignIn))


@pytest.mark.parametrize("content_type", [None, JSON, "multipart/form-data; boundary=x", "text/plain"])
async def test_a_form_of_another_type_is_refused(content_type: str | None) -> None:
    assert FORM in await refused(bodies.read_form(request(b"username=a&password=b", content_type), SignIn))


def test_secrets_stay_out_of_the_repr_of_what_was_read() -> None:
    read: list[BaseModel] = [
        RefreshToken(refresh_token="s3cret"),
        SignIn(username="ann", password="s3cret"),
        NewPassword(old_password="s3cret", new_password="s3cret"),
    ]
    assert "s3cret" not in repr(read)

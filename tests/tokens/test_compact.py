from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import TokenInvalid
from holdfast.tokens.algorithms import base64url
from holdfast.tokens.compact import parse

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@given(
    header=st.dictionaries(st.text(max_size=9), st.text(max_size=9) | st.integers(), max_size=5),
    payload=st.binary(min_size=1, max_size=99),
    signature=st.binary(min_size=1, max_size=99),
)
def test_a_token_is_taken_apart_into_what_it_was_made_of(header, payload, signature):
    signed = f"{base64url(json.dumps(header).encode())}.{base64url(payload)}"
    parts = parse(f"{signed}.{base64url(signature)}")
    assert (parts.header, parts.payload, parts.signature) == (header, payload, signature)
    assert parts.signed == signed.encode()


@given(text=st.text(ALPHABET, min_size=1, max_size=12))
def test_a_part_is_read_only_if_writing_it_again_gives_the_same_text(text):
    try:
        read = parse(f"e30.e30.{text}").signature
    except TokenInvalid:
        return
    assert base64url(read) == text


@given(data=st.binary(min_size=1, max_size=12))
def test_whatever_is_written_canonically_is_read(data):
    assert parse(f"e30.{base64url(data)}.AA").payload == data


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_does_not_know_are_refused_even_where_nobody_looks(number):
    payload = f'{{"unused": [{{"deep": {number}}}]}}'.encode()
    with pytest.raises(TokenInvalid):
        parse(f"e30.{base64url(payload)}.AA").claims()


def test_claims_are_read_only_when_asked_for():
    parts = parse(f"e30.{base64url(b'not json')}.AA")
    with pytest.raises(TokenInvalid, match="Invalid token") as caught:
        parts.claims()
    assert "payload" in caught.value.detail

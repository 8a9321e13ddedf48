from __future__ import annotations

import pytest

from holdfast.asgi.carriers import Carrier, hide, read


def scope(*, headers=(), query=b"", subprotocols=()):
    offered = [(b"sec-websocket-protocol", ", ".join(subprotocols).encode())] if subprotocols else []
    return {
        "type": "websocket",
        "headers": [*headers, *offered],
        "query_string": query,
        "subprotocols": list(subprotocols),
    }


EVERYWHERE = {
    "headers": [(b"authorization", b"Bearer A")],
    "subprotocols": ["holdfast.v1", "holdfast.bearer.B"],
    "query": b"ticket=C&token=D",
}


@pytest.mark.parametrize(
    ("leave_out", "carrier", "secret"),
    [
        ((), Carrier.AUTHORIZATION, "A"),
        (("headers",), Carrier.SUBPROTOCOL, "B"),
        (("headers", "subprotocols"), Carrier.TICKET, "C"),
    ],
)
def test_of_many_places_the_first_in_the_order_counts(leave_out, carrier, secret):
    found = read(scope(**{place: value for place, value in EVERYWHERE.items() if place not in leave_out}))
    assert (found.carrier, found.secret) == (carrier, secret)


def test_the_query_token_is_the_last_place_of_the_handshake():
    assert read(scope(query=b"token=D")).secret == "D"


def test_without_any_token_the_first_frame_must_bring_it():
    assert read(scope(query=b"page=2")).carrier is Carrier.FRAME


def test_a_cookie_is_no_token():
    assert read(scope(headers=[(b"cookie", b"holdfast=rt1.a.b.c.d; token=x")])).carrier is Carrier.FRAME


@pytest.mark.parametrize(
    "doubled",
    [
        {"query": b"token=a&token=b"},
        {"query": b"token="},
        {"query": b"ticket=a&ticket=b"},
        {"headers": [(b"authorization", b"Bearer a"), (b"authorization", b"Bearer b")]},
        {"subprotocols": ["holdfast.bearer.a", "holdfast.bearer.b"]},
    ],
)
def test_a_place_with_two_tokens_or_an_empty_one_proves_nothing(doubled):
    assert read(scope(**doubled)).secret == ""


def test_only_an_offer_of_holdfast_v1_makes_a_client_controlled():
    assert read(scope(subprotocols=["holdfast.v1"])).controlled
    assert not read(scope(subprotocols=["graphql-ws"])).controlled
    assert not read(scope(query=b"token=x")).controlled


def test_hidden_secrets_leave_the_scope_and_the_rest_stays():
    hidden = scope(
        query=b"page=2&token=SECRET&ticket=SECRET",
        subprotocols=["holdfast.v1", "holdfast.bearer.SECRET"],
        headers=[(b"host", b"x")],
    )
    hide(hidden)
    assert "SECRET" not in repr(hidden)
    assert b"page=2" in hidden["query_string"]
    assert hidden["subprotocols"] == ["holdfast.v1"]
    assert (b"host", b"x") in hidden["headers"]


def test_a_hidden_bearer_leaves_the_headers_that_somebody_holds_already():
    hidden = scope(headers=[(b"host", b"x"), (b"authorization", b"Bearer SECRET")])
    held = hidden["headers"]
    hide(hidden)
    assert "SECRET" not in repr((hidden, held))
    assert read(hidden).carrier is Carrier.AUTHORIZATION


@pytest.mark.parametrize(
    "values",
    [
        (b"Bearer SECRET", b"Bearer SECRET2"),
        (b"Bearer SECRET", b"SECRET2"),
        (b"DPoP SECRET", b"bearer SECRET2"),
        (b"Bearer\tSECRET",),
    ],
)
def test_a_bearer_that_proves_nothing_is_hidden_too(values):
    hidden = scope(headers=[(b"authorization", value) for value in values])
    hide(hidden)
    assert "SECRET" not in repr(hidden)


def test_a_server_may_write_the_names_of_headers_in_any_case():
    mixed = scope(headers=[(b"Authorization", b"Bearer SECRET")])
    assert read(mixed).secret == "SECRET"
    hide(mixed)
    assert mixed["headers"] == [(b"Authorization", b"Bearer [redacted]")]


def test_a_scope_with_nothing_to_hide_is_left_as_it_is():
    for headers in ({}, {"headers": ((b"host", b"x"),)}, {"headers": ((b"authorization", b"Basic YQ=="),)}):
        bare = {"type": "websocket", "query_string": b"a=b", **headers}
        hide(bare)
        assert bare == {"type": "websocket", "query_string": b"a=b", **headers}
    fixed = {"headers": ((b"host", b"x"), (b"authorization", b"Bearer SECRET"))}
    hide(fixed)
    assert fixed["headers"] == [(b"host", b"x"), (b"authorization", b"Bearer [redacted]")]


def test_other_credentials_in_the_headers_are_not_ours_to_hide():
    basic = scope(headers=[(b"authorization", b"Basic YW5uOmh1bnRlcg==")])
    hide(basic)
    assert (b"authorization", b"Basic YW5uOmh1bnRlcg==") in basic["headers"]


def test_a_carried_secret_is_not_in_its_repr():
    assert "SECRET" not in repr(read(scope(query=b"token=SECRET")))

from __future__ import annotations

from typing import Any

import pytest

from holdfast.asgi.proxy import client_address, host, scheme

PROXY = "10.0.0.5"
TRUSTED = ("10.0.0.0/8", "2001:db8:ff::/48")


def scope(client: str | None = PROXY, **facts: Any) -> dict[str, Any]:
    """A scope; headers by name, with _ for -."""
    kind = facts.pop("scheme", "http")
    headers = [
        (name.replace("_", "-").encode(), value.encode("latin-1"))
        for name, given in facts.items()
        for value in ([given] if isinstance(given, str) else given)
    ]
    return {"client": (client, 40_000) if client else None, "scheme": kind, "headers": headers}


def test_without_a_trusted_proxy_nothing_forwarded_is_believed() -> None:
    forged = scope(
        "198.51.100.7",
        x_forwarded_for="192.0.2.1",
        x_forwarded_proto="https",
        x_forwarded_host="evil.example",
        host="app.example",
    )
    for trusted in ((), TRUSTED):
        assert client_address(forged, trusted) == "198.51.100.7"
        assert scheme(forged, trusted) == "http"
        assert host(forged, trusted) == "app.example"


def test_a_trusted_proxy_that_forwards_nothing_is_who_asks() -> None:
    assert client_address(scope(), TRUSTED) == PROXY


def test_behind_a_trusted_proxy_its_word_counts() -> None:
    forwarded = scope(
        x_forwarded_for="192.0.2.1",
        x_forwarded_proto="https",
        x_forwarded_host="app.example",
        host="upstream:8000",
    )
    assert client_address(forwarded, TRUSTED) == "192.0.2.1"
    assert scheme(forwarded, TRUSTED) == "https"
    assert host(forwarded, TRUSTED) == "app.example"


@pytest.mark.parametrize(
    ("hops", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1, 10.1.1.1", "192.0.2.1"),
        ("203.0.113.9, 192.0.2.1, 10.1.1.1", "192.0.2.1"),  # the first was written by the client
        ("10.2.2.2, 10.1.1.1", "10.2.2.2"),
        ("192.0.2.1:5000", "192.0.2.1"),
        ("[2001:db8::1]:5000", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("unknown", PROXY),
        ("192.0.2.1, garbage", PROXY),
        ("", PROXY),
        (",,,", PROXY),
        (["203.0.113.9", "192.0.2.1"], "192.0.2.1"),
    ],
)
def test_the_nearest_address_that_is_no_proxy_of_ours_counts(hops: str | list[str], address: str) -> None:
    assert client_address(scope(x_forwarded_for=hops), TRUSTED) == address


def test_a_chain_without_end_is_not_walked_to_it() -> None:
    hops = ",".join(["192.0.2.1"] + ["10.1.1.1"] * 100_000)
    assert client_address(scope(x_forwarded_for=hops), TRUSTED) == "10.1.1.1"


@pytest.mark.parametrize("client", [None, "testclient", ""])
def test_a_peer_without_an_address_is_nobody_to_believe(client: str | None) -> None:
    unknown = scope(client, x_forwarded_for="192.0.2.1", x_forwarded_proto="https")
    assert client_address(unknown, TRUSTED) is None
    assert scheme(unknown, TRUSTED) == "http"


@pytest.mark.parametrize(
    ("said", "meant"), [("https", "https"), ("wss", "https"), ("http", "http"), ("ws", "http")]
)
def test_a_websocket_is_as_safe_as_its_scheme(said: str, meant: str) -> None:
    assert scheme(scope(scheme=said)) == meant


def test_the_last_word_on_the_scheme_is_the_nearest_proxys() -> None:
    assert scheme(scope(x_forwarded_proto="https, http"), TRUSTED) == "http"


def test_two_host_headers_are_none() -> None:
    assert host(scope(host=["app.example", "evil.example"])) is None
    assert host(scope()) is None

from __future__ import annotations

import pytest

from holdfast.asgi.origin import allowed


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://app.example.com", "app.example.com"),
        ("http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("https://app.example.com", "app.example.com:443"),
        ("https://APP.example.com", "app.example.com"),
        ("http://[::1]:8000", "[::1]:8000"),
    ],
)
def test_a_page_of_the_same_host_may_connect(origin, host):
    assert allowed(origin, host)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "https://app.example.com.evil.example",
        "https://evilapp.example.com",
        "https://app.example.com:8443",
        "null",
        "",
        "file://",
        "https://app.example.com@evil.example",
        "https://app.example.com/path",
        "https://app.example.com, https://evil.example",
        "https://app.example.com:notaport",
        "chrome-extension://abcdef",
    ],
)
def test_any_other_page_may_not(origin):
    assert not allowed(origin, "app.example.com")


def test_no_origin_is_no_browser_and_may_connect():
    assert allowed(None, "app.example.com")


def test_listed_origins_may_connect_and_their_scheme_counts():
    listed = ("https://dashboard.example.com",)
    assert allowed("https://dashboard.example.com", "api.example.com", listed)
    assert not allowed("http://dashboard.example.com", "api.example.com", listed)


def test_without_a_host_header_no_page_may_connect():
    assert not allowed("https://app.example.com", None)

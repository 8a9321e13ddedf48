from __future__ import annotations

import logging

import pytest

from holdfast.redaction import RedactingFilter, redact, redact_event

JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJlc2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        (f'127.0.0.1:1 - "WebSocket /ws?token={JWT}" [accepted]', JWT),
        (f"Token from query params: {JWT[:40]}...", JWT[10:38]),
        ("GET /ws?page=1&ticket=tk_abc-DEF_123&x=1", "tk_abc-DEF_123"),
        (f"Authorization: Bearer {JWT}", JWT),
        ("authorization=Bearer opaque-token", "opaque-token"),
        ("Cookie: a=b; __Host-holdfast=rt1.k.s.1.mac; c=d", "rt1.k.s.1.mac"),
        ("Set-Cookie: holdfast=rt1.k.s.1.mac; HttpOnly", "rt1.k.s.1.mac"),
        ("refresh rt1.k1.s1.7.bWFjbWFj failed", "bWFjbWFj"),
        ("Sec-WebSocket-Protocol: holdfast.v1, holdfast.bearer.abc.def", "abc.def"),
        ('{"password": "hunter2 is \'mine\'"}', "hunter2"),
        ("username=ann&password=hunter%202&client=program", "hunter"),
        ("{'new_password': 'hunter2'}", "hunter2"),
        (f"/ws?token%3D{JWT}", JWT),
    ],
)
def test_no_secret_survives_in_a_line(line, secret):
    assert secret not in redact(line)
    assert "[redacted]" in redact(line)


@pytest.mark.parametrize(
    "name", ["ACCESS_TOKEN", "Refresh_Token", "ticket", "PASSWORD", "secret_key", "Set-Cookie"]
)
@pytest.mark.parametrize(
    "shape", ["{}=hunter2", "{}%3Dhunter2", "{{'{}': 'hunter2'}}", '{{"{}" : "hunter2"}}']
)
def test_whatever_is_named_like_a_secret_is_hidden(name, shape):
    assert "hunter2" not in redact(shape.format(name))


@pytest.mark.parametrize(
    "line",
    [
        '127.0.0.1:1 - "GET /auth/me HTTP/1.1" 200',
        "Token expired. Please refresh the page to get a new token.",
        "password changed for user 5f2c",
        "ACCESS_TOKEN_EXPIRE_MINUTES=1440",
    ],
)
def test_a_line_without_secrets_stays_as_it_is(line):
    assert redact(line) == line


def test_redacting_twice_changes_nothing_more():
    once = redact(f"Bearer {JWT} token={JWT} password=x")
    assert redact(once) == once


def test_the_filter_reaches_arguments_and_tracebacks():
    try:
        raise ValueError(f"bad token={JWT}")
    except ValueError as error:
        record = logging.LogRecord(
            "x", 20, "f", 1, "%s %d", (f"/ws?token={JWT}", 7), (ValueError, error, error.__traceback__)
        )
    RedactingFilter().filter(record)
    text = logging.Formatter().format(record)
    assert JWT not in text
    assert "7" in text


def test_an_argument_that_prints_a_secret_is_made_safe_and_others_keep_their_type():
    class Frame:
        def __str__(self) -> str:
            return f'< TEXT {{"type": "auth", "token": "{JWT[:20]}...{JWT[-20:]}"}}'

    record = logging.LogRecord("x", 10, "f", 1, "%s %.1f %s", (Frame(), 1.25, None), None)
    RedactingFilter().filter(record)
    assert "eyJ" not in record.getMessage()
    assert "1.2 None" in record.getMessage()


def test_structlog_events_lose_secret_keys_and_secret_values():
    event = redact_event(
        None, "info", {"event": "x", "password": "a", "headers": [("cookie", f"holdfast={JWT}")], "n": 1}
    )
    assert event["password"] == "[redacted]"
    assert JWT not in repr(event)
    assert event["n"] == 1

"""What a page's own `new WebSocket(…)` is told when its token is no good (SEED S3 to S6)."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest

EXPIRED = "Token expired. Please refresh the page to get a new token."
INVALID = "Invalid token. Please refresh the page to get a new token."
CLOSE_EVENT = """(url) => new Promise((resolve) => {
    const socket = new WebSocket(url);
    socket.onclose = ({ code, reason, wasClean }) => resolve({ code, reason, wasClean });
})"""


def changed(token: str, secret: str, **claims: Any) -> str:
    """The same token with other claims, signed again."""
    header = jwt.get_unverified_header(token)
    known = jwt.decode(token, options={"verify_signature": False})
    return jwt.encode({**known, **claims}, secret, algorithm="HS256", headers=header)


@pytest.fixture(scope="module")
def tokens(day: Any) -> dict[str, str]:
    """A token for each way to be bad, by name."""
    good = day.token()
    now = int(time.time())
    secret = day.environment["SECRET_KEY"]
    return {
        "expired": changed(good, secret, iat=now - 100, exp=now - 1),
        "forged": changed(good, "a secret that is not that of the server, but long", exp=now + 100),
        "nonsense": "nonsense",
        "unsigned": jwt.encode({"sub": "admin", "exp": now + 100}, None, algorithm="none"),
        "good": good,
    }


@pytest.mark.parametrize(
    ("which", "reason"),
    [("expired", EXPIRED), ("forged", INVALID), ("nonsense", INVALID), ("unsigned", INVALID)],
)
def test_the_close_event_says_4003_and_what_to_do(
    day: Any, somebody: Any, tokens: dict[str, str], which: str, reason: str
) -> None:
    page = somebody(day).open()
    found = page.evaluate(CLOSE_EVENT, f"ws://127.0.0.1:{day.port}/ws?token={tokens[which]}")
    assert found == {"code": 4003, "reason": reason, "wasClean": True}


def test_the_token_is_checked_at_every_connection_and_never_logged(
    day: Any, somebody: Any, tokens: dict[str, str]
) -> None:
    page = somebody(day).open()
    talk = """(url) => new Promise((resolve, reject) => {
        const socket = new WebSocket(url);
        socket.onopen = () => socket.send('{"n": 1}');
        socket.onmessage = ({ data }) => { socket.close(); resolve(JSON.parse(data)); };
        socket.onclose = ({ reason }) => reject(new Error(reason));
    })"""
    url = f"ws://127.0.0.1:{day.port}/ws?token="
    for _ in range(2):
        assert page.evaluate(talk, url + tokens["good"]) == {"echo": {"n": 1}}
    assert page.evaluate(CLOSE_EVENT, url + tokens["expired"])["reason"] == EXPIRED
    assert "token refused" in day.text
    for token in tokens.values():
        assert token == "nonsense" or token not in day.text


def test_another_sites_page_is_refused(day: Any, brief: Any, somebody: Any, tokens: dict[str, str]) -> None:
    """It cannot even hear why: the handshake fails, which a browser shows as 1006."""
    page = somebody(brief).context.new_page()
    page.route("**/*", lambda route: route.fulfill(body="<title>elsewhere</title>", content_type="text/html"))
    page.goto("http://elsewhere.example/")
    found = page.evaluate(CLOSE_EVENT, f"ws://127.0.0.1:{day.port}/ws?token={tokens['good']}")
    assert (found["code"], found["reason"]) == (1006, "")

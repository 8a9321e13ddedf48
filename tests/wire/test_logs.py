"""After every carrier and every error, with access logs on, no log line holds a secret (SEED S6)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

PASSWORD = "correct horse battery staple"
WRONG = "hunter2-is-not-the-password"


async def use(url: str, *, first: str | None = None, **options: object) -> None:
    """Open a socket, say something, and wait for an answer or an end."""
    # A server may also refuse what is too long for it, each in its own way.
    with contextlib.suppress(WebSocketException, OSError):
        async with connect(url, proxy=None, **options) as socket, asyncio.timeout(10):
            if first is not None:
                await socket.send(first)
            await socket.send('{"n": 1}')
            await socket.recv()


async def every_carrier(served, token: str) -> None:
    bearer = {"Authorization": f"Bearer {token}"}
    # All at once, since some servers never answer a handshake that is too large for them.
    async with asyncio.TaskGroup() as group:
        for path in ("/ws", "/jobs", "/starlette/jobs", "/own-socket"):
            for each in (
                use(f"{served.ws}{path}?token={token}"),
                use(f"{served.ws}{path}?page=1&ticket={token}&x=2"),
                use(served.ws + path, additional_headers=bearer),
                use(served.ws + path, subprotocols=["holdfast.v1", f"holdfast.bearer.{token}"]),
                use(served.ws + path, first=json.dumps({"type": "auth", "token": token})),
                use(f"{served.ws}{path}?token={token}", origin="https://evil.example"),
            ):
                group.create_task(each)
    served.http.get(f"{served.url}/whoami", headers=bearer)
    if served.kind != "daphne":
        # No carrier of ours, and daphne writes the URLs of HTTP requests past all logging (docs/servers.md).
        served.http.get(f"{served.url}/whoami?token={token}")
        served.http.get(f"{served.url}/nowhere?ticket={token}")


@pytest.mark.parametrize(
    "kind",
    ["holdfast serve", "uvicorn", "uvicorn-fastlane", "uvicorn-wsproto", "hypercorn", "granian", "daphne"],
)
async def test_s6_no_log_line_holds_a_token_a_ticket_a_cookie_or_a_password(serve, kind):
    served = serve(kind, HOLDFAST_ROTATION_WINDOW_SECONDS=0)
    signed_in = served.sign_in()
    access, refresh = signed_in["access_token"], signed_in["refresh_token"]
    browser = served.http.post(f"{served.url}/token", data={"username": "ann", "password": PASSWORD})
    cookie = browser.headers["set-cookie"].split(";")[0]
    ticket = served.http.post(
        f"{served.url}/auth/ticket", headers={"Authorization": f"Bearer {access}", "X-Holdfast": "1"}
    ).json()["ticket"]

    bad = [
        served.token(-5, age=30),
        access[:-3] + "AAA",
        "not.a.token",
        base64.urlsafe_b64encode(b"a token over 8 KB" * 552).decode(),
    ]
    await use(f"{served.ws}/ws?ticket={ticket}")
    await use(f"{served.ws}/ws?ticket={ticket}")
    for token in [access, *bad]:
        await every_carrier(served, token)
    await use(f"{served.ws}/broken?token={access}")
    served.http.post(f"{served.url}/token", data={"username": "ann", "password": WRONG})
    query = "" if kind == "daphne" else f"?password={WRONG}"
    served.http.post(f"{served.url}/token{query}", data={"username": WRONG, "password": WRONG})
    served.http.post(
        f"{served.url}/auth/refresh", json={"refresh_token": refresh[:-2] + "xx"}, headers={"X-Holdfast": "1"}
    )
    with_cookie = {"Cookie": cookie, "X-Holdfast": "1"}
    next_cookie = served.http.post(f"{served.url}/auth/refresh", headers=with_cookie).headers["set-cookie"]
    served.http.post(f"{served.url}/auth/refresh", headers={"Cookie": cookie})
    served.http.post(
        f"{served.url}/auth/password",
        json={"old_password": WRONG, "new_password": PASSWORD + "!"},
        headers={"Authorization": f"Bearer {access}", "X-Holdfast": "1"},
    )
    rotated = [served.refresh(refresh).json()["refresh_token"]]
    rotated.append(served.refresh(rotated[0]).json()["refresh_token"])
    assert served.refresh(refresh).json()["code"] == "token_reused"
    assert len({refresh, *rotated}) == 3
    await asyncio.to_thread(served.stop)

    log = served.log()
    assert "token refused" in log, "the log must say why, so this run must have provoked it"
    secrets = {
        "access token": access.split(".")[1],
        "its signature": access.split(".")[2],
        "expired token": bad[0].split(".")[2],
        "refresh token": refresh.split(".")[-1],
        "next refresh token": rotated[0].split(".")[-1],
        "one after it": rotated[1].split(".")[-1],
        "cookie": cookie.split("=", 1)[1].split(".")[-1],
        "next cookie": next_cookie.split(";")[0].split(".")[-1],
        "token over 8 KB": bad[3][4_000:4_040],
        "ticket": ticket,
        "password": WRONG,
        "good password": PASSWORD,
    }
    for what, secret in secrets.items():
        assert secret not in log, f"the log holds the {what}"
    assert served.secrets_logged() == []
    assert "eyJ" not in log


async def test_s6_the_log_says_why_and_the_person_does_not_have_to(serve):
    served = serve()
    await use(f"{served.ws}/ws?token={served.token(60)[:-4]}AAAA")
    await asyncio.to_thread(served.until_logged, "signature")

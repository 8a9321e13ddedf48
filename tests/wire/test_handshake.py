"""What a real client sees when its token is bad, for every carrier, on every server (SEED S3, S4, S5)."""

from __future__ import annotations

import base64
import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

EXPIRED = (4003, "Token expired. Please refresh the page to get a new token.")
INVALID = (4003, "Invalid token. Please refresh the page to get a new token.")

CARRIERS = ["authorization", "subprotocol", "query", "frame", "plain-frame"]
PATHS = ["/ws", "/jobs", "/starlette/jobs"]


def carried(served, path: str, carrier: str, token: str):
    match carrier:
        case "authorization":
            return connect(
                served.ws + path, additional_headers={"Authorization": f"Bearer {token}"}, proxy=None
            )
        case "subprotocol":
            return connect(
                served.ws + path, subprotocols=["holdfast.v1", f"holdfast.bearer.{token}"], proxy=None
            )
        case "query":
            return connect(f"{served.ws}{path}?token={token}", proxy=None)
        case "ticket":
            return connect(f"{served.ws}{path}?ticket={token}", proxy=None)
        case "frame":
            return connect(served.ws + path, subprotocols=["holdfast.v1"], proxy=None)
        case _:
            return connect(served.ws + path, proxy=None)


def told(served, expected: tuple[int, str]) -> tuple[int, str]:
    """What a client is told of an ending: daphne has no way to send a reason (docs/servers.md)."""
    return (expected[0], "") if served.kind == "daphne" else expected


async def ending(served, path: str, carrier: str, token: str) -> tuple[tuple[int, str], list[dict]]:
    frames = []
    async with carried(served, path, carrier, token) as socket:
        if carrier.endswith("frame"):
            await socket.send(json.dumps({"type": "auth", "token": token}))
        try:
            while True:
                frames.append(json.loads(await socket.recv()))
        except ConnectionClosed as closed:
            assert closed.rcvd is not None, "the server vanished without a close frame"
            return (closed.rcvd.code, closed.rcvd.reason), frames


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("carrier", CARRIERS)
async def test_s4_an_expired_token_closes_with_4003_and_the_exact_reason(shared, carrier, path):
    seen, frames = await ending(shared, path, carrier, shared.token(-5, age=60))
    assert seen == told(shared, EXPIRED)
    if carrier in ("subprotocol", "frame"):
        assert frames[-1] == {"type": "bye", "code": 4003, "reason": EXPIRED[1], "action": "refresh"}
    else:
        assert frames == []


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("carrier", CARRIERS)
async def test_s5_any_other_bad_token_closes_with_4003_and_its_own_reason(shared, carrier, path):
    token = shared.token(60)
    seen, frames = await ending(
        shared, path, carrier, token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB")
    )
    assert seen == told(shared, INVALID)
    if carrier in ("subprotocol", "frame"):
        assert frames[-1]["action"] == "relogin"


async def test_s5_a_ticket_that_nobody_issued_is_an_invalid_token(shared):
    seen, _ = await ending(shared, "/ws", "ticket", "nobody-issued-this")
    assert seen == told(shared, INVALID)


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_s3_a_good_token_is_taken_from_every_place(shared, carrier):
    token = shared.token(60)
    async with carried(shared, "/ws", carrier, token) as socket:
        if carrier.endswith("frame"):
            await socket.send(json.dumps({"type": "auth", "token": token}))
        if carrier in ("subprotocol", "frame"):
            assert socket.subprotocol == "holdfast.v1"
            welcome = json.loads(await socket.recv())
            assert welcome["type"] == "welcome"
            assert 55 < welcome["expires_in"] <= 60
        else:
            assert socket.subprotocol is None
        await socket.send('{"n": 1}')
        assert json.loads(await socket.recv()) == {"echo": {"n": 1}}


async def test_s3_a_ticket_is_good_once(shared):
    access = shared.sign_in()["access_token"]
    answer = shared.http.post(
        f"{shared.url}/auth/ticket", headers={"Authorization": f"Bearer {access}", "X-Holdfast": "1"}
    )
    ticket = answer.json()["ticket"]
    async with carried(shared, "/ws", "ticket", ticket) as socket:
        await socket.send('{"n": 1}')
        assert json.loads(await socket.recv()) == {"echo": {"n": 1}}
    seen, _ = await ending(shared, "/ws", "ticket", ticket)
    assert seen == told(shared, INVALID)


async def test_s3_every_connection_is_checked_also_after_a_reconnect(shared):
    token = shared.token(60)
    async with carried(shared, "/ws", "query", token):
        pass
    seen, _ = await ending(shared, "/ws", "query", shared.token(-1, age=30))
    assert seen == told(shared, EXPIRED)


async def test_only_holdfast_v1_is_echoed_never_the_token(shared):
    token = shared.token(60)
    async with carried(shared, "/ws", "subprotocol", token) as socket:
        assert socket.response.headers.get_all("Sec-WebSocket-Protocol") == ["holdfast.v1"]


@pytest.mark.parametrize("path", [*PATHS, "/own-socket"])
async def test_a_page_of_another_site_is_refused_with_403_before_the_accept(shared, path):
    with pytest.raises(InvalidStatus) as refused:
        async with connect(
            f"{shared.ws}{path}?token={shared.token(60)}", origin="https://evil.example", proxy=None
        ):
            pass
    assert refused.value.response.status_code == 403


async def test_a_page_of_the_same_host_is_let_in(shared):
    async with connect(f"{shared.ws}/ws?token={shared.token(60)}", origin=shared.url, proxy=None) as socket:
        await socket.send('{"type": "ping", "id": 1}')
        assert json.loads(await socket.recv()) == {"type": "pong", "id": 1}


async def test_the_cookie_alone_proves_nothing(shared):
    answer = shared.http.post(
        f"{shared.url}/token", data={"username": "ann", "password": "correct horse battery staple"}
    )
    cookie = answer.headers["set-cookie"].split(";")[0]
    async with connect(shared.ws + "/ws", additional_headers={"Cookie": cookie}, proxy=None) as socket:
        await socket.send('{"n": 1}')
        assert json.loads(await socket.recv())["code"] == "auth_required"


def forged(served) -> dict[str, str]:
    header, claims, signature = served.token(60).split(".")

    def b64(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return {
        "no signature": f"{header}.{claims}.",
        "alg none": f"{b64({'alg': 'none', 'typ': 'at+jwt'})}.{claims}.",
        "another header": f"{b64({'alg': 'HS256', 'typ': 'JWT', 'kid': 'x'})}.{claims}.{signature}",
        "two tokens": f"{header}.{claims}.{signature}.{header}.{claims}.{signature}",
        "huge": header + "." + "A" * 20_000 + "." + signature,
        "not a token": "hello",
    }


@pytest.mark.parametrize("kind", ["no signature", "alg none", "another header", "two tokens", "not a token"])
async def test_forged_tokens_are_invalid_and_the_server_goes_on(shared, kind):
    seen, _ = await ending(shared, "/ws", "query", forged(shared)[kind])
    assert seen == told(shared, INVALID)


async def test_a_huge_token_is_refused_and_the_server_goes_on(shared):
    seen, _ = await ending(shared, "/ws", "frame", forged(shared)["huge"])
    assert seen == told(shared, INVALID)
    async with carried(shared, "/ws", "query", shared.token(60)) as socket:
        await socket.send('{"n": 1}')
        await socket.recv()


async def test_hold_user_works_on_http_and_on_a_websocket_of_the_apps_own(shared):
    access = shared.sign_in()["access_token"]
    for path in ("/whoami", "/starlette/whoami"):
        assert shared.http.get(shared.url + path, headers={"Authorization": f"Bearer {access}"}).json() == {
            "user": "ann"
        }
        refused = shared.http.get(shared.url + path, headers={"Authorization": "Bearer nonsense"})
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
    async with connect(f"{shared.ws}/own-socket?token={access}", proxy=None) as socket:
        assert json.loads(await socket.recv()) == {"user": "ann"}
    seen, _ = await ending(shared, "/own-socket", "query", shared.token(-5, age=60))
    assert seen == told(shared, EXPIRED)

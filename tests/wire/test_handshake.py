"""What a real client sees when its token is bad, for every carrier, on every server (SEED S3, S4, S5)."""

from __future__ import annotations

import json
import time

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

EXPIRED = (4003, "Token expired. Please refresh the page to get a new token.")
INVALID = (4003, "Invalid token. Please refresh the page to get a new token.")

PATHS = ["/ws", "/jobs", "/starlette/jobs"]


def query(served, path: str, token: str):
    return connect(f"{served.ws}{path}?token={token}", proxy=None)


async def ending(
    served, path: str, carrier: str, token: str, *, ticket: str | None = None
) -> tuple[tuple[int, str], list[dict]]:
    """Code and reason of the close frame, and what came before it."""
    frames = []
    async with served.carried(carrier, path, token, ticket=ticket) as socket:
        try:
            while True:
                frames.append(json.loads(await socket.recv()))
        except ConnectionClosed as closed:
            assert closed.rcvd is not None, "the server vanished without a close frame"
            return (closed.rcvd.code, closed.rcvd.reason), frames


@pytest.fixture(scope="module")
def run_out(shared) -> list[str]:
    """Tickets whose time, and that of their access token, is over."""
    token = shared.token(1.5)
    tickets = [shared.ticket(token) for _ in range(2 * len(PATHS))]
    time.sleep(1.6)  # the server's clock cannot be moved; for all of them at once
    return tickets


@pytest.mark.parametrize("path", PATHS)
async def test_s4_an_expired_token_closes_with_4003_and_the_exact_reason(shared, carrier, path, run_out):
    ticket = run_out.pop() if carrier.endswith("ticket") else None
    seen, frames = await ending(shared, path, carrier, shared.token(-5, age=60), ticket=ticket)
    assert seen == shared.told(*EXPIRED)
    bye = {"type": "bye", "code": 4003, "reason": EXPIRED[1], "action": "refresh"}
    assert frames == ([] if carrier.startswith("plain") else [bye])


@pytest.mark.parametrize("path", PATHS)
async def test_s5_any_other_bad_token_closes_with_4003_and_its_own_reason(shared, carrier, path):
    token = shared.token(60)
    forged = token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB")
    seen, frames = await ending(shared, path, carrier, forged, ticket="nobody-issued-this")
    assert seen == shared.told(*INVALID)
    bye = {"type": "bye", "code": 4003, "reason": INVALID[1], "action": "relogin"}
    assert frames == ([] if carrier.startswith("plain") else [bye])


async def test_s3_a_good_token_is_taken_from_every_place(shared, carrier):
    async with shared.carried(carrier, "/ws", shared.token(60)) as socket:
        if carrier.startswith("plain"):
            assert socket.subprotocol is None
        else:
            assert socket.subprotocol == "holdfast.v1"
            welcome = json.loads(await socket.recv())
            assert welcome["type"] == "welcome"
            assert 55 < welcome["expires_in"] <= 60
        await socket.send('{"n": 1}')
        assert json.loads(await socket.recv()) == {"echo": {"n": 1}}


async def test_s3_a_ticket_is_good_once(shared):
    access = shared.sign_in()["access_token"]
    ticket = shared.ticket(access)
    async with shared.carried("plain ticket", "/ws", access, ticket=ticket) as socket:
        await socket.send('{"n": 1}')
        assert json.loads(await socket.recv()) == {"echo": {"n": 1}}
    seen, _ = await ending(shared, "/ws", "ticket", access, ticket=ticket)
    assert seen == shared.told(*INVALID)


async def test_s3_every_connection_is_checked_also_after_a_reconnect(shared):
    token = shared.token(60)
    async with query(shared, "/ws", token):
        pass
    seen, _ = await ending(shared, "/ws", "query", shared.token(-1, age=30))
    assert seen == shared.told(*EXPIRED)


async def test_only_holdfast_v1_is_echoed_never_the_token(shared):
    token = shared.token(60)
    async with shared.carried("subprotocol", "/ws", token) as socket:
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
    assert seen == shared.told(*EXPIRED)


@pytest.mark.parametrize("by", ["plain query", "plain ticket", "plain authorization"])
async def test_hold_user_and_hold_live_on_one_endpoint_share_one_proof(shared, by):
    """A token in the URL is hidden once it was read, and a ticket is good once: the second must not look again."""
    token = shared.sign_in()["access_token"]
    async with shared.carried(by, "/asked-twice", token) as socket:
        assert json.loads(await socket.recv()) == {"user": "ann"}

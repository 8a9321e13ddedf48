"""A connection through its tokens: renewals, grace, strictness, revocation (SEED S9, S11)."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

EXPIRED = "Token expired. Please refresh the page to get a new token."
DEADLINE = 20.0


def plain(served, token: str, path: str = "/ws"):
    return connect(f"{served.ws}{path}?token={token}", proxy=None)


def speaking(served, token: str, path: str = "/ws"):
    bearer = {"Authorization": f"Bearer {token}"}
    return connect(served.ws + path, subprotocols=["holdfast.v1"], additional_headers=bearer, proxy=None)


async def frame(socket: ClientConnection, kind: str) -> dict:
    """The next frame of a kind, whatever comes before it."""
    async with asyncio.timeout(DEADLINE):
        while True:
            found = json.loads(await socket.recv())
            if found.get("type") == kind or kind in found:
                return found


async def closing(socket: ClientConnection) -> tuple[int, str]:
    try:
        async with asyncio.timeout(DEADLINE):
            while True:
                await socket.recv()
    except ConnectionClosed as closed:
        assert closed.rcvd is not None, "no close frame came"
        return closed.rcvd.code, closed.rcvd.reason


async def echo(socket: ClientConnection, number: int) -> None:
    await socket.send(json.dumps({"n": number}))
    while (answer := await frame(socket, "echo"))["echo"]["n"] != number:
        assert answer["echo"]["n"] < number


async def test_s9_s11_a_plain_socket_outlives_many_tokens_of_its_session(serve):
    """The seed's own `new WebSocket("/ws?token=…")`, unchanged: five lifetimes of 2 s, refreshed over HTTP."""
    served = serve(
        ACCESS_TOKEN_EXPIRE_MINUTES=2 / 60, HOLDFAST_ROTATION_WINDOW_SECONDS=0, HOLDFAST_LIVE_GRACE_SECONDS=0
    )
    tokens = served.sign_in()
    started = time.monotonic()
    async with plain(served, tokens["access_token"], "/jobs") as socket:
        number = 0
        while time.monotonic() - started < 5 * served.lifetime:
            await echo(socket, number)
            number += 1
            await asyncio.sleep(0.02)  # a steady pace, well under the limit of frames per second
            if number % 10 == 0:
                tokens |= (await asyncio.to_thread(served.refresh, tokens["refresh_token"])).json()
    assert number > 10


async def test_s9_a_plain_socket_is_renewed_by_a_refresh_on_another_node(serve, tmp_path):
    settings = {
        "HOLDFAST_DATABASE_URL": f"sqlite:///{tmp_path / 'shared.db'}",
        "ACCESS_TOKEN_EXPIRE_MINUTES": 4 / 60,
        "HOLDFAST_LIVE_GRACE_SECONDS": 0,
    }
    here, there = serve(**settings), serve(**settings)
    tokens = here.sign_in()
    started = time.monotonic()
    async with plain(here, tokens["access_token"]) as socket:
        while time.monotonic() - started < 2.5 * here.lifetime:
            tokens |= (await asyncio.to_thread(there.refresh, tokens["refresh_token"])).json()
            await socket.send('{"n": 1}')
            await frame(socket, "echo")
            await asyncio.sleep(0.5)  # a steady pace, several refreshes to a lifetime


async def test_s9_a_socket_that_speaks_holdfast_v1_renews_in_band(serve):
    served = serve(ACCESS_TOKEN_EXPIRE_MINUTES=2 / 60, HOLDFAST_LIVE_GRACE_SECONDS=0)
    async with speaking(served, served.token(2.5), "/jobs") as socket:
        welcome = await frame(socket, "welcome")
        assert welcome["refresh_in"] < welcome["expires_in"] <= 2.5
        for request in range(4):
            due = await frame(socket, "auth.due")
            assert due["expires_in"] < 2.5
            await socket.send(json.dumps({"type": "auth", "id": request, "token": served.token(2.5)}))
            answer = await frame(socket, "auth.ok")
            assert answer["id"] == request
            assert answer["expires_in"] > due["expires_in"]
        await echo(socket, 1)


async def test_a_stolen_tokens_socket_that_speaks_v1_is_not_renewed_by_the_victims_refresh(serve):
    served = serve(
        ACCESS_TOKEN_EXPIRE_MINUTES=3 / 60, HOLDFAST_ROTATION_WINDOW_SECONDS=0, HOLDFAST_LIVE_GRACE_SECONDS=0
    )
    tokens = served.sign_in()
    async with speaking(served, tokens["access_token"]) as thief:
        await frame(thief, "welcome")
        await asyncio.to_thread(served.refresh, tokens["refresh_token"])
        assert await closing(thief) == (4003, EXPIRED)


@pytest.mark.parametrize("open_with", [plain, speaking])
async def test_strict_ends_within_a_second_of_exp_and_takes_nothing_after_it(serve, open_with):
    served = serve(HOLDFAST_LIVE_GRACE_SECONDS=0)
    token = served.token(2.0)
    expires = int(time.time() + 2.0) + 1  # no later than this: exp is in whole seconds
    accepted: dict[int, float] = {}
    sent: dict[int, float] = {}
    async with open_with(served, token, "/jobs") as socket:

        async def chatter() -> None:
            for number in range(10_000):
                sent[number] = time.time()
                await socket.send(json.dumps({"n": number}))
                await asyncio.sleep(0.02)  # a steady stream, so that one message is sent as the token expires

        sending = asyncio.ensure_future(chatter())
        try:
            while True:
                message = json.loads(await socket.recv())
                if "echo" in message:
                    accepted[message["echo"]["n"]] = sent[message["echo"]["n"]]
        except ConnectionClosed as closed:
            ended = time.time()
            assert (closed.rcvd.code, closed.rcvd.reason) == (4003, EXPIRED)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    assert accepted
    assert max(accepted.values()) < expires
    assert ended - expires < 1.0


async def test_in_grace_a_connection_receives_but_what_it_sends_is_refused_until_it_heals(serve):
    served = serve(HOLDFAST_LIVE_GRACE_SECONDS=20)
    async with speaking(served, served.token(1.2), "/deaf") as socket:
        grace = await frame(socket, "auth.grace")
        assert 18 < grace["grace_left"] <= 20
        await frame(socket, "number")
        await socket.send(json.dumps({"id": "m1", "n": 1}))
        refused = await frame(socket, "error")
        assert (refused["code"], refused["id"]) == ("auth_required", "m1")
        await socket.send(json.dumps({"type": "auth", "id": 2, "token": served.token(60)}))
        assert (await frame(socket, "auth.ok"))["id"] == 2
        await frame(socket, "number")


async def test_a_grace_that_nobody_heals_ends_with_4003_and_its_reason(serve):
    served = serve(HOLDFAST_LIVE_GRACE_SECONDS=1)
    async with speaking(served, served.token(1.2)) as socket:
        bye = await frame(socket, "bye")
        assert (bye["code"], bye["reason"], bye["action"]) == (4003, EXPIRED, "refresh")
        assert await closing(socket) == (4003, EXPIRED)


async def test_a_bad_token_in_band_disturbs_nothing(serve):
    served = serve()
    async with speaking(served, served.token(60), "/jobs") as socket:
        await socket.send(json.dumps({"type": "auth", "id": 9, "token": "nonsense"}))
        refused = await frame(socket, "error")
        assert (refused["code"], refused["id"]) == ("invalid_token", 9)
        await socket.send(json.dumps({"type": "auth", "id": 10, "token": served.token(-5, age=30)}))
        assert (await frame(socket, "error"))["code"] == "token_expired"
        await echo(socket, 1)


async def test_signing_in_again_in_place_goes_on_and_as_somebody_else_does_not(serve):
    served = serve()
    async with speaking(served, served.token(60, session="a" * 32), "/jobs") as socket:
        await socket.send(json.dumps({"type": "auth", "id": 1, "token": served.token(60, session="b" * 32)}))
        await frame(socket, "auth.ok")
        await echo(socket, 1)
        await socket.send(json.dumps({"type": "auth", "id": 2, "token": served.token(60, user="else")}))
        assert (await frame(socket, "bye"))["action"] == "reconnect"
        assert await closing(socket) == (4001, "Session ended: signed in as somebody else.")


async def test_logging_out_closes_every_connection_of_the_session_and_no_other(serve):
    served = serve()
    mine, other = served.sign_in("ann"), served.sign_in("ann")
    async with (
        plain(served, mine["access_token"]) as one,
        speaking(served, mine["access_token"], "/deaf") as two,
        plain(served, other["access_token"]) as untouched,
    ):
        await frame(two, "number")
        answer = await asyncio.to_thread(
            served.http.post,
            f"{served.url}/auth/logout",
            headers={"Authorization": f"Bearer {mine['access_token']}", "X-Holdfast": "1"},
        )
        assert answer.is_success
        assert await closing(one) == (4001, "Session ended: signed out.")
        assert await closing(two) == (4001, "Session ended: signed out.")
        await echo(untouched, 1)
    async with plain(served, mine["access_token"]) as again:
        assert await closing(again) == (4001, "Session ended: signed out.")


async def test_a_reused_refresh_token_closes_the_connections_of_its_session(serve):
    served = serve(HOLDFAST_ROTATION_WINDOW_SECONDS=0)
    tokens = served.sign_in()
    first = tokens["refresh_token"]
    for _ in range(2):
        tokens = (await asyncio.to_thread(served.refresh, tokens["refresh_token"])).json()
    async with plain(served, tokens["access_token"]) as socket:
        await echo(socket, 1)
        reused = await asyncio.to_thread(served.refresh, first)
        assert (reused.status_code, reused.json()["code"]) == (401, "token_reused")
        code, reason = await closing(socket)
        assert code == 4001
        assert reason.startswith("Session ended: revoked")


async def test_an_app_may_revoke_from_inside_a_handler_and_say_why(serve):
    served = serve()
    tokens = served.sign_in()
    async with plain(served, tokens["access_token"], "/ends-under") as socket:
        assert await closing(socket) == (4001, "Session ended: revoked (banned).")
    assert "Traceback" not in served.log()


async def test_a_handler_that_fails_closes_with_1011_and_is_logged(serve):
    served = serve()
    async with speaking(served, served.token(60), "/broken") as socket:
        assert (await closing(socket))[0] == 1011
    await asyncio.to_thread(served.until_logged, "the handler failed on purpose")


async def test_a_handler_that_never_reads_is_renewed_all_the_same(serve):
    served = serve(HOLDFAST_LIVE_GRACE_SECONDS=0)
    async with speaking(served, served.token(2.0), "/deaf") as socket:
        await frame(socket, "auth.due")
        for number in range(50):
            await socket.send(json.dumps({"n": number}))
        await socket.send(json.dumps({"type": "auth", "id": 1, "token": served.token(60)}))
        assert (await frame(socket, "auth.ok"))["id"] == 1


async def test_no_token_within_the_time_allowed_closes_with_4010(serve):
    served = serve(HOLDFAST_PROOF_TIMEOUT_SECONDS=0.5)
    async with connect(f"{served.ws}/ws", subprotocols=["holdfast.v1"], proxy=None) as socket:
        assert (await frame(socket, "bye"))["code"] == 4010
        assert (await closing(socket))[0] == 4010


async def test_a_dead_peer_is_dropped_after_two_unanswered_pings(serve):
    served = serve(HOLDFAST_PING_INTERVAL_SECONDS=0.3)
    async with speaking(served, served.token(60)) as socket:
        await frame(socket, "welcome")
        await frame(socket, "ping")
        assert (await frame(socket, "bye"))["reason"] == "No answer to two pings."


async def test_the_limit_of_connections_per_user_is_told_and_counts_only_live_ones(serve):
    served = serve(HOLDFAST_MAX_CONNECTIONS_PER_USER=2)
    async with speaking(served, served.token(60)) as one, speaking(served, served.token(60)) as two:
        await frame(one, "welcome")
        await frame(two, "welcome")
        async with speaking(served, served.token(60)) as three:
            bye = await frame(three, "bye")
            assert (bye["code"], bye["action"]) == (4009, "reconnect")
            assert bye["retry_after_ms"] > 0
        async with speaking(served, served.token(60, user="another")) as theirs:
            await frame(theirs, "welcome")
        await one.close()
        async with asyncio.timeout(DEADLINE):
            while True:
                async with speaking(served, served.token(60)) as three:
                    if json.loads(await three.recv())["type"] == "welcome":
                        break


async def test_too_many_frames_per_second_close_with_4009(serve):
    served = serve(HOLDFAST_MAX_FRAMES_PER_SECOND=10)
    async with speaking(served, served.token(60)) as socket:
        for number in range(50):
            await socket.send(json.dumps({"n": number}))
        assert (await frame(socket, "bye"))["code"] == 4009


async def test_handshake_http_answers_401_with_json_before_the_accept(serve):
    served = serve(HOLDFAST_HANDSHAKE="http")
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    for path in ("/ws", "/jobs", "/starlette/jobs"):
        answer = await asyncio.to_thread(
            served.http.get, f"{served.url}{path}?token={served.token(-5, age=30)}", headers=headers
        )
        assert answer.status_code == 401
        assert answer.json() == {"code": "token_expired", "message": EXPIRED}
    async with plain(served, served.token(60)) as socket:
        await echo(socket, 1)


@pytest.mark.parametrize("kind", ["uvicorn-process", "uvicorn-wsproto"])
async def test_sigterm_sends_everybody_away_with_a_slot_of_their_own(serve, kind):
    served = serve(kind, HOLDFAST_DRAIN_SECONDS=8)
    sockets = [await speaking(served, served.token(60)) for _ in range(8)]
    for socket in sockets:
        await frame(socket, "welcome")
    stopping = asyncio.ensure_future(asyncio.to_thread(served.stop))
    slots = []
    for socket in sockets:
        bye = await frame(socket, "bye")
        assert (bye["code"], bye["action"]) == (1012, "reconnect")
        slots.append(bye["retry_after_ms"])
        assert (await closing(socket))[0] == 1012
    await stopping
    assert [slot // 1000 for slot in sorted(slots)] == list(range(8))

"""A connection through its tokens: renewals, grace, strictness, revocation (SEED S4, S5, S9, S11), on every server."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

EXPIRED = "Token expired. Please refresh the page to get a new token."
INVALID = "Invalid token. Please refresh the page to get a new token."
DEADLINE = 20.0
LIFETIMES = 3
STALLED = 0.3
ATTEMPTS = 3


def plain(served, token: str, path: str = "/ws"):
    return connect(f"{served.ws}{path}?token={token}", proxy=None)


def speaking(served, token: str, path: str = "/ws"):
    bearer = {"Authorization": f"Bearer {token}"}
    return connect(served.ws + path, subprotocols=["holdfast.v1"], additional_headers=bearer, proxy=None)


def expiry(token: str) -> int:
    """The `exp` that is in a token, in whole seconds."""
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"]


@contextlib.asynccontextmanager
async def stalls() -> AsyncIterator[list[float]]:
    """How long this process was kept from running at worst: then nobody can tell how late a server was."""
    worst = [0.0]

    async def feel() -> None:
        while True:
            asked = time.monotonic()
            await asyncio.sleep(0.01)
            worst[0] = max(worst[0], time.monotonic() - asked)

    feeling = asyncio.ensure_future(feel())
    yield worst
    feeling.cancel()
    await asyncio.gather(feeling, return_exceptions=True)


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


async def test_s9_s11_a_plain_socket_outlives_many_tokens_of_its_session(strict):
    """The seed's own `new WebSocket("/ws?token=…")`, unchanged: its session is refreshed over HTTP."""

    async def scenario(served) -> None:
        tokens = await asyncio.to_thread(served.sign_in)
        number = 0
        async with plain(served, tokens["access_token"], "/jobs") as socket:
            ends = expiry(tokens["access_token"]) + (LIFETIMES - 1) * served.lifetime
            while time.time() < ends:
                for _ in range(3):
                    await echo(socket, number)
                    number += 1
                tokens |= (await asyncio.to_thread(served.refresh, tokens["refresh_token"])).json()
                await asyncio.sleep(served.lifetime / 8)  # a steady pace, several refreshes to a lifetime
            await echo(socket, number)
        assert number > 3 * LIFETIMES

    await strict.play(scenario)


async def test_s9_a_socket_that_speaks_holdfast_v1_renews_in_band(strict):
    async def scenario(served) -> None:
        async with speaking(served, served.token(5), "/jobs") as socket:
            welcome = await frame(socket, "welcome")
            assert welcome["refresh_in"] < welcome["expires_in"] <= 5
            began = time.monotonic()
            for request in range(2 * LIFETIMES):
                due = await frame(socket, "auth.due")
                assert 0 < due["expires_in"] < 5
                await echo(socket, 2 * request)
                await socket.send(json.dumps({"type": "auth", "id": request, "token": served.token(5)}))
                answer = await frame(socket, "auth.ok")
                assert answer["id"] == request
                assert due["expires_in"] < answer["expires_in"] <= 5
                await echo(socket, 2 * request + 1)
            assert time.monotonic() - began > 2 * 5, "that was not many lifetimes"

    await strict.play(scenario)


async def test_s4_s5_at_the_end_of_a_lease_every_carrier_is_told_the_exact_reason(strict, carriers):
    """A renewal with a bad token on the way is told the reason of S5, and changes nothing of the end."""

    async def one(served, carrier: str, path: str) -> tuple[str, tuple[int, str], list[dict]]:
        token = served.token(5, user=carrier)
        refused, byes = "", []
        async with served.carried(carrier, path, token) as socket:
            await socket.send('{"n": 1}')
            await frame(socket, "echo")
            await socket.send(json.dumps({"type": "auth", "token": token[:-4] + "AAAA"}))
            try:
                async with asyncio.timeout(DEADLINE):
                    while True:
                        found = json.loads(await socket.recv())
                        if found["type"] == "error":
                            assert found["code"] == "invalid_token"
                            refused = found["message"]
                        if found["type"] == "bye":
                            byes.append(found)
            except ConnectionClosed as closed:
                assert closed.rcvd is not None, "no close frame came"
                assert time.time() >= expiry(token)
                return refused, (closed.rcvd.code, closed.rcvd.reason), byes

    async def scenario(served) -> None:
        wanted = [
            *((carrier, "/ws") for carrier in carriers),
            ("query", "/jobs"),
            ("query", "/starlette/jobs"),
        ]
        found = await asyncio.gather(*(one(served, *each) for each in wanted))
        bye = {"type": "bye", "code": 4003, "reason": EXPIRED, "action": "refresh"}
        assert dict(zip(wanted, found, strict=True)) == {
            (carrier, path): (
                INVALID,
                served.told(4003, EXPIRED),
                [] if carrier.startswith("plain") else [bye],
            )
            for carrier, path in wanted
        }

    await strict.play(scenario)


@pytest.mark.parametrize("open_with", [plain, speaking])
async def test_strict_ends_within_a_second_of_exp_and_takes_nothing_after_it(strict, open_with):
    async def scenario(served) -> None:
        token = served.token(4)
        exp = expiry(token)
        accepted: list[float] = []
        sent: list[float] = []
        async with open_with(served, token, "/jobs") as socket:

            async def chatter() -> None:
                while True:
                    sent.append(time.time())
                    await socket.send(json.dumps({"n": len(sent) - 1}))
                    await asyncio.sleep(
                        0.02
                    )  # a steady stream, so that one message is sent as the token expires

            sending = asyncio.ensure_future(chatter())
            try:
                while True:
                    message = json.loads(await socket.recv())
                    if "echo" in message:
                        accepted.append(sent[message["echo"]["n"]])
            except ConnectionClosed as closed:
                ended = time.time()
                assert closed.rcvd is not None, "no close frame came"
                assert (closed.rcvd.code, closed.rcvd.reason) == served.told(4003, EXPIRED)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        assert accepted
        assert max(accepted) < exp, "what was sent after exp was accepted"
        assert ended >= exp
        seconds[served.kind] = ended - exp

    for _ in range(ATTEMPTS):
        seconds: dict[str, float] = {}
        async with stalls() as worst:
            await strict.play(scenario)
        if max(seconds.values()) < 1 or worst[0] < STALLED:
            break
    assert max(seconds.values()) < 1, f"seconds after exp: {seconds}"


async def test_in_a_grace_nothing_that_was_sent_after_exp_is_accepted(tight):
    """The connection is still there for a second, so that there is something to refuse."""

    async def scenario(served) -> None:
        token = served.token(1.5)
        exp = expiry(token)
        sent: list[float] = []
        taken, refused = [], []
        async with plain(served, token) as socket:

            async def chatter() -> None:
                while True:
                    sent.append(time.time())
                    await socket.send(json.dumps({"id": len(sent) - 1}))
                    await asyncio.sleep(0.15)  # under the limit of frames per second

            sending = asyncio.ensure_future(chatter())
            with contextlib.suppress(ConnectionClosed):
                while True:
                    message = json.loads(await socket.recv())
                    if "echo" in message:
                        taken.append(sent[message["echo"]["id"]])
                    else:
                        assert message["code"] == "auth_required"
                        refused.append(sent[message["id"]])
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        assert taken
        assert max(taken) < exp
        assert len([at for at in sent if exp < at < exp + 0.8]) <= len(refused)
        assert max(refused) > exp

    await tight.play(scenario)


async def test_s9_a_plain_socket_is_renewed_by_a_refresh_on_another_node(serve, tmp_path):
    settings = {
        "HOLDFAST_DATABASE_URL": f"sqlite:///{tmp_path / 'shared.db'}",
        "ACCESS_TOKEN_EXPIRE_MINUTES": 5 / 60,
        "HOLDFAST_LIVE_GRACE_SECONDS": 0,
    }
    here, there = serve(**settings), serve(**settings)
    tokens = here.sign_in()
    started = time.monotonic()
    async with plain(here, tokens["access_token"]) as socket:
        while time.monotonic() - started < 2.2 * here.lifetime:
            tokens |= (await asyncio.to_thread(there.refresh, tokens["refresh_token"])).json()
            await socket.send('{"n": 1}')
            await frame(socket, "echo")
            await asyncio.sleep(0.5)  # a steady pace, several refreshes to a lifetime


async def test_a_stolen_tokens_socket_that_speaks_v1_is_not_renewed_by_the_victims_refresh(strict):
    async def scenario(served) -> None:
        tokens = await asyncio.to_thread(served.sign_in)
        async with speaking(served, tokens["access_token"]) as thief:
            await frame(thief, "welcome")
            await asyncio.to_thread(served.refresh, tokens["refresh_token"])
            assert await closing(thief) == served.told(4003, EXPIRED)

    await strict.play(scenario)


async def test_a_handler_that_never_reads_is_renewed_all_the_same(strict):
    async def scenario(served) -> None:
        async with speaking(served, served.token(5), "/deaf") as socket:
            await frame(socket, "auth.due")
            for number in range(50):
                await socket.send(json.dumps({"n": number}))
            await socket.send(json.dumps({"type": "auth", "id": 1, "token": served.token(60)}))
            assert (await frame(socket, "auth.ok"))["id"] == 1

    await strict.play(scenario)


async def test_in_grace_a_connection_receives_but_what_it_sends_is_refused_until_it_heals(shared):
    async with speaking(shared, shared.token(1.2), "/deaf") as socket:
        grace = await frame(socket, "auth.grace")
        assert 28 < grace["grace_left"] <= 30
        await frame(socket, "number")
        await socket.send(json.dumps({"id": "m1", "n": 1}))
        refused = await frame(socket, "error")
        assert (refused["code"], refused["id"]) == ("auth_required", "m1")
        await socket.send(json.dumps({"type": "auth", "id": 2, "token": shared.token(60)}))
        assert (await frame(socket, "auth.ok"))["id"] == 2
        await frame(socket, "number")


async def test_a_grace_that_nobody_heals_ends_with_4003_and_its_reason(tight):
    async def scenario(served) -> None:
        async with speaking(served, served.token(1.2)) as socket:
            while (found := json.loads(await socket.recv()))["type"] != "bye":
                if found["type"] == "ping":
                    await socket.send('{"type": "pong"}')
            assert (found["code"], found["reason"], found["action"]) == (4003, EXPIRED, "refresh")
            assert await closing(socket) == served.told(4003, EXPIRED)

    await tight.play(scenario)


async def test_a_bad_token_in_band_disturbs_nothing(shared):
    async with speaking(shared, shared.token(60), "/jobs") as socket:
        await socket.send(json.dumps({"type": "auth", "id": 9, "token": "nonsense"}))
        refused = await frame(socket, "error")
        assert (refused["code"], refused["id"], refused["message"]) == ("invalid_token", 9, INVALID)
        await socket.send(json.dumps({"type": "auth", "id": 10, "token": shared.token(-5, age=30)}))
        refused = await frame(socket, "error")
        assert (refused["code"], refused["id"], refused["message"]) == ("token_expired", 10, EXPIRED)
        await echo(socket, 1)


async def test_signing_in_again_in_place_goes_on_and_as_somebody_else_does_not(shared):
    async with speaking(shared, shared.token(60, session="a" * 32), "/jobs") as socket:
        await socket.send(json.dumps({"type": "auth", "id": 1, "token": shared.token(60, session="b" * 32)}))
        await frame(socket, "auth.ok")
        await echo(socket, 1)
        await socket.send(json.dumps({"type": "auth", "id": 2, "token": shared.token(60, user="else")}))
        assert (await frame(socket, "bye"))["action"] == "reconnect"
        assert await closing(socket) == shared.told(4001, "Session ended: signed in as somebody else.")


async def test_logging_out_closes_every_connection_of_the_session_and_no_other(shared):
    mine, other = shared.sign_in("ann"), shared.sign_in("ann")
    async with (
        plain(shared, mine["access_token"]) as one,
        speaking(shared, mine["access_token"], "/deaf") as two,
        plain(shared, other["access_token"]) as untouched,
    ):
        await frame(two, "number")
        answer = await asyncio.to_thread(
            shared.http.post,
            f"{shared.url}/auth/logout",
            headers={"Authorization": f"Bearer {mine['access_token']}", "X-Holdfast": "1"},
        )
        assert answer.is_success
        assert await closing(one) == shared.told(4001, "Session ended: signed out.")
        assert await closing(two) == shared.told(4001, "Session ended: signed out.")
        await echo(untouched, 1)
    async with plain(shared, mine["access_token"]) as again:
        assert await closing(again) == shared.told(4001, "Session ended: signed out.")


async def test_a_reused_refresh_token_closes_the_connections_of_its_session(strict):
    async def scenario(served) -> None:
        tokens = await asyncio.to_thread(served.sign_in)
        first = tokens["refresh_token"]
        for _ in range(2):
            tokens = (await asyncio.to_thread(served.refresh, tokens["refresh_token"])).json()
        async with plain(served, tokens["access_token"]) as socket:
            await echo(socket, 1)
            reused = await asyncio.to_thread(served.refresh, first)
            assert (reused.status_code, reused.json()["code"]) == (401, "token_reused")
            code, reason = await closing(socket)
            assert code == 4001
            assert reason == served.told(4001, "Session ended: revoked (used from two places).")[1]

    await strict.play(scenario)


async def test_an_app_may_revoke_from_inside_a_handler_and_say_why(shared):
    tokens = shared.sign_in()
    async with plain(shared, tokens["access_token"], "/ends-under") as socket:
        assert await closing(socket) == shared.told(4001, "Session ended: revoked (banned).")
    assert "ConnectionEnded" not in shared.log()


async def test_a_handler_that_fails_closes_with_1011_and_is_logged(shared):
    async with speaking(shared, shared.token(60), "/broken") as socket:
        assert (await closing(socket))[0] == 1011
    await asyncio.to_thread(shared.until_logged, "the handler failed on purpose")


async def test_no_token_within_the_time_allowed_closes_with_4010(tight):
    async def scenario(served) -> None:
        async with connect(f"{served.ws}/ws", subprotocols=["holdfast.v1"], proxy=None) as socket:
            assert (await frame(socket, "bye"))["code"] == 4010
            assert (await closing(socket))[0] == 4010

    await tight.play(scenario)


async def test_a_dead_peer_is_dropped_after_two_unanswered_pings(tight):
    async def scenario(served) -> None:
        async with speaking(served, served.token(60)) as socket:
            await frame(socket, "welcome")
            await frame(socket, "ping")
            assert (await frame(socket, "bye"))["reason"] == "No answer to two pings."

    await tight.play(scenario)


async def test_the_limit_of_connections_per_user_is_told_and_counts_only_live_ones(tight):
    async def scenario(served) -> None:
        token = served.token(60, user="crowd")
        async with plain(served, token) as one, plain(served, token) as two:
            await echo(one, 1)
            await echo(two, 1)
            async with speaking(served, token) as three:
                bye = await frame(three, "bye")
                assert (bye["code"], bye["action"]) == (4009, "reconnect")
                assert bye["retry_after_ms"] > 0
            async with speaking(served, served.token(60, user="another")) as theirs:
                await frame(theirs, "welcome")
            await one.close()
            async with asyncio.timeout(DEADLINE):
                while True:
                    async with speaking(served, token) as three:
                        if json.loads(await three.recv())["type"] == "welcome":
                            break

    await tight.play(scenario)


async def test_too_many_frames_per_second_close_with_4009(tight):
    async def scenario(served) -> None:
        async with speaking(served, served.token(60, user="chatterbox")) as socket:
            for number in range(50):
                await socket.send(json.dumps({"n": number}))
            assert (await frame(socket, "bye"))["code"] == 4009
            async with asyncio.timeout(DEADLINE):
                while socket.protocol.close_rcvd is None:  # noqa: ASYNC110  # the library has no event for it
                    await asyncio.sleep(0.01)
            assert socket.protocol.close_rcvd.code == 4009
            socket.transport.abort()  # hypercorn keeps the TCP connection while more waits (docs/servers.md)

    await tight.play(scenario)


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


@pytest.mark.parametrize("kind", ["uvicorn-process", "uvicorn-fastlane", "uvicorn-wsproto"])
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

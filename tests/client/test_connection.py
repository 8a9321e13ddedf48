from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import ConnectionClosedError

from holdfast.client import ClientError, LiveState, Session
from holdfast.errors import MisuseError, ReservedFrameError, Unavailable
from holdfast.protocol.endings import Action

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from holdfast.client import LiveConnection

    Eventually = Callable[[Callable[[], bool]], Awaitable[None]]

EXPIRED = "Token expired. Please refresh the page to get a new token."
INVALID = "Invalid token. Please refresh the page to get a new token."


async def entered(server: Any, session: Session, **options: Any) -> tuple[LiveConnection, Any]:
    """A ready connection and the server's end of it; the session closes it."""
    live = session.connect("/ws", **options)
    opening = asyncio.ensure_future(live.__aenter__())
    line = await (await server.socket()).welcome()
    return await opening, line


async def test_it_speaks_the_protocol_and_carries_the_token_in_a_header(
    server: Any, signed_in: Session
) -> None:
    async with asyncio.timeout(10):
        live, line = await entered(server, signed_in)
    handshake = server.handshakes[0]
    assert handshake.headers["Sec-WebSocket-Protocol"] == "holdfast.v1"
    assert line.token == "access-1"
    assert handshake.path == "/ws"
    assert live.welcome is not None
    assert live.welcome.user == "u1"
    assert live.state is LiveState.READY


async def test_a_block_opens_it_and_closes_it(server: Any, signed_in: Session) -> None:
    async def greet() -> Any:
        return await (await server.socket()).welcome()

    greeting = asyncio.ensure_future(greet())
    async with signed_in.connect("/ws") as live:
        line = await greeting
        assert live.state is LiveState.READY
    assert await line.closed() == 1000


async def test_messages_go_both_ways(server: Any, signed_in: Session) -> None:
    live, line = await entered(server, signed_in)
    await live.send({"hello": "мир"})
    assert await line.hear() == {"hello": "мир"}
    await line.send([1, None])
    await line.send({"type": "chat", "n": 2})
    await line.send({"type": "event", "channel": "x"})
    await line.send("three")
    assert [await anext(live) for _ in range(3)] == [[1, None], {"type": "chat", "n": 2}, "three"]


async def test_open_is_not_ready(server: Any, signed_in: Session, eventually: Eventually) -> None:
    live = signed_in.connect("/ws")
    opening = asyncio.ensure_future(live.__aenter__())
    line = await server.socket()
    await eventually(lambda: live.state is LiveState.PROVING)
    with pytest.raises(Unavailable, match="nothing was sent"):
        await live.send({"too": "early"}, timeout=0.02)
    await line.welcome()
    await opening
    await live.send({"in": "time"})
    assert await line.hear() == {"in": "time"}


async def test_the_app_closes_it(server: Any, signed_in: Session) -> None:
    live, line = await entered(server, signed_in)
    await live.close()
    assert await line.closed() == 1000
    assert [message async for message in live] == []
    with pytest.raises(ClientError) as raised:
        await live.send({"too": "late"})
    assert raised.value.action is Action.STOP


async def test_leaving_the_session_closes_its_connections(server: Any, clocks: Any, open_socket: Any) -> None:
    async with Session(server.url, clocks=clocks, open_socket=open_socket) as session:
        await session.sign_in("ann", "correct horse")
        _, line = await entered(server, session)
    assert await line.closed() == 1000


async def test_a_ping_is_answered(server: Any, signed_in: Session) -> None:
    _, line = await entered(server, signed_in)
    await line.send({"type": "ping"})
    assert await line.hear() == {"type": "pong"}
    await line.send({"type": "ping", "id": 7})
    assert await line.hear() == {"type": "pong", "id": 7}


async def test_it_comes_back_when_the_network_was_cut(
    server: Any, signed_in: Session, clocks: Any, eventually: Eventually
) -> None:
    live, line = await entered(server, signed_in)
    await line.send({"n": 1})
    line.cut()
    await eventually(lambda: live.state is LiveState.WAITING)
    clocks.move(0.51)
    line = await (await server.socket()).welcome()
    await line.send({"n": 2})
    assert [await anext(live), await anext(live)] == [{"n": 1}, {"n": 2}]
    await live.send({"back": True})
    assert await line.hear() == {"back": True}


async def test_what_is_sent_while_it_is_away_waits(
    server: Any, signed_in: Session, clocks: Any, eventually: Eventually
) -> None:
    live, line = await entered(server, signed_in)
    line.cut()
    await eventually(lambda: live.state is LiveState.WAITING)
    sending = asyncio.ensure_future(live.send({"patient": True}))
    await asyncio.sleep(0)
    clocks.move(0.51)
    line = await (await server.socket()).welcome()
    await sending
    assert await line.hear() == {"patient": True}


async def test_what_is_sent_while_it_is_away_does_not_wait_for_ever(
    server: Any, signed_in: Session, eventually: Eventually
) -> None:
    live, line = await entered(server, signed_in)
    line.cut()
    await eventually(lambda: live.state is LiveState.WAITING)
    with pytest.raises(Unavailable, match="nothing was sent"):
        await live.send({"impatient": True}, timeout=0.02)


async def test_a_new_token_goes_in_band(server: Any, signed_in: Session, clocks: Any) -> None:
    live, line = await entered(server, signed_in)
    clocks.move(1)
    await line.send({"type": "auth.due", "expires_in": 300})
    auth = await line.hear()
    assert auth == {"type": "auth", "id": "holdfast:1", "token": "access-2"}
    await line.send({"type": "auth.ok", "id": auth["id"], "expires_in": 900, "refresh_in": 600})
    await live.send({"same": "socket"})
    assert await line.hear() == {"same": "socket"}
    assert len(server.handshakes) == 1
    for _ in range(3):
        await signed_in.request("GET", "/meanwhile")
    assert server.to("/auth/confirm") == []


async def test_the_sessions_own_refresh_goes_in_band_too(server: Any, session: Session, clocks: Any) -> None:
    server.refresh_in = 40
    await session.sign_in("ann", "correct horse")
    _, line = await entered(server, session)
    clocks.move(40.1)
    assert await line.hear() == {"type": "auth", "id": "holdfast:1", "token": "access-2"}
    assert server.to("/auth/confirm") == []


async def test_every_connection_shows_a_new_token(server: Any, signed_in: Session) -> None:
    _, one = await entered(server, signed_in)
    _, other = await entered(server, signed_in)
    await one.send({"type": "auth.due", "expires_in": 300})
    await other.send({"type": "auth.due", "expires_in": 300})
    assert (await one.hear())["token"] == "access-2"
    assert (await other.hear())["token"] == "access-2"
    assert len(server.to("/auth/refresh")) == 1


async def test_in_grace_a_message_waits_for_the_renewal(
    server: Any, signed_in: Session, eventually: Eventually
) -> None:
    live, line = await entered(server, signed_in)
    await line.send({"type": "auth.grace", "grace_left": 30})
    await eventually(lambda: live.state is LiveState.GRACE)
    sending = asyncio.ensure_future(live.send({"after": "renewal"}))
    auth = await line.hear()
    assert auth["type"] == "auth"
    await line.send({"type": "auth.ok", "id": auth["id"], "expires_in": 900, "refresh_in": 600})
    await sending
    assert await line.hear() == {"after": "renewal"}


async def test_expired_it_comes_back_with_a_new_token(server: Any, signed_in: Session) -> None:
    live, line = await entered(server, signed_in)
    await line.end(4003, EXPIRED, "refresh")
    line = await (await server.socket()).welcome()
    assert line.token == "access-2"
    await line.send({"back": True})
    assert await anext(live) == {"back": True}


async def test_revoked_it_asks_for_a_sign_in_and_goes_on_after_one(server: Any, signed_in: Session) -> None:
    live, line = await entered(server, signed_in)
    server.refuse("/auth/refresh", "session_ended")
    await line.send({"last": True})
    await line.end(4001, "Session ended: revoked (banned).", "relogin")
    assert await anext(live) == {"last": True}
    with pytest.raises(ClientError, match=r"revoked \(banned\)") as raised:
        await anext(live)
    assert raised.value.action is Action.RELOGIN
    assert raised.value.close_code == 4001
    with pytest.raises(ClientError):
        await live.send({"not": "now"})

    await signed_in.sign_in("ann", "correct horse")
    line = await (await server.socket()).welcome()
    await live.send({"again": True})
    assert await line.hear() == {"again": True}


async def test_after_a_new_sign_in_an_open_socket_goes_on(server: Any, signed_in: Session) -> None:
    _, line = await entered(server, signed_in)
    server.refuse("/auth/refresh", "session_ended")
    await line.send({"type": "auth.grace", "grace_left": 30})
    await server.heard("/auth/refresh", 1)
    await signed_in.sign_in("ann", "correct horse")
    assert await line.hear() == {"type": "auth", "id": "holdfast:1", "token": "access-2"}


async def test_signing_out_lets_the_connection_rest(server: Any, signed_in: Session, clocks: Any) -> None:
    live, line = await entered(server, signed_in)
    await signed_in.sign_out()
    await line.end(4001, "Session ended: signed out.", "relogin")
    with pytest.raises(ClientError) as raised:
        await anext(live)
    assert raised.value.action is Action.RELOGIN
    clocks.move(120)
    assert server.to("/auth/refresh") == []


async def test_the_servers_app_is_done(server: Any, signed_in: Session) -> None:
    live, line = await entered(server, signed_in)
    await line.send({"n": 1})
    await line.end(1000, "")
    assert [message async for message in live] == [{"n": 1}]


async def test_an_ending_that_would_come_again_stops_it(server: Any, signed_in: Session) -> None:
    live, line = await entered(server, signed_in)
    await line.end(4009, "Limit reached: the frame is too large.", "stop")
    with pytest.raises(ClientError, match="too large") as raised:
        await anext(live)
    assert raised.value.action is Action.STOP
    assert raised.value.close_code == 4009


async def test_a_restart_brings_it_back_when_the_server_said(
    server: Any, signed_in: Session, clocks: Any, eventually: Eventually
) -> None:
    live, line = await entered(server, signed_in)
    reason = "The server is restarting; come back in a moment."
    await line.end(1012, reason, "reconnect", retry_after_ms=3150)
    await eventually(lambda: live.state is LiveState.WAITING)
    clocks.move(3.14)
    assert live.state is LiveState.WAITING
    clocks.move(0.02)
    await (await server.socket()).welcome()


async def test_a_socket_that_died_in_silence_is_found_out(
    server: Any, signed_in: Session, clocks: Any
) -> None:
    live, line = await entered(server, signed_in)
    clocks.sleep(3600)
    clocks.move(30)
    # The session is due as well after an hour, so an `auth` may come before or after the question.
    heard = [await line.hear(), await line.hear()]
    assert sorted(frame["type"] for frame in heard) == ["auth", "ping"]
    clocks.move(8)
    assert await line.closed() == 1000
    clocks.move(0.51)
    await (await server.socket()).welcome()
    await live.send({"alive": True})


async def test_a_token_that_is_due_is_refreshed_before_the_socket_is_opened(
    server: Any, signed_in: Session, clocks: Any
) -> None:
    clocks.sleep(8 * 3600)
    _, line = await entered(server, signed_in)
    assert line.token == "access-2"
    assert len(server.handshakes) == 1


async def test_it_waits_for_a_server_that_is_not_there_yet(
    server: Any, signed_in: Session, clocks: Any, eventually: Eventually, refusal: Any
) -> None:
    server.refuse_socket = lambda _: refusal(503)
    live = signed_in.connect("/ws")
    opening = asyncio.ensure_future(live.__aenter__())
    await eventually(lambda: live.state is LiveState.WAITING)
    server.refuse_socket = lambda _: None
    clocks.move(0.51)
    await (await server.socket()).welcome()
    assert await opening is live


async def test_it_waits_for_a_network_that_is_not_there_yet(
    server: Any, signed_in: Session, clocks: Any, eventually: Eventually
) -> None:
    port, server.ws_port = server.ws_port, 9
    live = signed_in.connect("/ws")
    opening = asyncio.ensure_future(live.__aenter__())
    await eventually(lambda: live.state is LiveState.WAITING)
    server.ws_port = port
    clocks.move(0.51)
    await (await server.socket()).welcome()
    await opening


async def test_a_server_that_answers_nonsense_is_tried_again(
    server: Any, signed_in: Session, eventually: Eventually
) -> None:
    async def nonsense(_: Any, writer: Any) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.9\r\n")
        writer.close()

    other = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    server.ws_port = other.sockets[0].getsockname()[1]
    live = signed_in.connect("/ws")
    opening = asyncio.ensure_future(live.__aenter__())
    await eventually(lambda: live.state is LiveState.WAITING)
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    other.close()


async def test_a_message_that_was_cut_off_is_said_to_be_in_doubt(
    server: Any, signed_in: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cut(_: str) -> None:
        raise ConnectionClosedError(None, None)

    live, _ = await entered(server, signed_in)
    monkeypatch.setattr(live._socket, "send", cut)
    with pytest.raises(Unavailable, match="may or may not have arrived"):
        await live.send({"n": 1})


async def test_entering_is_bounded(server: Any, signed_in: Session, refusal: Any) -> None:
    server.refuse_socket = lambda _: refusal(503)
    with pytest.raises(Unavailable):
        await signed_in.connect("/ws", timeout=0.05).__aenter__()


async def test_a_path_that_is_not_there_is_an_error(server: Any, signed_in: Session, refusal: Any) -> None:
    server.refuse_socket = lambda _: refusal(404)
    with pytest.raises(ClientError, match="404") as raised:
        await signed_in.connect("/nowhere").__aenter__()
    assert raised.value.action is Action.STOP


async def test_a_redirect_is_not_followed(server: Any, signed_in: Session, refusal: Any) -> None:
    target = f"ws://127.0.0.1:{server.ws_port}/elsewhere"
    server.refuse_socket = lambda request: None if request.path == "/elsewhere" else refusal(302, target)
    with pytest.raises(ClientError, match="302"):
        await signed_in.connect("/ws").__aenter__()
    assert [handshake.path for handshake in server.handshakes] == ["/ws"]


async def test_a_handshake_refused_over_http_is_refreshed_for(
    server: Any, signed_in: Session, refusal: Any
) -> None:
    answers = [refusal(401, body={"code": "token_expired", "message": EXPIRED}), None]
    server.refuse_socket = lambda _: answers.pop(0)
    _, line = await entered(server, signed_in)
    assert line.token == "access-2"


async def test_a_server_without_the_protocol_is_an_error(server: Any, signed_in: Session) -> None:
    server.subprotocols = []
    with pytest.raises(ClientError, match=r"does not speak holdfast\.v1"):
        await signed_in.connect("/ws").__aenter__()


async def test_without_a_session_there_is_no_connection(session: Session) -> None:
    with pytest.raises(ClientError) as raised:
        await session.connect("/ws").__aenter__()
    assert raised.value.action is Action.RELOGIN


async def test_a_token_that_is_refused_twice_asks_for_a_sign_in(server: Any, signed_in: Session) -> None:
    live = signed_in.connect("/ws")
    opening = asyncio.ensure_future(live.__aenter__())
    await (await server.socket()).end(4003, INVALID, "relogin")
    await (await server.socket()).end(4003, INVALID, "relogin")
    with pytest.raises(ClientError, match="Invalid token") as raised:
        await opening
    assert raised.value.action is Action.RELOGIN


async def test_errors_about_the_apps_messages_are_told(
    server: Any, signed_in: Session, eventually: Eventually
) -> None:
    live, line = await entered(server, signed_in)
    told: list[Any] = []
    live.on("error", told.append)
    await line.send({"type": "error", "id": 7, "code": "no_handler", "message": "nobody listens"})
    await eventually(lambda: bool(told))
    assert (told[0].code, told[0].reason, told[0].id) == ("no_handler", "nobody listens", 7)


@pytest.mark.parametrize("message", [{"type": "auth"}, {"type": "ping"}, {"type": "subscribe"}])
async def test_a_message_cannot_borrow_a_type_of_the_protocol(
    server: Any, signed_in: Session, message: Any
) -> None:
    live, _ = await entered(server, signed_in)
    with pytest.raises(ReservedFrameError):
        await live.send(message)


@pytest.mark.parametrize("message", [{1, 2}, float("nan"), "\ud800"])
async def test_what_is_no_json_is_not_sent(server: Any, signed_in: Session, message: Any) -> None:
    live, _ = await entered(server, signed_in)
    with pytest.raises(MisuseError):
        await live.send(message)


async def test_a_message_over_the_servers_limit_is_not_sent(server: Any, signed_in: Session) -> None:
    live, line = await entered(server, signed_in)
    fits = "x" * (65536 - 2)
    await live.send(fits)
    assert await line.hear() == fits
    with pytest.raises(MisuseError, match="65537"):
        await live.send(fits + "y")
    with pytest.raises(MisuseError, match="65538"):
        await live.send(fits + "ж")


async def test_a_full_inbox_takes_nothing_more_until_it_is_read(
    server: Any, signed_in: Session, eventually: Eventually
) -> None:
    live, line = await entered(server, signed_in, inbox=2)
    for number in range(5):
        await line.send(number)
    await line.send({"type": "ping", "id": "after"})
    await eventually(lambda: len(live._inbox) == 2)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(live._inbox) == 2
    assert [await anext(live) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert await line.hear() == {"type": "pong", "id": "after"}


async def test_a_cancelled_read_loses_no_message(server: Any, signed_in: Session) -> None:
    live, line = await entered(server, signed_in)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await anext(live)
    await line.send({"n": 1})
    assert await anext(live) == {"n": 1}


async def test_cancelling_while_it_opens_leaves_nothing_behind(server: Any, signed_in: Session) -> None:
    live = signed_in.connect("/ws")
    opening = asyncio.ensure_future(live.__aenter__())
    line = await server.socket()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await line.closed()
    assert live.state is LiveState.STOPPED


async def test_a_handshake_is_never_logged(
    server: Any, signed_in: Session, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    live, line = await entered(server, signed_in)
    await line.send({"type": "auth.due", "expires_in": 300})
    await line.hear()
    assert "access-" not in "".join(
        record.getMessage() for record in caplog.records if record.name.startswith("holdfast")
    )
    assert "access-" not in repr(live)


def test_the_package_needs_no_server(run_python: Any) -> None:
    code = "import sys, holdfast.client; print(json.dumps(sorted(m.split('.')[0] for m in sys.modules)))"
    loaded = set(json.loads(run_python(f"import json; {code}")))
    assert loaded.isdisjoint({"starlette", "fastapi", "sqlalchemy", "pydantic", "jwt", "alembic", "argon2"})

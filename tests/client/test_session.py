from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.client import ClientError, Person, Session, State
from holdfast.errors import BadCredentials, MisuseError, Throttled, Unavailable
from holdfast.protocol.endings import Action

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Eventually = Callable[[Callable[[], bool]], Awaitable[None]]


async def test_signing_in_asks_for_tokens_as_a_program(server: Any, session: Session) -> None:
    person = await session.sign_in("ann", "correct horse")

    asked = server.to("/token")[0]
    assert asked.form == {
        "grant_type": "password",
        "username": "ann",
        "password": "correct horse",
        "client": "program",
    }
    assert asked.headers["x-holdfast"] == "1"
    assert person == Person("u1", "ann", ("admin",))
    assert session.user == person
    assert session.state is State.ACTIVE
    assert session.session_id == "s1"
    assert session.refresh_token == "refresh-1"
    assert await session.token() == "access-1"


async def test_a_wrong_password_is_said_so(server: Any, session: Session) -> None:
    server.refuse("/token", "bad_credentials")
    with pytest.raises(BadCredentials, match="No"):
        await session.sign_in("ann", "wrong horse")
    assert session.state is State.SIGNED_OUT


async def test_too_many_tries_say_when_to_try_again(server: Any, session: Session, reply: Any) -> None:
    server.reply("/token", reply(429, {"code": "throttled", "message": "Wait."}, {"Retry-After": "7"}))
    with pytest.raises(Throttled) as raised:
        await session.sign_in("ann", "wrong horse")
    assert raised.value.retry_after == 7


@pytest.mark.parametrize("status", [200, 302, 401, 404, 500])
async def test_a_page_of_somebody_elses_is_no_refusal(
    server: Any, session: Session, reply: Any, status: int
) -> None:
    server.reply("/token", reply(status, "<html>Welcome to Hotel WiFi</html>"))
    with pytest.raises(Unavailable):
        await session.sign_in("ann", "correct horse")


async def test_a_program_needs_a_refresh_token(server: Any, session: Session, reply: Any) -> None:
    server.reply("/token", reply(200, {"access_token": "a", "expires_in": 900}))
    with pytest.raises(Unavailable, match="no refresh token"):
        await session.sign_in("ann", "correct horse")


async def test_a_401_that_no_refresh_can_mend_just_now_is_handed_on(
    server: Any, signed_in: Session, reply: Any
) -> None:
    server.reply("/jobs", reply(401, {"code": "token_expired"}))
    server.reply("/auth/refresh", reply(503, ""))
    assert (await signed_in.request("GET", "/jobs")).status_code == 401
    assert signed_in.state is State.DEGRADED


async def test_what_nobody_thought_of_is_tried_again_too(
    signed_in: Session, clocks: Any, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("holdfast.client.keeper.judge", lambda *_, **__: 1 / 0)
        clocks.move(600.1)
        await eventually(lambda: signed_in.state is State.DEGRADED)
    clocks.move(0.6)
    await eventually(lambda: signed_in.state is State.ACTIVE)


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    async with Session("http://127.0.0.1:9") as session:
        with pytest.raises(Unavailable):
            await session.sign_in("ann", "correct horse")


async def test_nobody_is_signed_in_at_first(session: Session) -> None:
    with pytest.raises(ClientError) as raised:
        await session.token()
    assert raised.value.action is Action.RELOGIN
    assert session.expires_in is None


async def test_it_refreshes_by_itself_when_the_server_said(
    server: Any, signed_in: Session, clocks: Any, eventually: Eventually
) -> None:
    clocks.move(599)
    await asyncio.sleep(0)
    assert server.to("/auth/refresh") == []

    clocks.move(1.1)
    await eventually(lambda: signed_in.refresh_token == "refresh-2")
    assert server.to("/auth/refresh")[0].json == {"refresh_token": "refresh-1"}
    assert server.to("/auth/refresh")[0].headers["x-holdfast"] == "1"
    assert await signed_in.token() == "access-2"


@pytest.mark.usefixtures("signed_in")
async def test_without_a_connection_a_new_token_is_confirmed_over_http(server: Any, clocks: Any) -> None:
    clocks.move(601)
    await server.heard("/auth/confirm", 1)
    assert server.to("/auth/confirm")[0].headers["authorization"] == "Bearer access-2"


async def test_after_a_sleep_the_token_is_refreshed_before_it_is_used(
    server: Any, signed_in: Session, clocks: Any
) -> None:
    clocks.sleep(8 * 3600)
    assert await signed_in.token() == "access-2"
    assert len(server.to("/auth/refresh")) == 1


async def test_many_callers_share_one_refresh(server: Any, signed_in: Session, clocks: Any) -> None:
    clocks.sleep(8 * 3600)
    tokens = await asyncio.gather(*(signed_in.token() for _ in range(20)))
    assert set(tokens) == {"access-2"}
    assert len(server.to("/auth/refresh")) == 1


async def test_a_failed_refresh_is_tried_again_and_the_old_token_used_meanwhile(
    server: Any, signed_in: Session, clocks: Any, reply: Any, eventually: Eventually
) -> None:
    server.reply("/auth/refresh", reply(502, "<html>Bad Gateway</html>"), reply(drop=True))
    clocks.move(600.1)
    await eventually(lambda: signed_in.state is State.DEGRADED)
    assert await signed_in.token() == "access-1"

    clocks.move(0.6)
    await server.heard("/auth/refresh", 2)
    await eventually(lambda: signed_in.state is State.DEGRADED)
    clocks.move(1.1)
    await eventually(lambda: signed_in.state is State.ACTIVE)
    assert await signed_in.token() == "access-2"


async def test_without_a_good_token_the_wait_is_bounded(
    server: Any, signed_in: Session, clocks: Any, reply: Any, eventually: Eventually
) -> None:
    server.reply("/auth/refresh", reply(503, ""))
    clocks.sleep(8 * 3600)
    waiting = asyncio.ensure_future(signed_in.token())
    await eventually(lambda: signed_in.state is State.DEGRADED)
    with pytest.raises(Unavailable):
        await signed_in.token(timeout=0.02)
    assert not waiting.done()
    clocks.move(0.6)
    assert await waiting == "access-2"


@pytest.mark.parametrize("code", ["session_ended", "token_reused", "invalid_token"])
async def test_a_refusal_ends_the_session(server: Any, signed_in: Session, clocks: Any, code: str) -> None:
    ended = []
    signed_in.on("signed_out", ended.append)
    server.refuse("/auth/refresh", code)
    clocks.sleep(8 * 3600)
    with pytest.raises(ClientError, match=code) as raised:
        await signed_in.token()
    assert raised.value.action is Action.RELOGIN
    assert [news.reason for news in ended] == [code]
    assert signed_in.state is State.ENDED
    assert signed_in.user is not None  # who was there: the next sign-in may be theirs


@pytest.mark.usefixtures("server")
async def test_news_is_told_until_it_is_not_wanted(session: Session) -> None:
    told: list[Any] = []

    def fails(_: Any) -> None:
        raise RuntimeError("a listener's own affair")

    session.on("signed_in", fails)
    remove = session.on("signed_in", told.append)
    await session.sign_in("ann", "correct horse")
    assert [news.what for news in told] == ["signed_in"]
    remove()
    remove()
    await session.sign_in("ann", "correct horse")
    assert len(told) == 1
    with pytest.raises(ValueError, match="no_such_news"):
        session.on("no_such_news", told.append)


async def test_requests_carry_the_token(server: Any, signed_in: Session) -> None:
    answer = await signed_in.request("GET", "/jobs?open=1", headers={"X-Own": "yes"})
    assert answer.json() == {"path": "/jobs"}
    asked = server.to("/jobs")[0]
    assert asked.headers["authorization"] == "Bearer access-1"
    assert asked.headers["x-own"] == "yes"


async def test_a_401_is_answered_by_one_refresh_and_one_more_try(server: Any, signed_in: Session) -> None:
    server.refuse("/jobs", "token_expired")
    answer = await signed_in.request("POST", "/jobs", json={"n": 1})
    assert answer.status_code == 200
    assert [asked.headers["authorization"] for asked in server.to("/jobs")] == [
        "Bearer access-1",
        "Bearer access-2",
    ]
    assert [asked.json for asked in server.to("/jobs")] == [{"n": 1}, {"n": 1}]


async def test_a_401_for_a_fresh_token_too_is_handed_on(server: Any, signed_in: Session) -> None:
    for _ in range(4):
        server.refuse("/jobs", "token_expired")
    assert (await signed_in.request("GET", "/jobs")).status_code == 401
    assert len(server.to("/jobs")) == 2
    # The refresh brought nothing that is newer, so there is no other so soon.
    assert (await signed_in.request("GET", "/jobs")).status_code == 401
    assert len(server.to("/auth/refresh")) == 1


async def test_many_requests_that_meet_a_401_share_one_refresh(server: Any, signed_in: Session) -> None:
    for _ in range(5):
        server.refuse("/jobs", "token_expired")
    answers = await asyncio.gather(*(signed_in.request("GET", "/jobs") for _ in range(5)))
    assert [answer.status_code for answer in answers] == [200] * 5
    assert len(server.to("/auth/refresh")) == 1


async def test_a_401_about_a_password_is_not_about_the_token(server: Any, signed_in: Session) -> None:
    server.refuse("/auth/password", "bad_credentials")
    answer = await signed_in.request(
        "POST", "/auth/password", json={"old_password": "x", "new_password": "y"}
    )
    assert answer.status_code == 401
    assert server.to("/auth/refresh") == []


async def test_a_body_that_can_be_read_once_is_sent_once(server: Any, signed_in: Session) -> None:
    async def body() -> Any:
        yield b"abc"

    server.refuse("/upload", "token_expired")
    answer = await signed_in.request("PUT", "/upload", content=body(), headers={"Content-Length": "3"})
    assert answer.status_code == 401
    assert len(server.to("/upload")) == 1


async def test_a_401_when_the_session_is_over_says_so(server: Any, signed_in: Session) -> None:
    server.refuse("/jobs", "session_ended")
    server.refuse("/auth/refresh", "session_ended")
    with pytest.raises(ClientError) as raised:
        await signed_in.request("GET", "/jobs")
    assert raised.value.action is Action.RELOGIN


async def test_no_answer_to_a_request_is_unavailable(server: Any, signed_in: Session, reply: Any) -> None:
    server.reply("/jobs", reply(drop=True))
    with pytest.raises(Unavailable, match="GET /jobs"):
        await signed_in.request("GET", "/jobs")


@pytest.mark.parametrize("path", ["https://elsewhere.example/x", "//elsewhere.example/x", "jobs", ""])
async def test_the_token_stays_with_its_server(signed_in: Session, path: str) -> None:
    with pytest.raises(MisuseError):
        await signed_in.request("GET", path)
    with pytest.raises(MisuseError):
        signed_in.connect(path)


def test_a_session_needs_an_http_address() -> None:
    with pytest.raises(MisuseError):
        Session("ws://127.0.0.1:1")


async def test_signing_out_tells_the_server_and_forgets_everything(server: Any, signed_in: Session) -> None:
    await signed_in.sign_out()
    assert server.to("/auth/logout")[0].json == {"refresh_token": "refresh-1"}
    assert signed_in.state is State.SIGNED_OUT
    assert signed_in.user is None
    assert signed_in.refresh_token is None
    with pytest.raises(ClientError):
        await signed_in.token()
    await signed_in.sign_out()
    assert len(server.to("/auth/logout")) == 1


async def test_signing_out_without_a_network_is_over_here_all_the_same(
    server: Any, signed_in: Session, reply: Any
) -> None:
    server.reply("/auth/logout", reply(drop=True))
    with pytest.raises(Unavailable):
        await signed_in.sign_out()
    assert signed_in.state is State.SIGNED_OUT


async def test_a_kept_refresh_token_goes_on_elsewhere(server: Any, session: Session) -> None:
    person = await session.resume("refresh-of-before")
    assert server.to("/auth/refresh")[0].json == {"refresh_token": "refresh-of-before"}
    assert person.name == "ann"
    with pytest.raises(MisuseError):
        await session.resume("another")


async def test_a_kept_refresh_token_may_be_worth_nothing(server: Any, session: Session) -> None:
    server.refuse("/auth/refresh", "session_ended")
    with pytest.raises(ClientError):
        await session.resume("refresh-of-before")
    assert session.state is State.SIGNED_OUT


async def test_an_answer_of_an_older_generation_replaces_nothing(
    server: Any, signed_in: Session, clocks: Any, reply: Any
) -> None:
    late = {**server.grant(), "generation": 0, "access_token": "late", "refresh_token": "late"}
    server.reply("/auth/refresh", reply(200, late))
    clocks.move(601)
    await server.heard("/auth/refresh", 1)
    assert await signed_in.token() == "access-1"
    assert signed_in.refresh_token == "refresh-1"


async def test_closing_in_the_middle_of_a_refresh_leaves_nothing_behind(
    server: Any, signed_in: Session, clocks: Any, reply: Any
) -> None:
    server.reply("/auth/refresh", reply(gate=asyncio.Event()))
    clocks.move(601)
    await server.heard("/auth/refresh", 1)
    async with asyncio.timeout(5):
        await signed_in.aclose()


async def test_no_secret_is_in_what_is_printed_or_logged(
    server: Any, signed_in: Session, clocks: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "holdfast")
    caplog.set_level("INFO")
    server.refuse("/auth/refresh", "session_ended")
    clocks.sleep(8 * 3600)
    with pytest.raises(ClientError) as raised:
        await signed_in.token()
    told = caplog.text + repr(signed_in) + repr(raised.value) + str(signed_in.user)
    assert "access-" not in told
    assert "refresh-" not in told
    assert "correct horse" not in told

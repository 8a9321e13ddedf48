"""`Holdfast` for an app whose sign-in is its own: a session by `sign_in`, and the answer to the client by `answer`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from holdfast import Holdfast, MisuseError, Position, Principal
from holdfast.testing.clock import ManualClock
from holdfast.testing.peer import Peer
from holdfast.testing.server import TEST_SECRET

MARK = {"X-Holdfast": "1"}


@pytest.fixture
async def hold(tmp_path: Path) -> AsyncIterator[Holdfast]:
    made = Holdfast(secret_key=TEST_SECRET, data_dir=tmp_path, clock=ManualClock())
    yield made
    await made.aclose()


@pytest.fixture
async def client(hold: Holdfast) -> AsyncIterator[httpx.AsyncClient]:
    async def login(request: Request) -> Response:
        kind = "program" if "program" in request.query_params else "browser"
        return hold.answer(request, await hold.sign_in("7", name="ann", roles=["editor"], client=kind))

    # Without a lifespan, as under daphne: the first request is the sign-in itself.
    app = Starlette(routes=[Route("/login", login, methods=["POST"]), *hold.routes])
    transport = httpx.ASGITransport(app, raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="https://app.example") as client:
        yield client


async def test_a_browser_signed_in_by_the_app_gets_its_refresh_token_as_a_cookie(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.post("/login")
    assert answer.headers["cache-control"] == "no-store"
    assert "refresh_token" not in answer.json()
    assert answer.json()["user"] == {"id": "7", "name": "ann", "roles": ["editor"]}
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-holdfast=")
    for attribute in ("HttpOnly", "Secure", "SameSite=strict", "Path=/"):
        assert attribute in cookie
    refreshed = await client.post("/auth/refresh", headers=MARK)
    assert refreshed.status_code == 200


async def test_a_program_signed_in_by_the_app_gets_its_refresh_token_in_the_body(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.post("/login?program")
    assert "set-cookie" not in answer.headers
    body = {"refresh_token": answer.json()["refresh_token"]}
    assert (await client.post("/auth/refresh", json=body, headers=MARK)).status_code == 200


async def test_a_session_opened_by_the_app_is_one_like_any_other(
    hold: Holdfast, client: httpx.AsyncClient
) -> None:
    access = (await client.post("/login")).json()["access_token"]
    bearer = {"Authorization": f"Bearer {access}"}
    assert (await client.get("/auth/me", headers=bearer)).json()["name"] == "ann"
    await hold.revoke(user="7", reason="banned")
    assert (await client.get("/auth/me", headers=bearer)).json()["code"] == "session_ended"


async def test_half_a_surrogate_pair_is_refused_before_anybody_is_sent_it(hold: Holdfast) -> None:
    with pytest.raises(ValueError, match="surrogate"):
        await hold.publish("room:1", {"text": "\ud800"})
    assert (await hold.publish("room:1", {"text": "\U0001f600"})).offset == 1


async def test_a_history_is_data_as_it_was_published(hold: Holdfast) -> None:
    sent = [{"n": 1}, "text", None, [1.5]]
    for data in sent:
        position = await hold.publish("room:1", data)
    found = await hold.history("room:1")
    assert [(one.offset, one.data) for one in found.publications] == list(enumerate(sent, 1))
    assert found.position == position
    after = await hold.history("room:1", since=Position(position.epoch, 1), limit=2)
    assert ([one.data for one in after.publications], after.recovered) == (["text", None], True)


@pytest.mark.parametrize("limit", [0, -1])
async def test_a_history_of_nothing_is_a_mistake(hold: Holdfast, limit: int) -> None:
    with pytest.raises(MisuseError, match="at least 1"):
        await hold.history("room:1", limit=limit)


async def test_its_log_level_is_that_of_its_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = logging.getLogger("holdfast")
    monkeypatch.setattr(ours, "handlers", [])
    monkeypatch.setattr(ours, "level", logging.NOTSET)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    hold = Holdfast(secret_key=TEST_SECRET, data_dir=tmp_path, log_level="error")
    await hold.start()
    await hold.aclose()
    assert ours.level == logging.ERROR


async def test_two_processes_name_their_connections_apart(tmp_path: Path) -> None:
    one, two = (Holdfast(secret_key=TEST_SECRET, data_dir=tmp_path) for _ in range(2))
    await one.start()
    await two.start()
    assert one._node.new_id() != two._node.new_id()
    await one.aclose()
    await two.aclose()


@pytest.mark.parametrize("lifespan", ["on", "off"])
def test_one_event_loop_after_another_keeps_time_and_carries_publications(
    tmp_path: Path, serving: Any, lifespan: str
) -> None:
    """As where an app is a module's own and each test has a loop; without a lifespan nothing closes it either."""
    clock = ManualClock()
    hold = Holdfast(
        secret_key=TEST_SECRET,
        data_dir=tmp_path,
        clock=clock,
        access_token_expire_minutes=0.1,
        live_grace_seconds=0,
    )

    @hold.channel("room:{name}")
    def room(user: Principal, name: str) -> bool:
        return bool(user.id and name)

    app = Starlette(routes=list(hold.routes), lifespan=hold.lifespan if lifespan == "on" else None)

    async def once() -> int:
        await asyncio.gather(hold.start(), hold.start())
        grant = await hold.sign_in("7", name="ann", client="program")
        async with (
            serving(app, lifespan=lifespan) as url,
            await Peer.connect(f"{url}/ws", token=grant.access_token) as peer,
        ):
            await peer.expect("welcome")
            await peer.send({"type": "subscribe", "id": 1, "channel": "room:1"})
            await peer.expect("subscribed")
            await hold.publish("room:1", "hello")
            await peer.expect("event")
            await asyncio.gather(*(hold.sessions.log.catch_up() for _ in range(3)))
            await clock.advance(7)
            return (await peer.closed()).code

    assert [asyncio.run(once()) for _ in range(3)] == [4003] * 3
    asyncio.run(hold.aclose())

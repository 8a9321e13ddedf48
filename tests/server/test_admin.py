from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import pytest
import websockets

from holdfast.asgi.socket import Principal
from holdfast.server.admin import Actor

PASSWORD = "correct horse battery staple"
CHANGES = [
    ("POST", "/admin/connections/c/disconnect"),
    ("DELETE", "/admin/sessions/s"),
    ("POST", "/admin/revoke"),
    ("POST", "/admin/users"),
    ("POST", "/admin/users/u/disable"),
    ("POST", "/admin/users/u/enable"),
]
VIEWS = ["connections", "sessions", "users", "stats", "events"]


@pytest.fixture
async def admin(running: Any) -> Any:
    async with await running.as_admin() as client:
        yield client


@pytest.fixture
async def ann(running: Any) -> Any:
    """Somebody who is no administrator, and her access token."""
    user = await running.parts.hold.sessions.add_user("ann", PASSWORD)
    return user, await running.token("ann", PASSWORD)


async def closed_with(ws: Any) -> tuple[int, str]:
    """The code and reason that the client sees."""
    await asyncio.wait_for(ws.wait_closed(), 10)
    return ws.close_code, ws.close_reason


@pytest.mark.parametrize("view", VIEWS)
async def test_views_are_for_administrators(running: Any, ann: Any, view: str) -> None:
    _, token = ann
    nobody = await running.http.get(f"/admin/{view}")
    assert (nobody.status_code, nobody.json()["code"]) == (401, "invalid_token")
    someone = await running.http.get(f"/admin/{view}", headers={"Authorization": f"Bearer {token}"})
    assert (someone.status_code, someone.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize(("method", "path"), CHANGES)
async def test_changes_are_for_administrators_and_must_be_meant(
    running: Any, admin: httpx.AsyncClient, ann: Any, method: str, path: str
) -> None:
    _, token = ann
    body: dict[str, Any] = {"json": {}} if method == "POST" else {}
    meant = {"X-Holdfast": "1"}
    assert (await running.http.request(method, path, headers=meant, **body)).status_code == 401
    as_ann = {**meant, "Authorization": f"Bearer {token}"}
    assert (await running.http.request(method, path, headers=as_ann, **body)).status_code == 403
    unmeant = await admin.request(method, path, headers={"X-Holdfast": ""}, **body)
    assert (unmeant.status_code, unmeant.json()["code"]) == (403, "missing_header")
    foreign = await admin.request(method, path, headers={"Origin": "https://evil.example"}, **body)
    assert (foreign.status_code, foreign.json()["code"]) == (403, "foreign_origin")


async def test_an_administrator_without_the_role_is_none_at_once(
    running: Any, admin: httpx.AsyncClient
) -> None:
    """The token still says admin for a day; the row decides."""
    sessions = running.parts.hold.sessions
    me = await running.parts.hold.store.user_named("admin")
    assert (await admin.get("/admin/users")).status_code == 200
    await sessions.set_roles(me.id, ())
    assert (await admin.get("/admin/users")).status_code == 403


async def test_connections_show_their_lease_and_their_timeline(
    running: Any, admin: httpx.AsyncClient, ann: Any
) -> None:
    user, token = ann
    async with websockets.connect(f"{running.ws_url}/ws?token={token}") as ws:
        await ws.send("{}")
        await ws.recv()
        answer = await admin.get("/admin/connections")
    (shown,) = answer.json()["connections"]
    assert (shown["user"], shown["user_name"], shown["carrier"]) == (user.id, "ann", "query")
    assert (shown["state"], shown["path"], shown["address"]) == ("ready", "/ws", "127.0.0.1")
    assert 86_000 < shown["expires_in"] <= 86_400
    assert shown["ends_in"] - shown["expires_in"] == pytest.approx(30)
    assert [moment["what"] for moment in shown["timeline"]] == ["proven"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert token not in answer.text


async def test_a_disconnected_client_is_told_and_may_come_back(
    running: Any, admin: httpx.AsyncClient, ann: Any
) -> None:
    _, token = ann
    async with websockets.connect(f"{running.ws_url}/ws?token={token}") as ws:
        (shown,) = (await admin.get("/admin/connections")).json()["connections"]
        answer = await admin.post(f"/admin/connections/{shown['id']}/disconnect")
        assert answer.status_code == 204
        assert await closed_with(ws) == (1001, "Disconnected by an administrator.")
    assert (await admin.get("/admin/connections")).json()["connections"] == []
    async with websockets.connect(f"{running.ws_url}/ws?token={token}") as ws:
        await ws.send("{}")
        assert await ws.recv()


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/admin/sessions/{session}?reason=banned", "Session ended: revoked (banned)."),
        ("/admin/sessions/{session}", "Session ended: revoked (by an administrator)."),
    ],
)
async def test_a_revoked_session_loses_its_connections(
    running: Any, admin: httpx.AsyncClient, ann: Any, path: str, reason: str
) -> None:
    _, token = ann
    async with websockets.connect(f"{running.ws_url}/ws?token={token}") as ws:
        listed = (await admin.get("/admin/sessions", params={"user": "ann"})).json()
        assert (listed["total"], listed["sessions"][0]["connections"]) == (1, 1)
        session = listed["sessions"][0]["id"]
        assert (await admin.delete(path.format(session=session))).status_code == 204
        assert await closed_with(ws) == (4001, reason)
    again = await running.http.get("/auth/me", headers={"Authorization": f"Bearer {token}"})
    assert again.status_code == 401


@pytest.mark.parametrize("name", ["id", "name"])
async def test_a_user_is_revoked_by_id_or_name(
    running: Any, admin: httpx.AsyncClient, ann: Any, name: str
) -> None:
    user, token = ann
    async with websockets.connect(f"{running.ws_url}/ws?token={token}") as ws:
        body = {"user": getattr(user, name), "reason": "banned"}
        assert (await admin.post("/admin/revoke", json=body)).status_code == 204
        assert await closed_with(ws) == (4001, "Session ended: revoked (banned).")
    assert (await admin.get("/admin/users")).status_code == 200, "the administrator's own session goes on"


async def test_revoking_somebody_of_an_outside_issuer_leaves_the_user_of_that_id_alone(
    running: Any, admin: httpx.AsyncClient, ann: Any
) -> None:
    user, token = ann
    body = {"user": user.id, "issuer": "https://id.example", "reason": "banned"}
    assert (await admin.post("/admin/revoke", json=body)).status_code == 204
    me = await running.http.get("/auth/me", headers={"Authorization": f"Bearer {token}"})
    assert me.status_code == 200
    revoked, asked = (await admin.get("/admin/events")).json()["events"][:2]
    assert (revoked["kind"], revoked["user_id"]) == ("user.revoked", user.id)
    assert revoked["data"] == {
        "reason": "banned",
        "keep": None,
        "epoch": None,
        "issuer": "https://id.example",
    }
    assert (asked["kind"], asked["data"]["issuer"]) == ("admin.revoked", "https://id.example")


async def test_an_administrator_of_an_outside_issuer_is_nobody_here_whatever_the_sub(
    running: Any, ann: Any
) -> None:
    user, _ = ann
    hold = running.parts.hold
    mine = Principal(user.id, "ann", ("admin",), "s", hold.settings.issuer)
    theirs = replace(mine, session=None, issuer="https://id.example")
    assert Actor(hold, mine, None).is_(user)
    assert not Actor(hold, theirs, None).is_(user)
    for who in (mine, theirs):
        await Actor(hold, who, None).record("admin.tested")
    ours, outside = [event for event in await hold.store.events_after(0) if event.kind == "admin.tested"]
    assert "by_issuer" not in ours.data
    assert outside.data["by_issuer"] == "https://id.example"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"user": "ann", "session": "s"},
        {"user": "ann", "reason": "x" * 61},
        {"session": "s", "issuer": "https://id.example"},
    ],
)
async def test_a_revocation_names_one_thing_and_a_short_reason(
    admin: httpx.AsyncClient, body: dict[str, str]
) -> None:
    assert (await admin.post("/admin/revoke", json=body)).status_code == 422


async def test_a_disabled_user_is_out_and_stays_out_until_enabled(
    running: Any, admin: httpx.AsyncClient, ann: Any
) -> None:
    user, token = ann
    async with websockets.connect(f"{running.ws_url}/ws?token={token}") as ws:
        answer = await admin.post(f"/admin/users/{user.id}/disable")
        assert (answer.status_code, answer.json()["disabled"]) == (200, True)
        assert (await closed_with(ws))[0] == 4001
    form = {"username": "ann", "password": PASSWORD, "client": "program"}
    assert (await running.http.post("/token", data=form)).status_code == 403
    assert (await admin.post(f"/admin/users/{user.id}/enable")).json()["disabled"] is False
    assert (await running.http.post("/token", data=form)).status_code == 200


async def test_nobody_disables_themselves(running: Any, admin: httpx.AsyncClient) -> None:
    me = await running.parts.hold.store.user_named("admin")
    answer = await admin.post(f"/admin/users/{me.id}/disable")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert (await admin.get("/admin/users")).status_code == 200


async def test_an_added_user_can_sign_in_and_the_password_is_not_shown(
    running: Any, admin: httpx.AsyncClient
) -> None:
    body = {"name": "bob", "password": PASSWORD, "roles": ["editor"]}
    added = await admin.post("/admin/users", json=body)
    assert (added.status_code, added.json()["roles"]) == (201, ["editor"])
    assert await running.token("bob", PASSWORD)
    twice = await admin.post("/admin/users", json=body)
    assert (twice.status_code, twice.json()["code"]) == (409, "conflict")
    users = await admin.get("/admin/users")
    assert [user["name"] for user in users.json()["users"]] == ["admin", "bob"]
    assert "argon2" not in users.text
    assert PASSWORD not in added.text + twice.text + users.text


async def test_what_is_not_there_is_not_found(admin: httpx.AsyncClient) -> None:
    for method, path in (*CHANGES[:2], *CHANGES[4:]):
        assert (await admin.request(method, path)).status_code == 404, path
    assert (await admin.get("/admin/sessions", params={"user": "nobody"})).status_code == 404


async def test_ended_sessions_are_shown_when_asked_for(
    running: Any, admin: httpx.AsyncClient, ann: Any
) -> None:
    user, _ = ann
    await running.parts.hold.revoke(user=user.id, reason="banned")
    assert (await admin.get("/admin/sessions", params={"user": "ann"})).json()["sessions"] == []
    everything = await admin.get("/admin/sessions", params={"user": "ann", "active": "false"})
    (session,) = everything.json()["sessions"]
    assert (session["status"], session["ended_reason"]) == ("revoked", "banned")
    assert "salt" not in session


async def test_sessions_come_in_pages(running: Any, admin: httpx.AsyncClient, ann: Any) -> None:
    user, _ = ann
    for _ in range(3):
        await running.parts.hold.sessions.open(user.id, name="ann", client="program")
    seen: list[str] = []
    for offset in (0, 2, 4):
        page = await admin.get("/admin/sessions", params={"user": "ann", "limit": 2, "offset": offset})
        assert page.json()["total"] == 4
        seen += [session["id"] for session in page.json()["sessions"]]
    assert len(seen) == len(set(seen)) == 4


@pytest.mark.usefixtures("ann")
async def test_the_log_is_read_newest_first_to_its_beginning(running: Any, admin: httpx.AsyncClient) -> None:
    seen: list[int] = []
    before: int | None = None
    while True:
        params = {"limit": 2} | ({"before": before} if before else {})
        page = (await admin.get("/admin/events", params=params)).json()
        seen += [event["id"] for event in page["events"]]
        before = page["next"]
        if before is None:
            break
    assert seen == sorted(seen, reverse=True)
    assert seen == list(range(await running.parts.hold.store.latest_event_id(), 0, -1))


async def test_the_log_says_which_administrator_did_what_to_whom(admin: httpx.AsyncClient, ann: Any) -> None:
    user, _ = ann
    await admin.post(f"/admin/users/{user.id}/disable")
    await admin.post("/admin/revoke", json={"user": "ann", "reason": "banned"})
    events = (await admin.get("/admin/events")).json()["events"]
    done = {event["kind"]: event for event in events if event["kind"].startswith("admin.")}
    assert set(done) == {"admin.user_disabled", "admin.revoked"}
    for event in done.values():
        assert (event["user_id"], event["data"]["by_name"], event["address"]) == (
            user.id,
            "admin",
            "127.0.0.1",
        )
    assert done["admin.revoked"]["data"]["reason"] == "banned"


async def test_statistics_tell_of_now_and_of_the_last_hour(
    running: Any, admin: httpx.AsyncClient, ann: Any
) -> None:
    _, token = ann
    async with websockets.connect(f"{running.ws_url}/ws?token={token}") as ws:
        await ws.send("{}")
        await ws.recv()
        await running.parts.sampler.take()
        stats = (await admin.get("/admin/stats")).json()
        assert stats["live_by_state"] == {"ready": 1}
        assert stats["live_by_carrier"] == {"query": 1}
        assert stats["totals"]["connections"] == stats["samples"][-1]["connections"] == 1
        assert stats["sign_ins"]["ok"] == 2
        (shown,) = (await admin.get("/admin/connections")).json()["connections"]
        await admin.post(f"/admin/connections/{shown['id']}/disconnect")
        await closed_with(ws)
    stats = (await admin.get("/admin/stats")).json()
    assert stats["closes"] == [{"by": "server", "code": "1001", "reason": "disconnected", "count": 1}]

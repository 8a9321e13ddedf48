"""People of an outside issuer whose `sub` is the id of somebody here: another person, with nothing of theirs."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

PASSWORD = "correct horse battery"


@pytest.fixture
async def ann(site: Any) -> tuple[httpx.AsyncClient, dict[str, Any]]:
    return await site.program("ann")


@pytest.fixture
def stranger(site: Any, ann: Any) -> httpx.AsyncClient:
    """Somebody who is called elsewhere what ann is called here."""
    client: httpx.AsyncClient = site.stranger(ann[1]["user"]["id"], name="mallory")
    return client


async def all_is_well(ann: tuple[httpx.AsyncClient, dict[str, Any]]) -> None:
    client, tokens = ann
    assert (await client.get("/auth/me")).json()["name"] == "ann"
    refreshed = await client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert refreshed.status_code == 200


async def test_they_are_known_by_their_own_name(stranger: httpx.AsyncClient) -> None:
    me = (await stranger.get("/auth/me")).json()
    assert (me["name"], me["session_id"], me["roles"]) == ("mallory", None, [])


async def test_they_see_no_session_and_end_none(ann: Any, stranger: httpx.AsyncClient) -> None:
    assert (await stranger.get("/auth/sessions")).json() == {"sessions": []}
    answer = await stranger.delete(f"/auth/sessions/{ann[1]['session_id']}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    await all_is_well(ann)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/auth/logout", {}),
        ("/auth/logout-everywhere", {}),
        ("/auth/logout-everywhere", {"keep_this_session": True}),
        ("/auth/password", {"old_password": PASSWORD, "new_password": "staple after battery"}),
    ],
)
async def test_what_would_end_sessions_is_refused_and_ends_none(
    ann: Any, stranger: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    answer = await stranger.post(path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert "elsewhere" in answer.json()["message"]
    await all_is_well(ann)


async def test_they_cannot_use_up_somebodys_tries_at_the_password(
    ann: Any, stranger: httpx.AsyncClient
) -> None:
    for _ in range(6):
        body = {"old_password": "wrong wrong", "new_password": "staple after battery"}
        assert (await stranger.post("/auth/password", json=body)).status_code == 403
    body = {"old_password": PASSWORD, "new_password": "staple after battery"}
    assert (await ann[0].post("/auth/password", json=body)).status_code == 204


async def test_their_ticket_is_theirs(site: Any, ann: Any, stranger: httpx.AsyncClient) -> None:
    ticket = (await stranger.post("/auth/ticket")).json()["ticket"]
    proof = await site.sessions.redeem_ticket(ticket, origin=None)
    assert (proof.issuer, proof.user, proof.session) == (site.provider.issuer, ann[1]["user"]["id"], None)


async def test_throwing_out_the_one_leaves_the_other(
    site: Any, ann: Any, stranger: httpx.AsyncClient
) -> None:
    await site.sessions.revoke(user=ann[1]["user"]["id"], issuer=site.provider.issuer, reason="banned")
    assert (await stranger.get("/auth/me")).json()["code"] == "session_ended"
    await all_is_well(ann)


async def test_throwing_out_the_other_leaves_the_one(ann: Any, stranger: httpx.AsyncClient) -> None:
    await ann[0].post("/auth/logout-everywhere", json={})
    assert (await ann[0].get("/auth/me")).json()["code"] == "session_ended"
    assert (await stranger.get("/auth/me")).status_code == 200

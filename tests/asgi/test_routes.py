from __future__ import annotations

import asyncio

import httpx
import pytest

from holdfast.errors import Unavailable
from holdfast.testing.logs import capture_logs
from holdfast.tokens.keys import KeyRing

PASSWORD = "correct horse battery"
ANOTHER = "staple after battery"
MARK = {"X-Holdfast": "1"}
FORM = {"username": "ann", "password": PASSWORD}


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, str]:
    """What every refusal has."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers.get("www-authenticate", "").startswith("Bearer") is (status == 401)
    body: dict[str, str] = answer.json()
    assert body["code"] == code, body
    assert body["message"].endswith((".", "…"))
    return body


def cookie(answer: httpx.Response) -> str:
    return answer.headers["set-cookie"].partition("=")[2].partition(";")[0]


# POST /token


async def test_a_browser_gets_its_refresh_token_as_a_cookie_and_never_in_a_body(site) -> None:
    answer = await site.visitor().post("/token", data=FORM)
    body = answer.json()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert set(body) == {
        "access_token", "token_type", "expires_in", "refresh_in", "session_id", "generation", "user",
    }  # fmt: skip
    assert (body["token_type"], body["expires_in"], body["generation"]) == ("bearer", 60, 1)
    assert 0 < body["refresh_in"] < 59.75
    assert body["user"]["name"] == "ann"
    assert body["user"]["roles"] == ["admin"]
    assert cookie(answer).startswith("rt1.")
    assert cookie(answer) not in answer.text


async def test_a_program_gets_its_refresh_token_in_the_body_and_no_cookie(site) -> None:
    answer = await site.visitor().post("/token", data={**FORM, "client": "program"})
    assert answer.json()["refresh_token"].startswith("rt1.")
    assert "set-cookie" not in answer.headers


async def test_the_form_of_the_docs_page_is_understood(site) -> None:
    oauth = {"grant_type": "password", "scope": "", "client_id": "", "client_secret": ""}
    headers = {"Authorization": "Basic Og==", "X-Requested-With": "XMLHttpRequest"}
    answer = await site.visitor().post("/token", data={**FORM, **oauth}, headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize("form", [{**FORM, "password": "wrong wrong"}, {**FORM, "username": "nobody"}])
async def test_wrong_credentials_are_refused_alike(site, form: dict[str, str]) -> None:
    answer = await site.visitor().post("/token", data=form)
    body = refused(answer, 401, "bad_credentials")
    assert body["message"] == "The user name or the password is not right."
    assert "set-cookie" not in answer.headers


async def test_too_many_tries_are_told_when_to_come_back(site) -> None:
    client = site.visitor()
    for _ in range(5):
        refused(await client.post("/token", data={**FORM, "password": "wrong"}), 401, "bad_credentials")
    answer = await client.post("/token", data=FORM)
    refused(answer, 429, "throttled")
    assert int(answer.headers["retry-after"]) == 60
    site.clock.set(site.clock.now() + 60)
    assert (await client.post("/token", data=FORM)).status_code == 200


async def test_a_disabled_account_is_forbidden(site) -> None:
    ann = await site.store.user_named("ann")
    await site.sessions.set_disabled(ann.id, True)
    refused(await site.visitor().post("/token", data=FORM), 403, "forbidden")


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"username": "ann"},
        {"password": PASSWORD},
        {**FORM, "client": "fridge"},
        {**FORM, "grant_type": "client_credentials"},
        {**FORM, **{f"field{n}": "x" for n in range(30)}},
    ],
)
async def test_a_form_that_cannot_be_meant_is_refused(site, form: dict[str, str]) -> None:
    refused(await site.visitor().post("/token", data=form), 422, "bad_input")


# POST /auth/refresh


async def test_a_browser_refreshes_by_its_cookie(site) -> None:
    client = site.visitor()
    first = await client.post("/token", data=FORM)
    site.clock.set(site.clock.now() + 11)
    second = await client.post("/auth/refresh", headers=MARK)
    assert second.status_code == 200
    assert second.json()["generation"] == 2
    assert second.json()["session_id"] == first.json()["session_id"]
    assert "refresh_token" not in second.json()
    assert cookie(second) != cookie(first)
    client.headers["Authorization"] = f"Bearer {second.json()['access_token']}"
    assert (await client.get("/auth/me")).status_code == 200


async def test_a_program_refreshes_by_its_body(site) -> None:
    client, tokens = await site.program()
    site.clock.set(site.clock.now() + 11)
    answer = await client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert answer.json()["refresh_token"] != tokens["refresh_token"]
    assert "set-cookie" not in answer.headers


async def test_a_browsers_token_stays_out_of_bodies_even_when_it_came_in_one(site) -> None:
    client = site.visitor()
    value = cookie(await client.post("/token", data=FORM))
    thief = site.visitor()
    answer = await thief.post("/auth/refresh", headers=MARK, json={"refresh_token": value})
    assert answer.status_code == 200
    assert "refresh_token" not in answer.json()


async def test_tabs_that_refresh_at_once_end_up_with_the_same_cookie(site) -> None:
    client = site.visitor()
    await client.post("/token", data=FORM)
    site.clock.set(site.clock.now() + 11)
    answers = await asyncio.gather(*(client.post("/auth/refresh", headers=MARK) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({cookie(answer) for answer in answers}) == 1


async def test_without_a_refresh_token_one_is_not_signed_in(site) -> None:
    refused(await site.visitor().post("/auth/refresh", headers=MARK), 401, "invalid_token")


@pytest.mark.parametrize("token", ["x", "rt1.a.b.1.c", "\x00", "ж" * 100])
async def test_a_made_up_refresh_token_is_refused(site, token: str) -> None:
    client = site.visitor()
    refused(
        await client.post("/auth/refresh", headers=MARK, json={"refresh_token": token}), 401, "invalid_token"
    )


async def test_an_ended_session_is_told_with_its_reason_and_the_cookie_stays(site) -> None:
    """The answer may come late, after somebody has signed in again: it must not take the new cookie away."""
    client = await site.browser()
    sid = (await client.get("/auth/me")).json()["session_id"]
    await site.sessions.revoke(session=sid, reason="banned")
    answer = await client.post("/auth/refresh")
    assert refused(answer, 401, "session_ended")["reason"] == "banned"
    assert "set-cookie" not in answer.headers


async def test_an_old_refresh_token_is_told_as_reuse(site) -> None:
    client, tokens = await site.program()
    site.clock.set(site.clock.now() + 11)
    second = (await client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})).json()
    client.headers["Authorization"] = f"Bearer {second['access_token']}"
    assert (await client.post("/auth/confirm")).status_code == 204
    site.clock.set(site.clock.now() + 11)
    answer = await client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    refused(answer, 401, "token_reused")


# POST /auth/confirm


async def test_confirming_makes_the_token_before_it_a_theft(site) -> None:
    client, tokens = await site.program()
    site.clock.set(site.clock.now() + 11)
    second = (await client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})).json()
    assert (await site.store.session(tokens["session_id"])).confirmed_generation == 1
    client.headers["Authorization"] = f"Bearer {second['access_token']}"
    answer = await client.post("/auth/confirm")
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["cache-control"] == "no-store"
    assert (await site.store.session(tokens["session_id"])).confirmed_generation == 2


async def test_what_could_not_be_confirmed_is_told(site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object, **__: object) -> None:
        raise Unavailable("away")

    client, tokens = await site.program()
    site.clock.set(site.clock.now() + 11)
    second = (await client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})).json()
    client.headers["Authorization"] = f"Bearer {second['access_token']}"
    monkeypatch.setattr(site.store, "confirm", away)
    assert (await client.get("/auth/me")).status_code == 200
    refused(await client.post("/auth/confirm"), 503, "unavailable")


# POST /auth/logout


async def test_signing_out_ends_the_session_and_takes_the_cookie_back(site) -> None:
    client = await site.browser()
    answer = await client.post("/auth/logout")
    assert answer.status_code == 204
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert not client.cookies
    refused(await client.get("/auth/me"), 401, "session_ended")


async def test_a_program_signs_out_by_its_refresh_token(site) -> None:
    client, tokens = await site.program()
    del client.headers["Authorization"]
    answer = await client.post("/auth/logout", json={"refresh_token": tokens["refresh_token"]})
    assert answer.status_code == 204
    assert (await site.store.session(tokens["session_id"])).ended_reason == "signed_out"


async def test_a_program_signs_out_by_its_access_token(site) -> None:
    client, tokens = await site.program()
    for _ in range(2):  # the second time there is nothing left to end, which is what was asked for
        assert (await client.post("/auth/logout")).status_code == 204
    assert (await site.store.session(tokens["session_id"])).ended_reason == "signed_out"


async def test_an_access_token_that_ends_nothing_is_told(site) -> None:
    client, _ = await site.program()
    site.clock.set(site.clock.now() + 60)
    refused(await client.post("/auth/logout"), 401, "token_expired")


async def test_signing_out_with_nothing_or_a_made_up_token_is_no_error(site) -> None:
    client = site.visitor(**MARK)
    assert (await client.post("/auth/logout")).status_code == 204
    assert (await client.post("/auth/logout", json={"refresh_token": "made up"})).status_code == 204


# POST /auth/logout-everywhere


async def test_signing_out_everywhere_ends_every_session_and_takes_the_cookie_back(site) -> None:
    client, other = await site.browser(), await site.browser()
    answer = await client.post("/auth/logout-everywhere")
    assert answer.status_code == 204
    assert not client.cookies
    for each in (client, other):
        refused(await each.get("/auth/me"), 401, "session_ended")


async def test_signing_out_everywhere_else_keeps_this_session_and_its_cookie(site) -> None:
    client, other = await site.browser(), await site.browser()
    answer = await client.post("/auth/logout-everywhere", json={"keep_this_session": True})
    assert answer.status_code == 204
    assert "set-cookie" not in answer.headers
    assert (await client.get("/auth/me")).status_code == 200
    assert (await client.post("/auth/refresh")).status_code == 200
    refused(await other.get("/auth/me"), 401, "session_ended")


# GET /auth/me and the list of sessions


async def test_me_is_who_the_token_says(site) -> None:
    client, tokens = await site.program()
    body = (await client.get("/auth/me")).json()
    assert body == {
        "id": tokens["user"]["id"],
        "name": "ann",
        "roles": ["admin"],
        "session_id": tokens["session_id"],
        "expires_in": 60,
    }


async def test_ones_own_sessions_are_listed_and_nobody_elses(site) -> None:
    client = await site.browser()
    site.clock.set(site.clock.now() + 1)
    _, tokens = await site.program()
    await site.browser("bob")
    found = (await client.get("/auth/sessions")).json()["sessions"]
    assert [(each["client"], each["current"]) for each in found] == [("program", False), ("browser", True)]
    assert found[0]["id"] == tokens["session_id"]
    assert found[0]["address"] == "127.0.0.1"
    assert found[0]["user_agent"].startswith("python-httpx")


async def test_ending_another_session_of_ones_own_leaves_this_one(site) -> None:
    client = await site.browser()
    other, tokens = await site.program()
    answer = await client.delete(f"/auth/sessions/{tokens['session_id']}")
    assert answer.status_code == 204
    assert "set-cookie" not in answer.headers
    refused(await other.get("/auth/me"), 401, "session_ended")
    assert (await client.get("/auth/me")).status_code == 200


async def test_ending_this_session_takes_the_cookie_back(site) -> None:
    client = await site.browser()
    sid = (await client.get("/auth/me")).json()["session_id"]
    await client.delete(f"/auth/sessions/{sid}")
    assert not client.cookies


async def test_somebody_elses_session_is_not_there(site) -> None:
    client = await site.browser("bob")
    _, tokens = await site.program("ann")
    for sid in (tokens["session_id"], "nothing", "%00", "%F0%9F%98%80", "x" * 2000):
        refused(await client.delete(f"/auth/sessions/{sid}"), 404, "not_found")
    assert (await site.store.session(tokens["session_id"])).ended_at is None


# POST /auth/password


async def test_changing_the_password_ends_all_other_sessions(site) -> None:
    client, other = await site.browser(), await site.browser()
    body = {"old_password": PASSWORD, "new_password": ANOTHER}
    assert (await client.post("/auth/password", json=body)).status_code == 204
    assert (await client.get("/auth/me")).status_code == 200
    refused(await other.get("/auth/me"), 401, "session_ended")
    refused(await site.visitor().post("/token", data=FORM), 401, "bad_credentials")
    assert (await site.visitor().post("/token", data={**FORM, "password": ANOTHER})).status_code == 200


@pytest.mark.parametrize(
    ("old", "new", "status", "code"),
    [
        ("not the password", ANOTHER, 401, "bad_credentials"),
        (PASSWORD, "short", 422, "bad_input"),
        (PASSWORD, "password", 422, "bad_input"),
        (PASSWORD, PASSWORD, 422, "bad_input"),
        (PASSWORD, 12345678, 422, "bad_input"),
        (PASSWORD, None, 422, "bad_input"),
    ],
)
async def test_a_password_change_that_cannot_be_is_refused(site, old, new, status: int, code: str) -> None:
    client, _ = await site.program()
    answer = await client.post("/auth/password", json={"old_password": old, "new_password": new})
    refused(answer, status, code)
    assert (await client.get("/auth/me")).status_code == 200


# POST /auth/ticket


async def test_a_ticket_is_good_once_from_the_same_origin(site) -> None:
    client = await site.browser()
    answer = await client.post("/auth/ticket", headers={"Origin": "http://localhost"})
    body = answer.json()
    assert body["expires_in"] == 30
    proof = await site.sessions.redeem_ticket(body["ticket"], origin="http://localhost")
    assert proof.name == "ann"


# GET /.well-known/jwks.json


async def test_a_secret_has_no_public_keys(site) -> None:
    refused(await site.visitor().get("/.well-known/jwks.json"), 404, "not_found")


async def test_public_keys_are_served_where_there_are_some_and_may_be_kept(site, tmp_path) -> None:
    site.keys = KeyRing.from_directory(tmp_path, now=site.clock.now(), algorithm="ES256")
    answer = await site.visitor().get("/.well-known/jwks.json")
    (key,) = answer.json()["keys"]
    assert key["kty"] == "EC"
    assert "d" not in key
    assert answer.headers["cache-control"] == "public, max-age=300"


# What is the same everywhere

NEED_A_TOKEN = [
    ("POST", "/auth/confirm"),
    ("POST", "/auth/logout-everywhere"),
    ("GET", "/auth/me"),
    ("GET", "/auth/sessions"),
    ("DELETE", "/auth/sessions/x"),
    ("POST", "/auth/password"),
    ("POST", "/auth/ticket"),
]
NEED_THE_HEADER = [
    ("POST", "/auth/refresh"),
    ("POST", "/auth/logout"),
    *(r for r in NEED_A_TOKEN if r[0] != "GET"),
]


@pytest.mark.parametrize(("method", "path"), NEED_A_TOKEN)
async def test_what_needs_an_access_token_says_so(site, method: str, path: str) -> None:
    client = await site.browser()
    del client.headers["Authorization"]  # the cookie alone proves nothing
    refused(await client.request(method, path), 401, "invalid_token")
    for value in ("Bearer", "Bearer x", "Bearer " + "x" * 9000, "Basic YTpi", "Bearer é"):
        headers = [("Authorization", value.encode("latin-1"))]
        refused(await client.request(method, path, headers=headers), 401, "invalid_token")


@pytest.mark.parametrize(("method", "path"), NEED_A_TOKEN)
async def test_two_access_tokens_are_none(site, method: str, path: str) -> None:
    client, tokens = await site.program()
    del client.headers["Authorization"]
    headers = [("Authorization", f"Bearer {tokens['access_token']}")] * 2
    refused(await client.request(method, path, headers=headers), 401, "invalid_token")


@pytest.mark.parametrize(("method", "path"), NEED_A_TOKEN)
async def test_an_expired_access_token_is_told_apart(site, method: str, path: str) -> None:
    client, _ = await site.program()
    site.clock.set(site.clock.now() + 60)
    answer = await client.request(method, path)
    refused(answer, 401, "token_expired")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize(("method", "path"), NEED_THE_HEADER)
async def test_what_a_foreign_form_could_send_needs_the_header(site, method: str, path: str) -> None:
    client = await site.browser()
    for headers in ({}, {"X-Holdfast": ""}, {"X-Holdfast": "0"}):
        del client.headers["X-Holdfast"]
        client.headers.update(headers)
        body = refused(await client.request(method, path), 403, "missing_header")
        assert "X-Holdfast: 1" in body["message"]
        client.headers["X-Holdfast"] = "1"
    assert (await client.get("/auth/me")).status_code == 200


@pytest.mark.parametrize(("method", "path"), [("POST", "/token"), *NEED_THE_HEADER])
async def test_a_foreign_page_is_refused(site, method: str, path: str) -> None:
    client = await site.browser()
    for origin in ("https://evil.example", "null", "http://localhost:81", "", "http://localhost@evil"):
        answer = await client.request(method, path, headers={"Origin": origin})
        refused(answer, 403, "foreign_origin")
        assert "access-control-allow-origin" not in answer.headers
        assert "set-cookie" not in answer.headers


BAD_BODIES = [
    b"{",
    b"[]",
    b'"x"',
    b"1",
    b"null",
    b"\xff",
    b'{"refresh_token": 1}',
    b'{"unknown": 1}',
    b'{"refresh_token": NaN}',
    b'{"refresh_token": "\\ud800"}',
    b'{"refresh_token": "a", "refresh_token": "b"}',
    b"[" * 5000,
    b"1" * 5000,
    b'{"refresh_token": "' + b"x" * 600 + b'"}',
    b'{"refresh_token": "' + b"x" * 20_000 + b'"}',
]


@pytest.mark.parametrize(
    "path", ["/auth/refresh", "/auth/logout", "/auth/logout-everywhere", "/auth/password"]
)
async def test_a_body_that_cannot_be_meant_is_refused(site, path: str) -> None:
    client, _ = await site.program()
    for content in BAD_BODIES:
        answer = await client.post(path, content=content, headers={"Content-Type": "application/json"})
        refused(answer, 422, "bad_input")
    assert (await client.get("/auth/me")).status_code == 200


async def test_a_store_that_is_away_is_told_as_such(site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object, **__: object) -> None:
        raise Unavailable("the disk is full at /secret/path")

    client = await site.browser()
    monkeypatch.setattr(site.store, "session", away)
    with capture_logs() as lines:
        answer = await client.post("/auth/refresh")
    body = refused(answer, 503, "unavailable")
    assert "secret" not in body["message"]
    assert answer.headers["retry-after"] == "1"
    assert any("the disk is full" in line.get("error", "") for line in lines)


async def test_the_log_holds_no_secret_of_a_request(site) -> None:
    with capture_logs() as lines:
        client = await site.browser()
        token = client.headers["Authorization"].removeprefix("Bearer ")
        value = next(iter(client.cookies.values()))
        await client.post("/auth/refresh")
        await client.post("/auth/refresh", headers={"Authorization": "Bearer damaged" + token})
        await client.post("/auth/password", json={"old_password": "a wrong one", "new_password": ANOTHER})
        await client.post("/token", data={"username": "oops my password", "password": "x"})
    written = repr(lines)
    assert len(lines) >= 4
    for secret in (token, value, value.split(".")[-1], PASSWORD, "a wrong one", ANOTHER, "oops my password"):
        assert secret not in written

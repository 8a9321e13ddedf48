from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest
import websockets

import holdfast
from holdfast.errors import ConfigurationError, Unavailable
from holdfast.hold import Holdfast
from holdfast.server.app import build_app
from holdfast.server.first_start import ensure_admin
from holdfast.settings import load


async def test_a_person_signs_in_and_talks_to_the_echo(running: Any) -> None:
    token = await running.token("admin")
    async with websockets.connect(f"{running.ws_url}/ws?token={token}") as ws:
        await ws.send('{"hello": ["wörld", 1]}')
        assert json.loads(await ws.recv()) == {"echo": {"hello": ["wörld", 1]}}


async def test_without_a_dashboard_the_root_says_what_this_is(
    start_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.server.dashboard.STATIC", tmp_path / "not built")
    running = await start_server()
    assert (await running.http.get("/")).json() == {"holdfast": holdfast.__version__, "docs": "/docs"}


async def test_healthy_and_ready_are_different_questions(
    running: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await running.http.get("/healthz")).json() == {"status": "ok"}
    assert (await running.http.get("/readyz")).json() == {"status": "ready", "problems": {}}

    async def away() -> None:
        raise Unavailable("the database does not answer")

    monkeypatch.setattr(running.parts.hold.store, "ping", away)
    ready = await running.http.get("/readyz")
    assert (ready.status_code, ready.json()["problems"]) == (503, {"store": "the database does not answer"})
    assert (await running.http.get("/healthz")).status_code == 200


async def test_metrics_count_what_happened(running: Any) -> None:
    token = await running.token("admin")
    async with websockets.connect(f"{running.ws_url}/ws?token={token}") as ws:
        await ws.send("{}")
        await ws.recv()
        text = (await running.http.get("/metrics")).text
    assert "\nholdfast_connections 1.0\n" in text
    assert '\nholdfast_connections_opened_total{carrier="query"} 1.0\n' in text
    assert '\nholdfast_sign_ins_total{outcome="ok"} 1.0\n' in text


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
async def test_metrics_are_not_shown_through_a_proxy_that_nobody_told_us_of(
    running: Any, header: str
) -> None:
    """Else a proxy on this machine would make the whole world local."""
    answer = await running.http.get("/metrics", headers={header: "203.0.113.7"})
    assert answer.status_code == 403
    assert "HOLDFAST_METRICS_NETWORKS" in answer.json()["message"]


async def test_behind_a_known_proxy_metrics_go_to_the_named_networks(start_server: Any) -> None:
    running = await start_server(trusted_proxies="127.0.0.1", metrics_networks="203.0.113.0/24")
    for asker, status in (("203.0.113.7", 200), ("198.51.100.1", 403), ("not an address", 403)):
        answer = await running.http.get("/metrics", headers={"X-Forwarded-For": asker})
        assert answer.status_code == status, asker
    assert (await running.http.get("/metrics")).status_code == 200


async def test_a_request_that_cannot_be_read_is_answered_without_repeating_it(running: Any) -> None:
    async with await running.as_admin() as admin:
        answer = await admin.post("/admin/users", json={"nom": "bob", "password": "hunter2-hunter2"})
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_input")
    assert "body.name" in answer.json()["message"]
    assert "hunter2" not in answer.text


async def test_every_answer_says_how_browsers_must_treat_it(running: Any) -> None:
    headers = (await running.http.get("/healthz")).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "Strict-Transport-Security" not in headers
    assert "server" not in headers


async def test_over_https_browsers_are_told_to_stay_there(start_server: Any) -> None:
    running = await start_server(trusted_proxies="127.0.0.1")
    answer = await running.http.get("/healthz", headers={"X-Forwarded-Proto": "https"})
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=")


async def test_only_named_origins_may_read_answers(start_server: Any) -> None:
    running = await start_server(allowed_origins="https://app.example")
    for origin, told in (("https://app.example", "https://app.example"), ("https://evil.example", None)):
        answer = await running.http.options(
            "/admin/users",
            headers={
                "Origin": origin,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,content-type,x-holdfast",
            },
        )
        assert answer.headers.get("Access-Control-Allow-Origin") == told
        assert (answer.status_code == 200) is (told is not None)


async def test_openapi_describes_every_route(running: Any) -> None:
    paths = (await running.http.get("/openapi.json")).json()["paths"]
    assert {"/token", "/auth/refresh", "/admin/connections", "/admin/stats", "/healthz", "/metrics"} <= set(
        paths
    )


async def test_signals_are_the_runners_alone(running: Any) -> None:
    """The library's lifespan drains on SIGTERM too; twice, the second signal would not quit at once."""
    assert signal.getsignal(signal.SIGTERM) == running.server.handle_exit


async def test_data_directory_and_what_is_in_it_are_the_owners_alone(running: Any) -> None:
    where: Path = running.parts.hold.settings.data_dir
    assert where.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o077 for path in where.iterdir()} == {0}


async def test_two_first_starts_at_once_make_one_secret_and_one_administrator(tmp_path: Path) -> None:
    settings = load(data_dir=tmp_path / "data")
    one, other = (build_app(settings).state.parts.hold for _ in range(2))
    async with one, other:
        made = await asyncio.gather(ensure_admin(one), ensure_admin(other))
        assert len([admin for admin in made if admin is not None]) == 1
        (admin,) = [user for user in await one.store.users() if "admin" in user.roles]
        assert admin.name == "admin"
        grant = await one.sessions.open(admin.id, name=admin.name, roles=admin.roles, client="program")
        assert (await other.sessions.authenticate(grant.access_token)).user == admin.id


async def test_a_later_start_makes_nobody(tmp_path: Path) -> None:
    for made in (True, False):
        async with Holdfast(data_dir=tmp_path / "data", create_secret=True) as hold:
            assert (await ensure_admin(hold) is not None) is made


async def test_a_made_password_opens_the_account_and_is_in_no_repr(tmp_path: Path) -> None:
    async with Holdfast(data_dir=tmp_path / "data", create_secret=True) as hold:
        made = await ensure_admin(hold)
        assert made is not None
        assert made.password is not None
        assert made.password not in repr(made)
        grant = await hold.sessions.sign_in(
            "admin", made.password, client="program", address=None, user_agent=None
        )
        assert grant.user.roles == ("admin",)


async def test_a_given_admin_password_that_will_not_do_is_told_by_its_variable(tmp_path: Path) -> None:
    async with Holdfast(data_dir=tmp_path / "data", create_secret=True, admin_password="short") as hold:
        with pytest.raises(ConfigurationError, match="HOLDFAST_ADMIN_PASSWORD"):
            await ensure_admin(hold)


async def test_an_admin_who_exists_under_another_name_is_enough(tmp_path: Path) -> None:
    async with Holdfast(data_dir=tmp_path / "data", create_secret=True) as hold:
        await hold.sessions.add_user("ann", "correct horse battery staple", ("admin",))
        assert await ensure_admin(hold) is None
        assert await hold.store.user_named("admin") is None

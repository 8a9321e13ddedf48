from __future__ import annotations

import httpx
import pytest

PASSWORD = "correct horse battery"
FORM = {"username": "ann", "password": PASSWORD}
SPA = "https://app.example.com"


async def preflight(
    client: httpx.AsyncClient, path: str, origin: str, method: str = "POST"
) -> httpx.Response:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,content-type,x-holdfast",
    }
    return await client.options(path, headers=headers)


PATHS = [
    ("/token", "POST"),
    ("/auth/refresh", "POST"),
    ("/auth/me", "GET"),
    ("/auth/sessions/x", "DELETE"),
    ("/.well-known/jwks.json", "GET"),
]


@pytest.mark.parametrize(("path", "method"), PATHS)
async def test_a_page_of_an_allowed_origin_passes_the_preflight(site, path: str, method: str) -> None:
    site.serve(allowed_origins=(SPA,))
    answer = await preflight(site.visitor("https://api.example.com"), path, SPA, method)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == SPA
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert method in answer.headers["access-control-allow-methods"].split(", ")
    allowed = answer.headers["access-control-allow-headers"].lower().split(", ")
    assert {"authorization", "content-type", "x-holdfast"} <= set(allowed)
    assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize(
    "origin", ["https://evil.example.com", "http://app.example.com", "null", SPA + ".evil.com"]
)
async def test_a_page_of_another_origin_does_not(site, origin: str) -> None:
    site.serve(allowed_origins=(SPA,))
    answer = await preflight(site.visitor("https://api.example.com"), "/auth/refresh", origin)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


async def test_a_single_page_app_elsewhere_signs_in_and_refreshes(site) -> None:
    site.serve(allowed_origins=(SPA,))
    page = site.visitor("https://api.example.com", origin=SPA)
    signed_in = await page.post("/token", data=FORM)
    site.clock.set(site.clock.now() + 11)
    refreshed = await page.post("/auth/refresh", headers={"X-Holdfast": "1"})
    for answer in (signed_in, refreshed):
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == SPA
        assert answer.headers["access-control-allow-credentials"] == "true"
    assert refreshed.json()["generation"] == 2


async def test_a_refusal_can_be_read_by_the_page_with_its_retry_after(site) -> None:
    site.serve(allowed_origins=(SPA,))
    page = site.visitor("https://api.example.com", origin=SPA)
    for _ in range(5):
        await page.post("/token", data={**FORM, "password": "wrong"})
    answer = await page.post("/token", data=FORM)
    assert answer.status_code == 429
    assert answer.headers["access-control-allow-origin"] == SPA
    assert "Retry-After" in answer.headers["access-control-expose-headers"]


async def test_nobody_is_ever_told_that_everybody_may(site) -> None:
    client = site.visitor()
    for answer in (await client.get("/auth/me"), await client.get("/.well-known/jwks.json")):
        assert "access-control-allow-origin" not in answer.headers
        assert "Origin" in answer.headers["vary"]


async def test_the_servers_own_pages_need_no_setting(site) -> None:
    page = site.visitor("http://localhost:8000", origin="http://localhost:8000")
    assert (await page.post("/token", data=FORM)).status_code == 200


async def test_behind_a_trusted_proxy_the_host_that_the_browser_knows_counts(site) -> None:
    forwarded = {"origin": "https://app.example.com", "x-forwarded-host": "app.example.com"}
    page = site.visitor("http://upstream:8000", address="10.0.0.5", **forwarded)
    assert (await page.post("/token", data=FORM)).status_code == 403
    site.serve(trusted_proxies=("10.0.0.5",))
    page = site.visitor("http://upstream:8000", address="10.0.0.5", **forwarded)
    assert (await page.post("/token", data=FORM)).status_code == 200


async def test_two_origins_are_none_that_may_be_here(site) -> None:
    headers = [("Origin", "http://localhost"), ("Origin", "https://evil.example")]
    answer = await site.visitor().post("/token", data=FORM, headers=headers)
    assert answer.status_code == 403


async def test_options_without_a_preflight_says_what_there_is(site) -> None:
    answer = await site.visitor().options("/auth/refresh")
    assert (answer.status_code, answer.headers["allow"]) == (204, "POST, OPTIONS")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "TRACE"])
async def test_a_method_that_is_not_there_is_told_as_json(site, method: str) -> None:
    answer = await site.visitor().request(method, "/auth/refresh")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST, OPTIONS"
    assert answer.json()["code"] == "method_not_allowed"

from __future__ import annotations

import httpx
import pytest

from holdfast.testing.logs import capture_logs

PASSWORD = "correct horse battery"
FORM = {"username": "ann", "password": PASSWORD}
MARK = {"X-Holdfast": "1"}


def parts(answer: httpx.Response) -> tuple[str, dict[str, str]]:
    """The name of the cookie that an answer sets, and its attributes in lower case."""
    first, *rest = answer.headers["set-cookie"].split("; ")
    attributes = {key.lower(): value for key, _, value in (each.partition("=") for each in rest)}
    return first.partition("=")[0], attributes


async def test_over_https_no_script_no_other_site_and_no_other_host_gets_it(site) -> None:
    name, attributes = parts(await site.visitor("https://app.example").post("/token", data=FORM))
    assert name == "__Host-holdfast"
    assert set(attributes) == {"httponly", "secure", "samesite", "path", "max-age"}
    assert (attributes["samesite"], attributes["path"]) == ("strict", "/")


async def test_over_plain_http_it_has_the_plain_name(site) -> None:
    name, attributes = parts(await site.visitor("http://127.0.0.1:8000").post("/token", data=FORM))
    assert name == "holdfast"
    assert set(attributes) == {"httponly", "samesite", "path", "max-age"}


async def test_it_lives_as_long_as_the_session_may_idle(site) -> None:
    _, attributes = parts(await site.visitor().post("/token", data=FORM))
    assert int(attributes["max-age"]) == 14 * 86_400


async def test_a_refresh_lets_it_live_on_but_never_past_the_session(site) -> None:
    client = site.visitor("https://app.example")
    start = site.clock.now()
    await client.post("/token", data=FORM)
    lives = []
    for day in (13, 26, 39, 52, 65, 78, 89):
        site.clock.set(start + day * 86_400)
        answer = await client.post("/auth/refresh", headers=MARK)
        lives.append(int(parts(answer)[1]["max-age"]) // 86_400)
    assert lives == [14, 14, 14, 14, 14, 12, 1]


async def test_taking_it_back_names_the_same_cookie(site) -> None:
    client = await site.browser(base_url="https://app.example")
    assert len(client.cookies) == 1
    name, attributes = parts(await client.post("/auth/logout"))
    assert (name, attributes["max-age"], attributes["path"]) == ("__Host-holdfast", "0", "/")
    assert "secure" in attributes


async def test_over_https_the_plain_cookie_which_a_neighbour_could_set_is_not_read(site) -> None:
    plain = site.visitor()
    await plain.post("/token", data=FORM)
    value = next(iter(plain.cookies.values()))
    https = site.visitor("https://app.example", cookie=f"holdfast={value}", **MARK)
    assert (await https.post("/auth/refresh")).status_code == 401
    https = site.visitor("https://app.example", cookie=f"__Host-holdfast={value}", **MARK)
    assert (await https.post("/auth/refresh")).status_code == 200


async def test_a_proxy_that_ends_tls_is_believed_if_it_is_known(site) -> None:
    forwarded = {"x-forwarded-proto": "https"}
    assert parts(await site.visitor(**forwarded).post("/token", data=FORM))[0] == "holdfast"
    site.serve(trusted_proxies=("127.0.0.1",))
    assert parts(await site.visitor(**forwarded).post("/token", data=FORM))[0] == "__Host-holdfast"


@pytest.mark.parametrize(
    ("base_url", "warns"),
    [
        ("http://intranet.example", True),
        ("http://192.0.2.10:8000", True),
        ("http://localhost:8000", False),
        ("http://app.localhost", False),
        ("http://127.0.0.1:8000", False),
        ("http://[::1]:8000", False),
        ("https://app.example", False),
    ],
)
async def test_plain_http_away_from_loopback_works_and_is_warned_of_once(
    site, base_url: str, warns: bool
) -> None:
    client = site.visitor(base_url)
    with capture_logs() as lines:
        for _ in range(2):
            assert (await client.post("/token", data=FORM)).status_code == 200
    warned = [line for line in lines if "plain http" in line["event"]]
    assert len(warned) == warns
    if base_url.startswith("http:"):
        site.clock.set(site.clock.now() + 11)
        assert (await client.post("/auth/refresh", headers=MARK)).status_code == 200


@pytest.mark.parametrize(
    "header", ["holdfast", "holdfast=", "=;=;;", "holdfast=\xe9\xff", "a=b; " * 500, 'holdfast="']
)
async def test_a_malformed_cookie_is_none(site, header: str) -> None:
    headers = [("Cookie", header.encode("latin-1")), ("X-Holdfast", b"1")]
    answer = await site.visitor().post("/auth/refresh", headers=headers)
    assert answer.status_code == 401
    assert answer.json()["code"] == "invalid_token"

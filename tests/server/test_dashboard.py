from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pytest

PERSON = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PAGE = (
    '<!doctype html><script nonce="__CSP_NONCE__" src="/assets/index-A1.js"></script><title>Holdfast</title>'
)
SCRIPT = "console.info('é');\n" * 50


@pytest.fixture
async def served(tmp_path: Path, start_server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A server with what the build leaves, in small."""
    files = tmp_path / "static" / "assets"
    files.mkdir(parents=True)
    (files.parent / "index.html").write_text(PAGE, encoding="utf-8")
    (files / "index-A1.js").write_text(SCRIPT, encoding="utf-8")
    (files / "index-A1.js.gz").write_bytes(gzip.compress(SCRIPT.encode()))
    (files / "style-B2.css").write_text("body{}", encoding="utf-8")
    monkeypatch.setattr("holdfast.server.dashboard.STATIC", files.parent)
    return await start_server()


@pytest.mark.parametrize("path", ["/", "/live", "/connections/0123456789abcdef", "/no/such/page"])
async def test_every_address_that_a_person_opens_has_the_page(served: Any, path: str) -> None:
    answer = await served.http.get(path, headers=PERSON)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "<title>Holdfast</title>" in answer.text
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path", ["/auth/nothing", "/admin/nothing", "/token/nothing", "/ws", "/assets/gone-C3.js", "/healthz/x"]
)
async def test_below_what_the_server_has_of_its_own_there_is_no_page(served: Any, path: str) -> None:
    answer = await served.http.get(path, headers=PERSON)
    assert answer.status_code == 404
    assert answer.json()["message"]


@pytest.mark.parametrize(
    ("method", "accept"), [("GET", "*/*"), ("GET", "application/json"), ("POST", "text/html")]
)
async def test_a_program_is_told_that_there_is_nothing(served: Any, method: str, accept: str) -> None:
    answer = await served.http.request(method, "/live", headers={"Accept": accept})
    assert (answer.status_code, answer.json()["code"]) == (404, "http_404")


async def test_only_this_answers_scripts_and_styles_may_be_inline(served: Any) -> None:
    first, second = [await served.http.get("/", headers=PERSON) for _ in range(2)]
    nonces = set()
    for answer in (first, second):
        policy = answer.headers["content-security-policy"]
        nonce = re.search(r"script-src 'self' 'nonce-([\w-]{22})'", policy)
        assert nonce is not None, policy
        assert f'nonce="{nonce[1]}"' in answer.text
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        nonces.add(nonce[1])
    assert len(nonces) == 2


async def test_the_page_may_open_a_websocket_to_its_own_host_and_no_other(served: Any) -> None:
    policy = (await served.http.get("/")).headers["content-security-policy"]
    assert f"connect-src 'self' {served.ws_url};" in policy


@pytest.mark.parametrize("host", ["a.example; script-src *", "a.example *", "a.example,b.example"])
async def test_a_host_that_is_none_adds_nothing_to_the_policy(served: Any, host: str) -> None:
    policy = (await served.http.get("/", headers={"Host": host})).headers["content-security-policy"]
    assert "connect-src 'self';" in policy
    assert "example" not in policy


async def test_behind_tls_the_websocket_is_one_too(start_server: Any, served: Any) -> None:  # it is built
    running = await start_server(trusted_proxies="127.0.0.1")
    forwarded = {"X-Forwarded-Proto": "https", "Host": "live.example"}
    policy = (await running.http.get("/", headers=forwarded)).headers["content-security-policy"]
    assert "connect-src 'self' wss://live.example;" in policy


async def test_files_are_kept_for_good_and_sent_compressed_to_those_who_can_read_it(served: Any) -> None:
    packed = await served.http.get("/assets/index-A1.js", headers={"Accept-Encoding": "gzip"})
    plain = await served.http.get("/assets/index-A1.js", headers={"Accept-Encoding": "identity"})
    assert (packed.headers["content-encoding"], "content-encoding" in plain.headers) == ("gzip", False)
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"])
    for answer in (packed, plain):
        assert answer.text == SCRIPT
        assert answer.headers["content-type"].startswith("text/javascript")
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["vary"] == "Accept-Encoding"
    style = await served.http.get("/assets/style-B2.css")
    assert style.headers["content-type"].startswith("text/css")


@pytest.mark.parametrize(
    "name", ["../index.html", "..%2findex.html", "%2e%2e/index.html", "index-A1.js.gz", ""]
)
async def test_nothing_but_the_built_files_is_served(served: Any, name: str) -> None:
    answer = await served.http.get(f"/assets/{name}", headers={"Accept": "*/*"})
    assert answer.status_code == 404
    assert "immutable" not in answer.headers.get("cache-control", "")

"""The cache of an identity provider's keys: how often it asks, and what it does without an answer."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from holdfast.errors import ConfigurationError, Unavailable
from holdfast.tokens import algorithms, jwks
from holdfast.tokens.jwks import MAX_JWKS_BYTES, MAX_STALE_SECONDS, MIN_REFETCH_SECONDS, JwksCache, http_fetch

URL = "https://id.example/jwks.json"
CACHE = 300.0


def pair(algorithm="ES256", **changes):
    material = algorithms.from_pem(algorithm, algorithms.generate(algorithm))
    return {**material.public_jwk(), **changes}


@pytest.fixture(scope="module")
def jwk():
    return pair(kid="one")


class Provider:
    """A fetch that answers what it is told to, and counts."""

    def __init__(self, *keys):
        self.keys = list(keys)
        self.calls = 0
        self.fault = None
        self.body = None
        self.gate = None

    async def __call__(self, url):
        assert url == URL
        self.calls += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        return self.body if self.body is not None else json.dumps({"keys": self.keys}).encode()


@pytest.fixture
def provider(jwk):
    return Provider(jwk)


@pytest.fixture
def cache(provider):
    return JwksCache(URL, cache_seconds=CACHE, fetch=provider)


async def test_keys_are_fetched_when_first_needed_and_kept(cache, provider, now):
    assert provider.calls == 0
    for passed in (0, 1, CACHE - 1):
        assert (await cache.key("one", "ES256", now + passed)).kid == "one"
    assert provider.calls == 1


@pytest.mark.parametrize(("passed", "calls"), [(CACHE - 1, 1), (CACHE, 2), (CACHE + 1, 2)])
async def test_keys_are_fetched_again_after_the_cache_time(cache, provider, now, passed, calls):
    await cache.key("one", "ES256", now)
    await cache.key("one", "ES256", now + passed)
    assert provider.calls == calls


async def test_a_key_that_the_provider_withdraws_is_gone_after_the_cache_time(cache, provider, now):
    await cache.key("one", "ES256", now)
    provider.keys = [pair(kid="two")]
    assert await cache.key("one", "ES256", now + CACHE) is None
    assert (await cache.key("two", "ES256", now + CACHE)).kid == "two"


async def test_however_many_wait_one_fetch_is_under_way(cache, provider, now):
    provider.gate = asyncio.Event()
    waiting = [asyncio.create_task(cache.key("one", "ES256", now + n / 10)) for n in range(20)]
    await asyncio.sleep(0)
    provider.gate.set()
    assert all([await task for task in waiting])
    assert provider.calls == 1


async def test_the_first_one_to_ask_may_give_up_without_harm_to_the_others(cache, provider, now):
    provider.gate = asyncio.Event()
    first, second = (asyncio.create_task(cache.key("one", "ES256", now)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    assert first.cancelled()
    provider.gate.set()
    assert (await second).kid == "one"
    assert provider.calls == 1


async def test_a_new_key_is_found_before_the_cache_time_is_over(cache, provider, jwk, now):
    await cache.key("one", "ES256", now)
    provider.keys = [jwk, pair(kid="two")]
    assert (await cache.key("two", "ES256", now + MIN_REFETCH_SECONDS)).kid == "two"


async def test_made_up_kids_reach_the_provider_once_in_the_least_interval(cache, provider, now):
    await cache.key("one", "ES256", now)
    for n in range(1000):
        assert await cache.key(f"made-up-{n}", "ES256", now + n * MIN_REFETCH_SECONDS / 1000) is None
    assert provider.calls == 1
    await cache.key("made-up", "ES256", now + MIN_REFETCH_SECONDS - 0.001)
    assert provider.calls == 1
    await cache.key("made-up", "ES256", now + MIN_REFETCH_SECONDS)
    assert provider.calls == 2


@pytest.mark.parametrize(
    "fault", [OSError("down"), TimeoutError(), Unavailable("503"), ValueError("x"), KeyError("x")], ids=repr
)
async def test_keys_that_were_good_stay_while_the_provider_is_down(cache, provider, now, fault):
    await cache.key("one", "ES256", now)
    provider.fault = fault
    for passed in (CACHE, MAX_STALE_SECONDS - 1):
        assert (await cache.key("one", "ES256", now + passed)).kid == "one"
    for passed in (MAX_STALE_SECONDS, MAX_STALE_SECONDS + 1):
        with pytest.raises(Unavailable):
            await cache.key("one", "ES256", now + passed)


async def test_a_provider_that_is_down_is_asked_once_in_the_least_interval(cache, provider, now):
    provider.fault = OSError("down")
    for passed in (0, 1, MIN_REFETCH_SECONDS - 1):
        with pytest.raises(Unavailable):
            await cache.key("one", "ES256", now + passed)
    assert provider.calls == 1
    provider.fault = None
    assert (await cache.key("one", "ES256", now + MIN_REFETCH_SECONDS)).kid == "one"
    assert provider.calls == 2


async def test_an_unknown_kid_cannot_be_judged_while_the_provider_is_down(cache, provider, now):
    await cache.key("one", "ES256", now)
    provider.fault = OSError("down")
    with pytest.raises(Unavailable):
        await cache.key("two", "ES256", now + MIN_REFETCH_SECONDS)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": 7}',
        b"\xff",
        b'{"keys": []}' + b" " * MAX_JWKS_BYTES,
    ],
)
async def test_an_answer_that_is_no_key_set_counts_as_down(cache, provider, now, body, caplog):
    provider.body = body
    with caplog.at_level(logging.WARNING), pytest.raises(Unavailable):
        await cache.key("one", "ES256", now)
    assert caplog.messages[0].startswith("oidc.keys_unreachable: ")


async def test_a_provider_that_never_answers_counts_as_down(cache, provider, now, monkeypatch):
    monkeypatch.setattr(jwks, "FETCH_TIMEOUT", 0)
    provider.gate = asyncio.Event()
    async with asyncio.timeout(30):
        with pytest.raises(Unavailable):
            await cache.key("one", "ES256", now)


async def test_an_empty_key_set_is_an_answer(cache, provider, now):
    provider.keys = []
    assert await cache.key("one", "ES256", now) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"alg": "ES384"},
        {"alg": "HS256"},
        {"alg": 7},
        {"use": "enc"},
        {"use": None},
        {"key_ops": ["sign"]},
        {"key_ops": "verify"},
        {"kid": 7},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"crv": "P-384"},
        {"d": "c2VjcmV0"},
        {"x": "AAAA"},
    ],
    ids=str,
)
async def test_a_key_for_something_else_is_not_used_and_takes_no_other_with_it(cache, provider, now, changes):
    provider.keys = [pair(**{"kid": "odd", **changes}), 7, None, {}, *provider.keys]
    assert await cache.key("odd", "ES256", now) is None
    assert (await cache.key("one", "ES256", now)).kid == "one"


async def test_a_key_that_does_not_say_what_it_is_for_is_used_for_what_it_fits(cache, provider, now):
    bare = pair("EdDSA", kid="bare")
    for name in ("alg", "use"):
        del bare[name]
    provider.keys = [bare]
    assert await cache.key("bare", "ES256", now) is None
    assert await cache.key("bare", "RS256", now) is None
    assert (await cache.key("bare", "EdDSA", now)).algorithm == "EdDSA"


async def test_two_keys_of_one_name_are_told_apart_by_their_algorithm(cache, provider, now):
    provider.keys = [pair("EdDSA", kid="one"), *provider.keys]
    assert (await cache.key("one", "ES256", now)).algorithm == "ES256"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "id.example",
        "ftp://id.example/x",
        "http://id.example/x",
        "http://127.0.0.1.evil.example/",
        "file:///x",
    ],
)
def test_a_url_that_anybody_could_answer_is_refused(url):
    with pytest.raises(ConfigurationError, match="HOLDFAST_OIDC_JWKS_URL"):
        JwksCache(url, cache_seconds=CACHE, fetch=Provider())


@pytest.mark.parametrize("url", [URL, "http://127.0.0.1:9/x", "http://[::1]:9/x", "http://localhost/x"])
def test_https_and_this_machine_are_fine(url):
    JwksCache(url, cache_seconds=CACHE, fetch=Provider())


def test_without_httpx_the_extra_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(ConfigurationError, match=r"holdfast\[oidc\]"):
        JwksCache(URL, cache_seconds=CACHE)


def test_importing_the_tokens_needs_no_httpx():
    import subprocess
    import sys

    code = "import sys, holdfast.tokens.outside; sys.exit('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# The default fetch, against a real server


@pytest.fixture(scope="module")
def server():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            answers = {
                "/good": (200, b'{"keys": []}'),
                "/missing": (404, b'{"keys": []}'),
                "/moved": (302, b""),
                "/large": (200, b" " * (MAX_JWKS_BYTES + 1)),
            }
            status, body = answers[self.path]
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/good")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


async def test_the_default_fetch_gets_the_body(server):
    assert await http_fetch()(f"{server}/good") == b'{"keys": []}'


@pytest.mark.parametrize(("path", "why"), [("missing", "404"), ("moved", "302"), ("large", "too large")])
async def test_the_default_fetch_takes_nothing_but_a_key_set_from_where_it_asked(server, path, why):
    with pytest.raises(Unavailable, match=why):
        await http_fetch()(f"{server}/{path}")

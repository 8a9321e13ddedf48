"""The public keys of an outside identity provider, fetched when they are needed and kept for a while.

However many tokens wait for keys, one fetch is under way; whatever `kid`s are made up, the provider is asked once in
`MIN_REFETCH_SECONDS`; and when it is down, keys that were good go on being good for `MAX_STALE_SECONDS`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from holdfast.errors import ConfigurationError, Unavailable
from holdfast.tokens.algorithms import Material, fits, public_from_jwk

Fetch = Callable[[str], Awaitable[bytes]]
"""Gets a URL's body; whatever it raises means that the provider cannot be reached."""

MIN_REFETCH_SECONDS = 10.0
MAX_STALE_SECONDS = 86_400.0
MAX_JWKS_BYTES = 262_144
MAX_KEYS = 100
FETCH_TIMEOUT = 5.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _PublicKey:
    """One key of the set; `algorithm` is what its owner says it is for, if anything."""

    kid: str
    algorithm: str | None
    public: Any = field(repr=False)


class JwksCache:
    """The key set behind one URL.

    Times are the `now` of the callers: nothing here reads a clock, and a fetch counts from when it was asked for.
    """

    def __init__(self, url: str, *, cache_seconds: float, fetch: Fetch | None = None) -> None:
        """
        Raises:
            ConfigurationError: the URL is neither https nor on this machine, or there is nothing to fetch with.
        """
        _check_url(url)
        self._url = url
        self._cache_seconds = cache_seconds
        self._fetch = fetch or http_fetch()
        self._keys: tuple[_PublicKey, ...] | None = None
        self._fetched_at = -math.inf
        self._tried_at = -math.inf
        self._reachable = True
        self._flight: asyncio.Task[None] | None = None

    async def key(self, kid: str, algorithm: str, now: float) -> Material | None:
        """The key by that name that fits the algorithm; `None` if the provider has none.

        Raises:
            Unavailable: the provider cannot be asked, and what is at hand does not answer it.
        """
        if self._age(now) >= self._cache_seconds:
            await self._refetch(now)
        found = self._find(kid, algorithm, now)
        if found is None and self._fetched_at != now:
            await self._refetch(now)
            found = self._find(kid, algorithm, now)
        if found is None and not self._reachable:
            raise Unavailable("the identity provider's keys cannot be fetched just now")
        return found

    def _age(self, now: float) -> float:
        return abs(now - self._fetched_at)

    def _find(self, kid: str, algorithm: str, now: float) -> Material | None:
        if self._keys is None or self._age(now) >= max(self._cache_seconds, MAX_STALE_SECONDS):
            return None
        for key in self._keys:
            if key.kid == kid and key.algorithm in (None, algorithm) and fits(algorithm, key.public):
                return Material(algorithm, kid, None, key.public)
        return None

    async def _refetch(self, now: float) -> None:
        """Ask the provider, unless it was asked a moment ago; returns when the answer is in, good or not."""
        if self._flight is None:
            if abs(now - self._tried_at) < MIN_REFETCH_SECONDS:
                return
            self._tried_at = now
            self._flight = asyncio.create_task(self._fly(now))
        # Shielded: whoever asked first may be cancelled, and the others still wait for the answer.
        await asyncio.shield(self._flight)

    async def _fly(self, now: float) -> None:
        try:
            async with asyncio.timeout(FETCH_TIMEOUT):
                keys = _parse(await self._fetch(self._url))
        except Exception as error:  # noqa: BLE001 - a fetch of the user's own may raise anything; all of it means "down"
            self._reachable = False
            _log.warning("oidc.keys_unreachable: %s", type(error).__name__)
        else:
            self._keys, self._fetched_at, self._reachable = keys, now, True
        finally:
            self._flight = None


def http_fetch() -> Fetch:
    """Gets a URL with httpx: no redirects, one status that counts, a time limit and a size limit.

    Raises:
        ConfigurationError: httpx is not installed.
    """
    try:
        import httpx  # an extra: only those with an outside issuer need it
    except ImportError:
        raise ConfigurationError(
            "HOLDFAST_OIDC_ISSUER needs httpx; run: pip install 'holdfast[oidc]'"
        ) from None

    async def fetch(url: str) -> bytes:
        headers = {"Accept": "application/jwk-set+json, application/json"}
        async with (
            httpx.AsyncClient(timeout=FETCH_TIMEOUT, follow_redirects=False) as client,
            client.stream("GET", url, headers=headers) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise Unavailable(f"the key set answers {response.status_code}")
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_JWKS_BYTES:
                    raise Unavailable("the key set is too large")
            return bytes(body)

    return fetch


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if not parts.hostname or parts.scheme not in ("https", "http"):
        raise ConfigurationError("HOLDFAST_OIDC_JWKS_URL is not an https URL")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ConfigurationError(
            "HOLDFAST_OIDC_JWKS_URL is plain http: anybody on the way could swap the keys"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _parse(body: bytes) -> tuple[_PublicKey, ...]:
    if len(body) > MAX_JWKS_BYTES:
        raise ValueError("the key set is too large")
    keys = json.loads(body)["keys"]
    if not isinstance(keys, list):
        raise TypeError("the key set has no list of keys")
    return tuple(key for jwk in keys[:MAX_KEYS] if (key := _public_key(jwk)) is not None)


def _public_key(jwk: Any) -> _PublicKey | None:
    if not isinstance(jwk, dict) or jwk.get("use", "sig") != "sig":
        return None
    kid, algorithm, operations = jwk.get("kid"), jwk.get("alg"), jwk.get("key_ops", ["verify"])
    if not isinstance(kid, str) or not isinstance(algorithm, str | None):
        return None
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    public = public_from_jwk(jwk)
    return None if public is None else _PublicKey(kid, algorithm, public)

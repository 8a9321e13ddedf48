"""Access tokens of an outside identity provider, checked with its published keys; and which verifier a token is for.

Looser than our own profile only where providers differ: `typ` may be `at+jwt`, `JWT` or absent, unknown header members
are ignored (keys and URLs in a header are never used), and `sid`, `gen` and `epoch` mean nothing here. What an ID token
is made for is its client and not this API, so the audience tells it from an access token.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from holdfast.core.connection import Proof
from holdfast.errors import ConfigurationError, TokenInvalid
from holdfast.tokens import claims
from holdfast.tokens.algorithms import OUTSIDE
from holdfast.tokens.compact import Compact, parse
from holdfast.tokens.jwks import Fetch, JwksCache
from holdfast.tokens.verifier import TYPES, Verifier

OUTSIDE_TYPES = TYPES | {"jwt"}

CHANGES_MEANING = frozenset(("crit", "b64", "zip", "enc"))
"""Header members that change how a token is read; who does not know them must refuse it (RFC 7515, section 4.1.11)."""

ONLY_IN_ID_TOKENS = frozenset(("at_hash", "c_hash"))

_KID = re.compile(r"[!-~]{1,256}")


class OutsideVerifier:
    """Checks access tokens of one outside issuer; implements `ports.TokenVerifier`.

    Args:
        issuer: its `iss`, to the letter.
        jwks_url: where its keys are; https, or plain http on this machine.
        audience: what its tokens must be for.
        algorithms: what it may sign with; asymmetric ones only.
        cache_seconds: how long its keys are kept before asking again.
        fetch: how to get a URL; with httpx (extra `oidc`) if not given.

    Raises:
        ConfigurationError: one of these can never work.
    """

    def __init__(
        self,
        *,
        issuer: str,
        jwks_url: str,
        audience: str,
        algorithms: Sequence[str] = ("RS256", "ES256"),
        cache_seconds: float = 300.0,
        fetch: Fetch | None = None,
    ) -> None:
        strange = sorted(set(algorithms).difference(OUTSIDE))
        if strange or not algorithms:
            wrong = ", ".join(strange) or "nothing"
            raise ConfigurationError(f"HOLDFAST_OIDC_ALGORITHMS has {wrong}; it takes {', '.join(OUTSIDE)}")
        self.issuer = issuer
        self._audience = audience
        self._algorithms = frozenset(algorithms)
        self._keys = JwksCache(jwks_url, cache_seconds=cache_seconds, fetch=fetch)

    async def verify(self, token: str, *, now: float) -> Proof:
        """Who the token says is there; never with a session, which only our own tokens have.

        Raises:
            TokenExpired: it was good, and `now` has reached its `exp`.
            TokenInvalid: anything else that is wrong with it.
            Unavailable: the provider's keys cannot be fetched, so nobody can tell.
        """
        return await self.check(parse(token), now)

    async def check(self, token: Compact, now: float) -> Proof:
        """The same for a token that is taken apart already."""
        header = token.header
        typ, kid, algorithm = header.get("typ", "jwt"), header.get("kid"), header.get("alg")
        if not CHANGES_MEANING.isdisjoint(header):
            raise TokenInvalid(detail="the header asks for what is not done here")
        if type(typ) is not str or typ.lower() not in OUTSIDE_TYPES:
            raise TokenInvalid(detail="typ is that of another kind of token")
        if type(algorithm) is not str or algorithm not in self._algorithms:
            raise TokenInvalid(detail="alg is not one that the issuer may use")
        if type(kid) is not str or _KID.fullmatch(kid) is None:
            raise TokenInvalid(detail="kid is missing or not what it should be")
        key = await self._keys.key(kid, algorithm, now)
        if key is None:
            raise TokenInvalid(detail="the issuer has no such key for this algorithm")
        if not key.verify(token.signed, token.signature):
            raise TokenInvalid(detail="the signature is not good")
        return self._proof(token.claims(), now)

    def _proof(self, said: dict[str, Any], now: float) -> Proof:
        claims.meant_for(said, issuer=self.issuer, audience=self._audience)
        if not ONLY_IN_ID_TOKENS.isdisjoint(said):
            raise TokenInvalid(detail="an ID token, not an access token")
        user = claims.text(said, "sub")
        issued_at = claims.begun(said, now)
        return Proof(
            user=user,
            name=_first_text(said, "name", "preferred_username", "email") or user,
            issuer=self.issuer,
            roles=_roles(said),
            issued_at=issued_at,
            auth_time=claims.date(said, "auth_time") if "auth_time" in said else None,
            client=_first_text(said, "client_id", "azp"),
            expires_at=claims.live(said, now),
        )


class AnyVerifier:
    """Our own tokens and those of outside issuers; implements `ports.TokenVerifier`.

    The `iss` of a token only says whose rules and keys to hold it against; whoever lies about it fails there, since
    each verifier has the keys of its issuer alone (RFC 8725, section 3.8).
    """

    def __init__(self, own: Verifier, *outside: OutsideVerifier) -> None:
        self._own = own
        self._outside = {verifier.issuer: verifier for verifier in outside}
        if own.issuer in self._outside or len(self._outside) != len(outside):
            raise ConfigurationError(
                "two issuers have the same name: HOLDFAST_ISSUER and HOLDFAST_OIDC_ISSUER must differ"
            )

    async def verify(self, token: str, *, now: float) -> Proof:
        """Raises what the verifier of the token's issuer raises; `TokenInvalid` for an issuer that is nobody's."""
        parts = parse(token)
        issuer = parts.claims().get("iss")
        if issuer == self._own.issuer:
            return self._own.check(parts, now)
        outside = self._outside.get(issuer) if isinstance(issuer, str) else None
        if outside is None:
            raise TokenInvalid(detail="another issuer")
        return await outside.check(parts, now)


def _first_text(said: dict[str, Any], *names: str) -> str | None:
    for name in names:
        with suppress(TokenInvalid):
            return claims.text(said, name)
    return None


def _roles(said: dict[str, Any]) -> tuple[str, ...]:
    # Other shapes mean something to somebody else; no role is the safe reading.
    with suppress(TokenInvalid):
        return claims.texts(said, "roles")
    return ()

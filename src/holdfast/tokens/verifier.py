"""The one strict check of our own access tokens.

In this order, so that nothing is believed before it is proved: the text's shape, the header (`alg`, `kid`, `typ` and
nothing else: no `jku`, `x5u`, `x5c`, `jwk`, `crit`, `b64`, `zip`), a key of ours by its `kid`, its one algorithm, the
signature, the claims, and last the time. Only a token that was good in all of it is told that it has expired.
"""

from __future__ import annotations

import re

from holdfast.core.connection import Proof
from holdfast.errors import TokenExpired, TokenInvalid
from holdfast.tokens import claims
from holdfast.tokens.compact import Compact, parse
from holdfast.tokens.keys import KeyRing

HEADER = frozenset(("alg", "kid", "typ"))
"""All that our own tokens have, and all that they may have."""

TYPES = frozenset(("at+jwt", "application/at+jwt"))
"""RFC 9068, section 4; media types are compared without regard to case (RFC 7515, section 4.1.9)."""

_KID = re.compile(r"[A-Za-z0-9_-]{8,64}")


class Verifier:
    """Checks access tokens of our own keys; implements `ports.TokenVerifier`.

    A token without a `kid` is refused even where there is one key: whoever signs with our secret by other means is not
    our issuer.
    """

    def __init__(self, keys: KeyRing, *, issuer: str, audience: str) -> None:
        self.issuer = issuer
        self._keys = keys
        self._audience = audience

    async def verify(self, token: str, *, now: float) -> Proof:
        """Who the token says is there.

        Raises:
            TokenExpired: it was good, and `now` has reached its `exp`.
            TokenInvalid: anything else; `detail` says what, for the log.
        """
        return self.check(parse(token), now)

    def check(self, token: Compact, now: float) -> Proof:
        """The same for a token that is taken apart already."""
        header = token.header
        if header.keys() != HEADER:
            raise TokenInvalid(detail="the header has too little in it, or more than it may")
        typ, kid = header["typ"], header["kid"]
        if type(typ) is not str or typ.lower() not in TYPES:
            raise TokenInvalid(detail="typ is not at+jwt")
        if type(kid) is not str or _KID.fullmatch(kid) is None:
            raise TokenInvalid(detail="kid is not one of ours")
        key = self._keys.verifying(kid, now)
        if key is None:
            raise TokenInvalid(detail="kid is not known")
        if header["alg"] != key.algorithm:
            raise TokenInvalid(detail="alg is not that of the key")
        if not key.material.verify(token.signed, token.signature):
            raise TokenInvalid(detail="the signature is not good")
        proof = self._proof(token, now)
        if now >= key.retires_at:
            # By the rotation's own times, every honest token of this key has run out; after a leak, none is honest.
            raise TokenExpired(detail="its key has retired")
        return proof

    def _proof(self, token: Compact, now: float) -> Proof:
        said = token.claims()
        claims.meant_for(said, issuer=self.issuer, audience=self._audience)
        claims.text(said, "jti")
        return Proof(
            user=claims.text(said, "sub"),
            name=claims.text(said, "name"),
            issuer=self.issuer,
            session=claims.text(said, "sid"),
            generation=claims.count(said, "gen"),
            epoch=claims.count(said, "epoch"),
            roles=claims.texts(said, "roles"),
            issued_at=claims.begun(said, now),
            auth_time=claims.date(said, "auth_time"),
            client=claims.text(said, "client_id"),
            expires_at=claims.live(said, now),  # last, as the order of arguments is the order of checks
        )

"""Access tokens, signed: JWTs of the profile of RFC 9068, which any JWT library can verify."""

from __future__ import annotations

import math

import jwt

from holdfast.errors import MisuseError
from holdfast.ports import Random, Session, User
from holdfast.tokens.algorithms import base64url
from holdfast.tokens.compact import MAX_TOKEN_LENGTH
from holdfast.tokens.keys import KeyRing

TYP = "at+jwt"
"""RFC 9068, section 2.1. Nothing else that Holdfast signs may ever bear it."""


class Issuer:
    """Signs access tokens with the ring's present key; implements `ports.TokenIssuer`."""

    def __init__(self, keys: KeyRing, *, issuer: str, audience: str, random: Random) -> None:
        self._keys = keys
        self.issuer = issuer
        self._audience = audience
        self._random = random

    def issue(self, session: Session, user: User, *, now: float, expires_at: float) -> str:
        """An access token for a session, good until `expires_at` (whole seconds).

        Raises:
            MisuseError: the user's name and roles make it larger than the 8 KB that a verifier reads.
        """
        key = self._keys.signing(now)
        claims = {
            "iss": self.issuer,
            "aud": self._audience,
            "sub": user.id,
            "sid": session.id,
            "jti": base64url(self._random.token(16)),
            "iat": math.floor(now),
            "exp": math.floor(expires_at),
            "gen": session.generation,
            "epoch": session.epoch,
            "roles": list(user.roles),
            "auth_time": math.floor(session.auth_time),
            "client_id": session.client,
            "name": user.name,
        }
        headers = {"typ": TYP, "kid": key.kid}
        token = jwt.encode(claims, key.material.private, algorithm=key.algorithm, headers=headers)
        if len(token) > MAX_TOKEN_LENGTH:
            raise MisuseError(
                f"an access token over {MAX_TOKEN_LENGTH} bytes: the user has too many or too long roles"
            )
        return token

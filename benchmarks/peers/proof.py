"""What every Python peer does at a handshake: check the bearer token with PyJWT, as tutorials have it."""

from __future__ import annotations

import os
import sys

import jwt

SECRET_KEY = os.environ["SECRET_KEY"]


def may_publish(authorization: str | None) -> bool:
    """Whether the bearer may publish, from its roles.

    Raises:
        jwt.InvalidTokenError: there is no good token.
    """
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer":
        raise jwt.InvalidTokenError("no bearer token")
    claims = jwt.decode(token, SECRET_KEY, algorithms=["HS256"], audience="holdfast")
    return "admin" in claims["roles"]


def port() -> int:
    """Where to listen: the only argument."""
    return int(sys.argv[1])

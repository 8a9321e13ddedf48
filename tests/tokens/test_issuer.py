from __future__ import annotations

import base64
import hashlib
import hmac
import json

import jwt
import pytest

from holdfast.errors import MisuseError
from holdfast.ports import User
from holdfast.tokens.issuer import Issuer
from holdfast.tokens.keys import KeyRing


@pytest.fixture
def issuer(secret, random):
    return Issuer(KeyRing.from_secret(secret), issuer="https://hold.example", audience="api", random=random)


def decoded(part):
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_any_jwt_library_verifies_a_token_with_the_secret_key_itself(issuer, secret, make_session, user, now):
    token = issuer.issue(make_session(), user, now=now, expires_at=now + 1440 * 60)
    claims = jwt.decode(
        token,
        secret,
        algorithms=["HS256"],
        audience="api",
        issuer="https://hold.example",
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims["sub"] == "user-1"


def test_a_token_is_signed_as_rfc_7515_says_when_worked_out_by_hand(issuer, secret, make_session, user, now):
    token = issuer.issue(make_session(), user, now=now, expires_at=now + 60)
    signed, _, signature = token.rpartition(".")
    by_hand = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(signature + "=") == by_hand


def test_the_claims_are_complete(issuer, make_session, user, now):
    token = issuer.issue(make_session(), user, now=now, expires_at=now + 900)
    header, claims = (decoded(part) for part in token.split(".")[:2])
    assert claims == {
        "iss": "https://hold.example",
        "aud": "api",
        "sub": "user-1",
        "sid": "5f3d2c1e-0000-4000-8000-000000000001",
        "jti": claims["jti"],
        "iat": 1_800_000_000,
        "exp": 1_800_000_900,
        "gen": 7,
        "epoch": 3,
        "roles": ["admin", "author"],
        "auth_time": 1_799_999_939,
        "client_id": "browser",
        "name": "Алиса",
    }
    assert header.keys() == {"alg", "kid", "typ"}
    assert (header["alg"], header["typ"]) == ("HS256", "at+jwt")


@pytest.mark.parametrize("fraction", [0.0, 0.25, 0.999])
def test_exp_less_iat_is_exactly_the_lifetime_whatever_the_fraction_of_now(
    issuer, make_session, user, now, fraction
):
    token = issuer.issue(make_session(), user, now=now + fraction, expires_at=now + 86_400)
    claims = decoded(token.split(".")[1])
    assert (type(claims["iat"]), type(claims["exp"])) == (int, int)
    assert claims["exp"] - claims["iat"] == 86_400


def test_no_two_tokens_have_the_same_jti(issuer, make_session, user, now):
    tokens = [issuer.issue(make_session(), user, now=now, expires_at=now + 60) for _ in range(2)]
    first, second = (decoded(token.split(".")[1])["jti"] for token in tokens)
    assert first != second
    assert len(base64.urlsafe_b64decode(first + "==")) == 16


def test_a_token_that_no_verifier_would_read_is_not_issued(issuer, make_session, now):
    many = User(id="user-1", name="a", roles=tuple(f"role-{n}" for n in range(1_000)))
    with pytest.raises(MisuseError, match="roles"):
        issuer.issue(make_session(), many, now=now, expires_at=now + 60)

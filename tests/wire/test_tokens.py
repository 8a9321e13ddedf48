"""Tokens as HTTP hands them out (SEED S1, S2), and sessions that survive a kill -9 (refresh rotation)."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import jwt
import pytest

SECRET = "wire tests need a secret of thirty-two bytes"


def claims_of(token: str) -> dict:
    """What another JWT library makes of a token, with nothing but the documented secret."""
    return jwt.decode(token, SECRET, algorithms=["HS256"], audience="holdfast", issuer="holdfast")


def has_a_lifetime_of(served, seconds: int) -> None:
    signed_in = served.sign_in()
    claims = claims_of(signed_in["access_token"])
    assert claims["exp"] - claims["iat"] == seconds
    assert seconds - 2 < signed_in["expires_in"] <= seconds


def test_s1_the_lifetime_is_a_day_where_the_environment_says_nothing(shared):
    has_a_lifetime_of(shared, 86_400)


@pytest.mark.parametrize(
    ("kind", "minutes", "seconds"),
    [
        ("uvicorn", "30", 1800),
        ("uvicorn-fastlane", "0.1", 6),
        ("hypercorn", "0.5", 30),
        ("granian", "2880", 172_800),
        ("daphne", "1.5", 90),
    ],
)
def test_s1_the_environment_says_how_long_a_token_lives(serve, kind, minutes, seconds):
    has_a_lifetime_of(serve(kind, ACCESS_TOKEN_EXPIRE_MINUTES=minutes), seconds)


def test_s2_any_jwt_library_verifies_a_token_and_its_claims_are_complete(shared):
    token = shared.sign_in()["access_token"]
    claims = claims_of(token)
    assert {"iss", "aud", "sub", "sid", "jti", "iat", "exp", "gen", "roles", "auth_time", "client_id"} <= set(
        claims
    )
    header = jwt.get_unverified_header(token)
    assert (header["alg"], header["typ"]) == ("HS256", "at+jwt")
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, SECRET + "!", algorithms=["HS256"], audience="holdfast")


@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [
        ("uvicorn", "RS256"),
        ("uvicorn-fastlane", "ES256"),
        ("uvicorn", "EdDSA"),
        ("hypercorn", "RS256"),
        ("granian", "ES256"),
        ("daphne", "EdDSA"),
    ],
)
def test_s2_an_asymmetric_token_verifies_with_the_published_keys(serve, kind, algorithm, tmp_path):
    served = serve(kind, ALGORITHM=algorithm, HOLDFAST_DATA_DIR=with_a_key(algorithm, tmp_path))
    token = served.sign_in()["access_token"]
    keys = jwt.PyJWKSet.from_dict(served.http.get(f"{served.url}/.well-known/jwks.json").json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    assert jwt.decode(token, key, algorithms=[algorithm], audience="holdfast")["sub"]
    assert "d" not in served.http.get(f"{served.url}/.well-known/jwks.json").json()["keys"][0]
    answer = served.http.get(f"{served.url}/whoami", headers={"Authorization": f"Bearer {token}"})
    assert answer.json() == {"user": "ann"}


def with_a_key(algorithm: str, home: Path) -> Path:
    """A data directory whose key the command line has made, as docs/tokens.md says."""
    environment = {**os.environ, "SECRET_KEY": SECRET, "ALGORITHM": algorithm, "HOLDFAST_DATA_DIR": str(home)}
    command = [sys.executable, "-c", "from holdfast.cli.main import main; main()", "keys", "rotate"]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)
    return home


@pytest.mark.parametrize("kind", ["uvicorn", "hypercorn", "granian", "daphne"])
def test_two_servers_on_one_database_share_sessions_and_a_logout_reaches_both(serve, kind, tmp_path):
    database = f"sqlite:///{tmp_path / 'shared.db'}"
    one, two = serve(HOLDFAST_DATABASE_URL=database), serve(kind, HOLDFAST_DATABASE_URL=database)
    signed_in = one.sign_in()
    bearer = {"Authorization": f"Bearer {signed_in['access_token']}"}
    assert one.http.get(f"{two.url}/whoami", headers=bearer).status_code == 200
    one.http.post(f"{one.url}/auth/logout", headers={**bearer, "X-Holdfast": "1"}).raise_for_status()
    deadline = time.monotonic() + 10
    while one.http.get(f"{two.url}/whoami", headers=bearer).status_code != 401:
        assert time.monotonic() < deadline, "the other server never learned of the logout"


def test_a_session_survives_50_kills_of_its_server_in_the_middle_of_a_refresh(serve, tmp_path):
    """The client keeps the last answer that it saw, as a browser would, and goes on from there."""
    settings = {
        "HOLDFAST_DATABASE_URL": f"sqlite:///{tmp_path / 'killed.db'}",
        "HOLDFAST_ROTATION_WINDOW_SECONDS": 0,
    }
    chance = random.Random(20261123)
    served = serve(**settings)
    held = served.sign_in()["refresh_token"]
    started = time.monotonic()
    for _ in range(5):
        held = refreshed(served, held)
    usual = (time.monotonic() - started) / 5
    answered = 0
    for _ in range(50):
        # Of this machine's own measure, so that some die before their first answer and others after it.
        timer = threading.Timer(chance.uniform(0.0, 3 * usual), served.process.kill)
        timer.start()
        with contextlib.suppress(httpx.TransportError):
            while True:
                held = refreshed(served, held)
                answered += 1
        timer.join()
        served = serve(**settings)
        held = refreshed(served, held)
    assert answered > 10, "the kills must have hit a server at work"


def refreshed(served, token: str) -> str:
    answer = served.refresh(token)
    assert answer.status_code == 200, answer.text
    return answer.json()["refresh_token"]

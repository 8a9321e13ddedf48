"""A session, a user, and tokens made by hand: nothing here uses the code under test to forge what it must refuse."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest

from holdfast.ports import Session, User

NOW = 1_800_000_000.0
SECRET = "a-secret-of-this-test-suite-and-of-nothing-else"


class CountingRandom:
    """Chance that is the same each time."""

    def __init__(self) -> None:
        self.drawn = 0

    def token(self, nbytes: int) -> bytes:
        self.drawn += 1
        return self.drawn.to_bytes(nbytes, "big")

    def unit(self) -> float:
        return 0.5


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forge(header: Any, claims: Any, key: str | bytes = SECRET, digest: str = "sha256") -> str:
    """A JWT by hand: header and claims are anything JSON, or raw bytes."""
    parts = [b64(part if isinstance(part, bytes) else json.dumps(part).encode()) for part in (header, claims)]
    signed = ".".join(parts)
    raw = key.encode() if isinstance(key, str) else key
    return f"{signed}.{b64(hmac.new(raw, signed.encode(), getattr(hashlib, digest)).digest())}"


@pytest.fixture(scope="session")
def now() -> float:
    return NOW


@pytest.fixture(scope="session")
def secret() -> str:
    return SECRET


@pytest.fixture(name="forge", scope="session")
def forge_fixture() -> Callable[..., str]:
    return forge


@pytest.fixture
def random() -> CountingRandom:
    return CountingRandom()


@pytest.fixture(scope="session")
def user() -> User:
    return User(id="user-1", name="Алиса", roles=("admin", "author"), epoch=3)


@pytest.fixture(scope="session")
def make_session() -> Callable[..., Session]:
    def make(**changes: Any) -> Session:
        fields: dict[str, Any] = {
            "id": "5f3d2c1e-0000-4000-8000-000000000001",
            "user_id": "user-1",
            "client": "browser",
            "kid": "",
            "salt": b"0123456789abcdef",
            "generation": 7,
            "confirmed_at": NOW,
            "issued_at": NOW,
            "epoch": 3,
            "created_at": NOW - 60,
            "auth_time": NOW - 60.75,
            "idle_expires_at": NOW + 1e6,
            "absolute_expires_at": NOW + 1e7,
            "last_seen_at": NOW,
        }
        return Session(**{**fields, **changes})

    return make

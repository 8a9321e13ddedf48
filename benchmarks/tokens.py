"""Access tokens for all subjects alike: Holdfast's own kind, which the peers verify by the same secret."""

from __future__ import annotations

import time
from pathlib import Path

from holdfast.asgi.clock import SystemRandom
from holdfast.ports import Session, User
from holdfast.tokens.issuer import Issuer
from holdfast.tokens.keys import KeyRing

LIFETIME = 86_400.0
PUBLISHER = "publisher"


def write_tokens(path: Path, secret: str, count: int) -> None:
    """One token a line, each of another user."""
    mint = Mint(secret)
    path.write_text("".join(f"{mint.token(f'user-{number}')}\n" for number in range(count)))


def write_publisher(path: Path, secret: str) -> None:
    """The token of an administrator, who may publish."""
    path.write_text(f"{Mint(secret).token(PUBLISHER, 'admin')}\n")


class Mint:
    """Signs tokens without signing anybody in: a password for each of ten thousand would take minutes."""

    def __init__(self, secret: str) -> None:
        ring = KeyRing.from_secret(secret)
        self._issuer = Issuer(ring, issuer="holdfast", audience="holdfast", random=SystemRandom())
        self._now = time.time()

    def token(self, user: str, *roles: str) -> str:
        now = self._now
        session = Session(
            id=f"session-{user}",
            user_id=user,
            client="program",
            kid="none",
            salt=b"",
            confirmed_at=now,
            issued_at=now,
            created_at=now,
            auth_time=now,
            idle_expires_at=now + LIFETIME,
            absolute_expires_at=now + LIFETIME,
            last_seen_at=now,
        )
        who = User(id=user, name=user, roles=roles)
        return self._issuer.issue(session, who, now=now, expires_at=now + LIFETIME)

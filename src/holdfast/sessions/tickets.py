"""Tickets: one use, 30 seconds, in place of an access token in a WebSocket's URL."""

from __future__ import annotations

import base64
import hashlib

from holdfast.core.connection import Proof
from holdfast.errors import TokenExpired, TokenInvalid
from holdfast.ports import Clock, Random, SessionStore, Ticket

LIFETIME = 30.0
_BYTES = 32
_LENGTH = 43  # 32 bytes in base64url without padding


class Tickets:
    """Makes and takes tickets; the store holds only the SHA-256 of their text."""

    def __init__(self, *, store: SessionStore, clock: Clock, random: Random) -> None:
        self._store = store
        self._clock = clock
        self._random = random

    async def issue(self, proof: Proof, *, origin: str | None) -> tuple[str, float]:
        """A ticket for whom the proof is about, for use from the same Origin, and how many seconds it is good."""
        now = self._clock.now()
        text = base64.urlsafe_b64encode(self._random.token(_BYTES)).rstrip(b"=").decode()
        expires_at = min(now + LIFETIME, proof.expires_at)
        await self._store.add_ticket(_digest(text), Ticket(proof=proof, origin=origin, expires_at=expires_at))
        return text, expires_at - now

    async def redeem(self, text: str, *, origin: str | None) -> Proof:
        """The proof behind a ticket, which is used up even if it is refused.

        Raises:
            TokenExpired: it has run out, or the access token has that it was given for.
            TokenInvalid: unknown, used, or from another Origin than it was given to.
        """
        if len(text) != _LENGTH or not text.isascii():
            raise TokenInvalid(detail="not the shape of a ticket")
        ticket = await self._store.take_ticket(_digest(text))
        if ticket is None:
            raise TokenInvalid(detail="the ticket is unknown or used")
        if ticket.origin != origin:
            raise TokenInvalid(detail="the ticket was given to another Origin")
        if self._clock.now() >= ticket.expires_at:
            raise TokenExpired(detail="the ticket has run out")
        return ticket.proof


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("ascii")).digest()

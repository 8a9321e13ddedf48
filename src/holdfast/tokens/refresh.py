"""Refresh tokens, derived and not stored: `rt1.<kid>.<sid>.<generation>.<mac>`.

    proof = HMAC-SHA-256(master key, "holdfast rt1 proof" | sid | generation | the session's salt)
    seal  = HMAC-SHA-256(master key, "holdfast rt1 seal" | everything before the mac | proof)
    mac   = base64url(proof seal)

The seal is checked without the store, so damaged and made-up tokens cost no query. The proof needs the session's salt,
so the master key alone forges nothing that is accepted, and neither does the store alone. Any generation's proof can be
made again from the row: that is how a lost answer is repeated with the very same token.
"""

from __future__ import annotations

import base64
import hmac
import re

from holdfast.errors import MisuseError, TokenInvalid
from holdfast.ports import Presented, Session
from holdfast.tokens.algorithms import base64url
from holdfast.tokens.keys import KeyRing

PREFIX = "rt1"
MAX_TOKEN_LENGTH = 512
MAX_GENERATION = 2**31 - 1
"""What an integer column holds."""

_DIGEST = 32
# 64 bytes are 86 characters, of which the last has two bits in use: one of AQgw, or the text would not be canonical.
_SHAPE = re.compile(
    r"(rt1\.([A-Za-z0-9_-]{8,64})\.([A-Za-z0-9_-]{1,64})\.([1-9][0-9]{0,9}))\.([A-Za-z0-9_-]{85}[AQgw])"
)
_SID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class RefreshTokenCodec:
    """Derives and reads refresh tokens; implements `ports.RefreshTokens`."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    @property
    def kid(self) -> str:
        """The key that new tokens are derived with."""
        return self._keys.master_kid

    def derive(self, session: Session) -> str:
        """The token of the session's present generation: always the same text for the same row.

        Raises:
            TokenInvalid: the master key of the row is gone, so nobody holds a good token of it either.
            MisuseError: the row's id or generation cannot stand in a token.
        """
        key = self._keys.master(session.kid)
        if key is None:
            raise TokenInvalid(detail="the master key of the session is gone")
        if _SID.fullmatch(session.id) is None or not 1 <= session.generation <= MAX_GENERATION:
            raise MisuseError(
                "a session's id is up to 64 characters of base64url, its generation a positive integer"
            )
        head = f"{PREFIX}.{session.kid}.{session.id}.{session.generation}"
        proof = _proof(key, session.id, session.generation, session.salt)
        return f"{head}.{base64url(proof + _seal(key, head, proof))}"

    def read(self, token: str) -> Presented:
        """What a token says whose seal is good; `matches` must still check its proof.

        Raises:
            TokenInvalid: no key of ours has made it; `detail` says what is wrong with it.
        """
        shape = _SHAPE.fullmatch(token) if isinstance(token, str) and len(token) <= MAX_TOKEN_LENGTH else None
        if shape is None:
            raise TokenInvalid(detail="not the shape of a refresh token")
        head, kid, sid, generation, mac = shape.groups()
        key = self._keys.master(kid)
        if key is None:
            raise TokenInvalid(detail="the master key of the refresh token is not known")
        macs = base64.urlsafe_b64decode(mac + "==")
        proof, seal = macs[:_DIGEST], macs[_DIGEST:]
        if not hmac.compare_digest(seal, _seal(key, head, proof)):
            raise TokenInvalid(detail="the seal of the refresh token is not good")
        if int(generation) > MAX_GENERATION:
            raise TokenInvalid(detail="the generation of the refresh token is out of range")
        return Presented(kid, sid, int(generation), proof)

    def matches(self, presented: Presented, session: Session) -> bool:
        """Whether the token was derived with this session's salt, at whatever generation."""
        key = self._keys.master(presented.kid)
        if key is None or presented.sid != session.id:
            return False
        expected = _proof(key, session.id, presented.generation, session.salt)
        return hmac.compare_digest(presented.proof, expected)


def _proof(key: bytes, sid: str, generation: int, salt: bytes) -> bytes:
    # The salt comes last and nothing before it can hold a NUL, so no two sets of fields make one message.
    message = b"\0".join((b"holdfast rt1 proof", sid.encode(), str(generation).encode(), salt))
    return hmac.digest(key, message, "sha256")


def _seal(key: bytes, head: str, proof: bytes) -> bytes:
    return hmac.digest(key, b"\0".join((b"holdfast rt1 seal", head.encode(), proof)), "sha256")

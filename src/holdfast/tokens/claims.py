"""What a token may say, claim by claim: the right type and a sane value, or the token is refused.

Only for payloads whose signature is good. Nothing here repeats a value in an error: `detail` names the claim alone.
"""

from __future__ import annotations

import re
from typing import Any

from holdfast.errors import TokenExpired, TokenInvalid

CLOCK_SKEW = 5.0
"""How far in the future `iat` and `nbf` may lie, in seconds; `exp` gets nothing."""

LAST_SECOND = 253_402_300_800
"""The end of the year 9999."""
MAX_COUNT = 2**53
"""Beyond it JSON numbers are not exact everywhere."""

# Control characters and lone surrogates: they break logs, and stores that hold UTF-8.
_TEXT = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]+")


def text(claims: dict[str, Any], name: str) -> str:
    """A string that is not empty and can be written anywhere."""
    value = claims.get(name)
    if type(value) is not str or not _is_text(value):
        raise _wrong(name)
    return value


def count(claims: dict[str, Any], name: str) -> int:
    """A whole number from zero up."""
    value = claims.get(name)
    if type(value) is not int or not 0 <= value <= MAX_COUNT:
        raise _wrong(name)
    return value


def date(claims: dict[str, Any], name: str) -> float:
    """A NumericDate (RFC 7519, section 2): seconds since the epoch, fractions allowed."""
    value = claims.get(name)
    # `type` and not `isinstance`: True is an int to Python.
    if (type(value) is not int and type(value) is not float) or not 0 <= value < LAST_SECOND:
        raise _wrong(name)
    return float(value)


def texts(claims: dict[str, Any], name: str) -> tuple[str, ...]:
    """A list of strings."""
    value = claims.get(name)
    if type(value) is not list:
        raise _wrong(name)
    for each in value:
        if type(each) is not str or not _is_text(each):
            raise _wrong(name)
    return tuple(value)


def meant_for(claims: dict[str, Any], *, issuer: str, audience: str) -> None:
    """Refuse a token of another issuer, or for another audience (RFC 8725, sections 3.8 and 3.9)."""
    if claims.get("iss") != issuer:
        raise TokenInvalid(detail="another issuer")
    aud = claims.get("aud")
    if aud != audience and not (type(aud) is list and audience in texts(claims, "aud")):
        raise TokenInvalid(detail="another audience")


def begun(claims: dict[str, Any], now: float) -> float:
    """`iat`; refuses tokens from the future and those whose `nbf` is yet to come."""
    issued_at = date(claims, "iat")
    if issued_at > now + CLOCK_SKEW:
        raise TokenInvalid(detail="iat is in the future")
    if "nbf" in claims and date(claims, "nbf") > now + CLOCK_SKEW:
        raise TokenInvalid(detail="nbf is in the future")
    return issued_at


def live(claims: dict[str, Any], now: float) -> float:
    """`exp`; on that very second the token is over (RFC 7519, section 4.1.4). Ask this last."""
    expires_at = date(claims, "exp")
    if now >= expires_at:
        raise TokenExpired(detail=f"expired {now - expires_at:.0f} s ago")
    return expires_at


def _is_text(value: str) -> bool:
    if value.isascii():
        return value.isprintable() and value != ""  # the same for ASCII, and nearly all of it is
    return _TEXT.fullmatch(value) is not None


def _wrong(name: str) -> TokenInvalid:
    return TokenInvalid(detail=f"{name} is missing or not what it should be")

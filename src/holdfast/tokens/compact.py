"""A signed token's text taken apart, strictly: one way to write each token, and nothing in it believed yet.

Only the compact form of RFC 7515 (section 7.1) is read: three parts of canonical base64url, so nothing encrypted or
compressed either. What is refused here is refused before any key is looked at.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn

from holdfast.errors import TokenInvalid
from holdfast.protocol import jsontext

MAX_TOKEN_LENGTH = 8192
"""Looked at before anything else; the alphabet is ASCII, so characters are bytes."""
USUAL_HEADER = 256
"""Characters; a longer header is none of ours."""

_SHAPE = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_STANDARD = bytes.maketrans(b"-_", b"+/")
_PADDING = {0: b"", 2: b"==", 3: b"="}
# Which last characters leave no bit unused: with any other, a second text would decode to the same bytes.
_LAST = {2: frozenset("AQgw"), 3: frozenset("AEIMQUYcgkosw048")}


class Compact(NamedTuple):
    """The parts of a token; its claims stay unread until the signature is known to be good."""

    header: Mapping[str, Any]
    payload: bytes
    signed: bytes
    signature: bytes

    def claims(self) -> dict[str, Any]:
        """Raises `TokenInvalid` if they are not one JSON object with each name once."""
        return _json_object(self.payload, "the payload is not a JSON object with each name once")


def parse(token: str) -> Compact:
    """Take a token apart.

    Raises:
        TokenInvalid: it is not a compact JWS with a JSON object for a header, or is over 8 KB.
    """
    if not isinstance(token, str) or len(token) > MAX_TOKEN_LENGTH:
        raise TokenInvalid(detail="not a text of up to 8 KB")
    shape = _SHAPE.fullmatch(token)
    if shape is None:
        raise TokenInvalid(detail="not three parts of base64url")
    header, payload, signature = shape.groups()
    return Compact(
        _header(header) if len(header) <= USUAL_HEADER else _header.__wrapped__(header),
        _decode(payload),
        token[: shape.end(2)].encode(),
        _decode(signature),
    )


@lru_cache(maxsize=64)
def _header(part: str) -> Mapping[str, Any]:
    """The header of a token; all that one key has signed share it, so the last ones are remembered."""
    said = _json_object(_decode(part), "the header is not a JSON object with each name once")
    return MappingProxyType(said)


def _decode(part: str) -> bytes:
    tail = len(part) % 4
    if tail == 1 or (tail and part[-1] not in _LAST[tail]):
        raise TokenInvalid(detail="base64url that is not canonical")
    return binascii.a2b_base64(part.encode().translate(_STANDARD) + _PADDING[tail])


def _json_object(data: bytes, otherwise: str) -> dict[str, Any]:
    try:
        value = jsontext.decode(_DECODER, data.decode())
    except (ValueError, RecursionError):
        value = None
    # Raised out here: a JSONDecodeError carries the whole text, and must not hang on to what is logged.
    if not isinstance(value, dict):
        raise TokenInvalid(detail=otherwise)
    return value


def _each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError
    return value


def _no_constant(_name: str) -> NoReturn:
    raise ValueError  # NaN and Infinity are not JSON (RFC 8259, section 6)


_DECODER = json.JSONDecoder(object_pairs_hook=_each_name_once, parse_constant=_no_constant)

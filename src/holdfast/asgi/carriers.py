"""Where a WebSocket's token may be: one reader for all the places, in one order.

1. `Authorization: Bearer <token>`
2. the subprotocol `holdfast.bearer.<token>`, next to `holdfast.v1`
3. `?ticket=<ticket>`: one use, 30 seconds
4. `?token=<token>`: works everywhere and lands in the logs of whatever stands between, so Holdfast redacts it
5. the first frame, `{"type": "auth", "token": …}`

A cookie is none of them: another site's page can make a browser send it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl, urlencode

from holdfast.asgi.headers import values
from holdfast.protocol.codec import SUBPROTOCOL

Scope = MutableMapping[str, Any]

BEARER_PREFIX = "holdfast.bearer."
REDACTED = "[redacted]"
_HIDDEN = f"Bearer {REDACTED}".encode()
_BEARER = re.compile(rb"(?i)\s*bearer\s+\S")
_SECRET_PARAMETERS = {"token", "ticket", "access_token", "refresh_token"}


class Carrier(StrEnum):
    """How a token came."""

    AUTHORIZATION = "authorization"
    SUBPROTOCOL = "subprotocol"
    TICKET = "ticket"
    QUERY = "query"
    FRAME = "frame"


# Nobody changes one, but a frozen one takes three times as long to make.
@dataclass(slots=True)
class Carried:
    """What the handshake brought: for `FRAME` nothing yet. The secret stays out of every `repr`."""

    carrier: Carrier
    secret: str = field(repr=False)
    controlled: bool
    """Whether the client speaks holdfast.v1."""


def read(scope: Scope) -> Carried:
    """What an ASGI scope carries. A place that is there but holds nothing, or two things, counts as an empty token."""
    offered = scope.get("subprotocols") or ()
    controlled = SUBPROTOCOL in offered
    carrier, secret = _first(scope, offered)
    return Carried(carrier, secret, controlled)


def channels(scope: Scope) -> list[str]:
    """What a plain socket wants to be subscribed to: each `?channel=` of its URL."""
    query = scope.get("query_string", b"")
    return [value for name, value in parse_qsl(query.decode("latin-1")) if name == "channel"] if query else []


def bearer(headers: list[tuple[bytes, bytes]]) -> str | None:
    """The token of an `Authorization: Bearer` header; empty for one that is malformed or doubled, `None` without."""
    found = values(headers, b"authorization")
    if not found:
        return None
    scheme, _, token = found[0].decode("latin-1").partition(" ")
    if scheme.lower() != "bearer":
        return None
    return token.strip() if len(found) == 1 else ""


def hide(scope: Scope) -> None:
    """Take the secrets out of a scope once they are read, so that no access log or error tracker meets them."""
    query: bytes = scope.get("query_string", b"")
    if query:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
        if any(name in _SECRET_PARAMETERS for name, _ in pairs):
            clean = [(name, REDACTED if name in _SECRET_PARAMETERS else value) for name, value in pairs]
            scope["query_string"] = urlencode(clean, safe="[]").encode("ascii")
    _replace(scope, b"authorization", _HIDDEN, _BEARER.match)
    offered = scope.get("subprotocols")
    if offered and offered != [SUBPROTOCOL] and any(name.startswith(BEARER_PREFIX) for name in offered):
        scope["subprotocols"] = [name for name in offered if not name.startswith(BEARER_PREFIX)]
        _replace(scope, b"sec-websocket-protocol", SUBPROTOCOL.encode(), bool)


def _replace(scope: Scope, header: bytes, value: bytes, is_secret: Callable[[bytes], object]) -> None:
    """Put it in the place of what a header says, all of it, if a part is secret.

    In the list itself, since Starlette's `websocket.headers` may hold on to it already.
    """
    headers = scope.get("headers") or ()
    found = values(headers, header)
    if not found or not any(map(is_secret, found)):
        return
    if not isinstance(headers, list):
        headers = scope["headers"] = list(headers)
    for place, (name, _) in enumerate(headers):
        if name.lower() == header:
            headers[place] = (name, value)


def _first(scope: Scope, offered: Sequence[str]) -> tuple[Carrier, str]:
    token = bearer(scope.get("headers") or [])
    if token is not None:
        return Carrier.AUTHORIZATION, token
    named = [name.removeprefix(BEARER_PREFIX) for name in offered if name.startswith(BEARER_PREFIX)]
    if named:
        return Carrier.SUBPROTOCOL, named[0] if len(named) == 1 else ""
    query = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    for carrier, parameter in ((Carrier.TICKET, "ticket"), (Carrier.QUERY, "token")):
        values = [value for name, value in query if name == parameter]
        if values:
            return carrier, values[0] if len(values) == 1 else ""
    return Carrier.FRAME, ""

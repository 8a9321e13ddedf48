"""A handshake before it is accepted: what it brought, and how it is refused without one."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from sys import intern
from typing import Any

from holdfast.asgi import carriers, origin
from holdfast.asgi.carriers import Scope
from holdfast.asgi.headers import values
from holdfast.asgi.node import Node, ending_of
from holdfast.errors import ConnectionEnded, RefusedError, Unavailable
from holdfast.logs import get_logger
from holdfast.protocol import endings

log = get_logger("holdfast.live")

ASGIMessage = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[ASGIMessage]]
SendMessage = Callable[[ASGIMessage], Awaitable[None]]


class Visitor:
    """Who knocks, and how; kept for the administrator and the log for as long as the connection lives."""

    __slots__ = ("address", "carrier", "controlled", "origin", "path", "user_agent")

    def __init__(self, node: Node, scope: Scope, carried: carriers.Carried) -> None:
        address = node.address_of(scope) if node.address_of else (scope.get("client") or (None,))[0]
        # Interned, since many connections say the same, and each would keep its own copy of it.
        self.address = _interned(address)
        self.user_agent = _interned(header(scope, b"user-agent"))
        self.path = intern(str(scope.get("path", "")))
        self.origin = _interned(header(scope, b"origin"))
        self.carrier = carried.carrier
        """How the first token came."""
        self.controlled = carried.controlled
        """Whether the client speaks holdfast.v1."""

    def log_refusal(self, connection: str, error: RefusedError) -> None:
        """Why a token was not taken; the token itself is not ours to write down."""
        log.info(
            "token refused",
            code=error.code,
            reason=error.detail or getattr(error, "reason", ""),
            connection=connection,
            carrier=str(self.carrier),
            address=self.address,
            path=self.path,
        )


def may_enter(node: Node, scope: Scope) -> bool:
    """Whether it is no browser that knocks, or one with a page that may connect here."""
    page = header(scope, b"origin")
    if page is None:
        return True
    here = node.host_of(scope) if node.host_of else header(scope, b"host")
    return origin.allowed(page, here, node.allowed_origins)


async def check_origin(node: Node, visitor: Visitor, scope: Scope, send: SendMessage) -> None:
    """Refuse a foreign page before the accept, so that it learns nothing. Raises `ConnectionEnded`."""
    if may_enter(node, scope):
        return
    log.warning("handshake refused", reason="foreign origin", origin=visitor.origin, path=visitor.path)
    node.observer.connection("refused", detail="foreign origin")
    message = (
        "This page may not connect here; the server's HOLDFAST_ALLOWED_ORIGINS does not list its origin."
    )
    await _respond(scope, send, 403, {"code": "foreign_origin", "message": message})
    raise ConnectionEnded(endings.TOKEN_INVALID)


async def refuse(
    error: RefusedError | Unavailable, connection: str, visitor: Visitor, scope: Scope, send: SendMessage
) -> ConnectionEnded:
    """Answer a bad token over HTTP (`HOLDFAST_HANDSHAKE=http`); the error to raise."""
    if isinstance(error, Unavailable):
        await _respond(scope, send, 503, {"code": "try_later", "message": endings.TRY_LATER.reason})
        return ConnectionEnded(endings.TRY_LATER)
    visitor.log_refusal(connection, error)
    bearer = (b"www-authenticate", b"Bearer")
    await _respond(scope, send, error.status, {"code": error.code, "message": str(error)}, bearer)
    return ConnectionEnded(ending_of(error))


def header(scope: Scope, wanted: bytes) -> str | None:
    """A header's value; two of the same name count as one that matches nothing."""
    found = values(scope.get("headers"), wanted)
    return ", ".join(value.decode("latin-1") for value in found) if found else None


def _interned(text: str | None) -> str | None:
    return None if text is None else intern(text)


async def _respond(
    scope: Scope, send: SendMessage, status: int, body: dict[str, str], *headers: tuple[bytes, bytes]
) -> None:
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    head = [(b"content-type", b"application/json"), (b"cache-control", b"no-store"), *headers]
    await send({"type": "websocket.http.response.start", "status": status, "headers": head})
    await send(
        {"type": "websocket.http.response.body", "body": json.dumps(body).encode(), "more_body": False}
    )

"""The way out below ASGI: what the fast lane puts in a scope, and nothing else does.

`scope["extensions"][EXTENSION]["lane"]` is a `Lane`. Whoever finds none sends through ASGI, slower and just the same.
"""

from __future__ import annotations

import zlib
from collections.abc import MutableMapping
from typing import Any, Protocol

EXTENSION = "holdfast.lane"


class Receiver(Protocol):
    """Who is told what comes in on an adopted connection; must return at once."""

    def received(self, data: str | bytes) -> None:
        """One whole message."""
        ...

    def disconnected(self, code: int) -> None:
        """The connection is gone; called once, and last."""
        ...


class Lane(Protocol):
    """One connection's transport, in WebSocket frames. ASGI sends of the same connection go the same way, in turn."""

    @property
    def compressed(self) -> bool:
        """Whether permessage-deflate was negotiated."""
        ...

    @property
    def closed(self) -> bool:
        """Whether nothing more can be written."""
        ...

    def write(self, frames: bytes) -> None:
        """Send whole, framed messages; never waits, and is harmless once closed."""
        ...

    def backlog(self) -> int:
        """Bytes written that the kernel has not taken yet."""
        ...

    async def drained(self) -> None:
        """Return once the backlog is low again, or the connection closed."""
        ...

    def adopt(self, receiver: Receiver) -> None:
        """Hand everything that comes to `receiver`; the connection outlives its ASGI call from then on."""
        ...

    def close(self, code: int, reason: str = "") -> None:
        """Begin the closing handshake; the transport is cut when the peer does not finish it in time."""
        ...

    def abort(self) -> None:
        """Cut the transport."""
        ...


def lane_of(scope: MutableMapping[str, Any]) -> Lane | None:
    """The lane of a connection, where its server has one."""
    found: Lane | None = ((scope.get("extensions") or {}).get(EXTENSION) or {}).get("lane")
    return found


def text_frame(payload: bytes) -> bytes:
    """A whole text message as a server sends it: final, unmasked (RFC 6455, section 5.2)."""
    size = len(payload)
    if size < 126:
        return b"\x81" + size.to_bytes(1, "big") + payload
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


def deflated_frame(payload: bytes) -> bytes:
    """The same, compressed without any context (RFC 7692), so that all who negotiated it can be sent these bytes."""
    squeeze = zlib.compressobj(wbits=-12, memLevel=5)
    squeezed = squeeze.compress(payload) + squeeze.flush(zlib.Z_SYNC_FLUSH)
    frame = text_frame(squeezed[:-4])
    return bytes((frame[0] | 0x40,)) + frame[1:]

"""The way out below ASGI: what the fast lane puts in a scope, and nothing else does.

`scope["extensions"][EXTENSION]["lane"]` is a `Lane`. Whoever finds none sends through ASGI, slower and just the same.

What is written to a lane is framed already, once for all that get it: by `text_frame`, and by `deflated_frame` for
lanes that are `compressed`.
"""

from __future__ import annotations

from collections.abc import Collection, MutableMapping
from typing import Any, Protocol

from holdfast.asgi.fastlane.deflate import deflated_frame
from holdfast.asgi.fastlane.descriptors import write_to_each
from holdfast.asgi.fastlane.frames import text_frame

__all__ = ["EXTENSION", "TAKES", "Lane", "Receiver", "deflated_frame", "lane_of", "spread", "text_frame"]

EXTENSION = "holdfast.lane"

TAKES = "holdfast_takes"
"""An app's attribute: `holdfast_takes(scope, lane) -> bool`, asked before the app would be called with a handshake.

One that says yes has done `lane.take` and `lane.adopt`, and is not called. What it raises ends the connection.
"""


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
    def direct(self) -> int:
        """The socket's descriptor, as long as nothing that was written before waits anywhere; else negative."""
        ...

    @property
    def closed(self) -> bool:
        """Whether nothing more can be written."""
        ...

    def write(self, frames: bytes) -> None:
        """Send whole, framed messages; never waits, and is harmless once closed."""
        ...

    def write_now(self, frames: bytes) -> int:
        """The same for what is one tick's whole already: it need not wait for more. Returns the backlog."""
        ...

    def write_rest(self, frames: bytes) -> int:
        """The same for what a send to the socket has left."""
        ...

    def backlog(self) -> int:
        """Bytes written that the kernel has not taken yet."""
        ...

    async def drained(self) -> None:
        """Return once the backlog is low again, or the connection closed."""
        ...

    def take(
        self, scope: MutableMapping[str, Any], subprotocol: str | None, headers: list[tuple[bytes, bytes]]
    ) -> None:
        """Accept the handshake for whom a call would have been made; the scope goes into the access log."""
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


def spread(lanes: Collection[Lane], frames: bytes) -> list[Lane]:
    """Write the same to many, as by `write_now`; those of them that have a backlog then.

    It calls nothing that could change `lanes`.
    """
    in_order = list(lanes)
    behind = []
    for place, taken in write_to_each([lane.direct for lane in in_order], frames):
        lane = in_order[place]
        if lane.write_now(frames) if lane.direct < 0 else lane.write_rest(frames[taken:]):
            behind.append(lane)
    return behind

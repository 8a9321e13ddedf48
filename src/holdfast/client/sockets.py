"""Opening a WebSocket that carries a token, without letting the token out."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Awaitable
from typing import Any, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from holdfast.client.answers import body_of, code_of, seconds_of
from holdfast.client.live_effects import Denial
from holdfast.protocol.codec import SUBPROTOCOL

CLOSE_PATIENCE = 2.0
"""How long a close frame waits for its answer."""
MAX_FRAME_BYTES = 16 * 2**20

# At DEBUG the library logs handshakes, `Authorization` included, so it is kept above that whatever the app sets.
wire_log = logging.getLogger("holdfast.client.websocket")
wire_log.setLevel(logging.INFO)


class DeniedError(Exception):
    """The handshake was answered over HTTP."""

    def __init__(self, denial: Denial) -> None:
        super().__init__(f"HTTP {denial.status}")
        self.denial = denial


class Connect(Protocol):
    """Opens a socket with a token.

    Raises `DeniedError` for an answer over HTTP and `OSError` for anything that may pass.
    """

    def __call__(self, url: str, token: str) -> Awaitable[ClientConnection]: ...


class _Straight(connect):
    """A redirect is an answer like any other: a token goes nowhere but where it was meant to."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


def opener(*, ssl_context: ssl.SSLContext | None = None) -> Connect:
    """Opens real sockets."""

    async def open_socket(url: str, token: str) -> ClientConnection:
        options: dict[str, Any] = {}
        if ssl_context is not None and url.startswith("wss:"):
            options["ssl"] = ssl_context
        try:
            return await _Straight(
                url,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                additional_headers={"Authorization": f"Bearer {token}"},
                compression=None,
                open_timeout=None,  # the machine's own patience bounds it
                ping_interval=None,  # the protocol has its own
                close_timeout=CLOSE_PATIENCE,
                max_size=MAX_FRAME_BYTES,
                logger=wire_log,
                **options,
            )
        except InvalidStatus as error:
            raise DeniedError(_denial(error)) from None
        except WebSocketException as error:
            raise ConnectionError(type(error).__name__) from None

    return open_socket


def _denial(error: InvalidStatus) -> Denial:
    response = error.response
    body = body_of(bytes(response.body or b"").decode(errors="replace"))
    return Denial(response.status_code, code_of(body), seconds_of(response.headers.get("Retry-After")))

"""uvicorn's HTTP protocol on httptools, for a server with many WebSockets.

It answers what its parent leaves hanging: a request that is never finished is cut (408), a target or headers that never
end are refused (414, 431). A WebSocket request goes to `Protocol` as it was parsed, instead of as text to parse again.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from holdfast.asgi.fastlane import handshake
from holdfast.asgi.fastlane.handshake import (
    HEAD_TOO_LARGE,
    LARGEST_HEAD,
    LONGEST_TARGET,
    MOST_HEADERS,
    TARGET_TOO_LONG,
    UNFINISHED,
    Refusal,
    Request,
)
from holdfast.asgi.fastlane.lanes import lanes_of
from holdfast.asgi.fastlane.protocol import LINGER_SECONDS, REQUEST_SECONDS, Protocol


class HttpProtocol(HttpToolsProtocol):
    """One connection, until it is a WebSocket."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._lanes = lanes_of(config, server_state, app_state, self.loop)
        self.due = 0
        self._head = 0
        """Bytes of the request's head so far, as they were read."""
        self._in_head = True
        self._refusal: Refusal | None = None
        self._leaving = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self._lanes.wheel.set(self, REQUEST_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lanes.wheel.drop(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._leaving:
            return
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._should_upgrade():
                self._upgrade(data[upgrade.args[0] :])
            else:
                self._unsupported_upgrade_warning()
            return
        except httptools.HttpParserError:
            if self._refusal is None:
                message = "Invalid HTTP request received."
                self.logger.warning(message)
                self.send_400_response(message)
                return
        if self._in_head and self._refusal is None:
            # Of a header that is not whole yet nothing has been seen but its bytes.
            self._head += len(data)
            if self._head > LARGEST_HEAD:
                self._refusal = HEAD_TOO_LARGE
        if self._refusal is not None:
            self._refuse(self._refusal)

    # The parser's callbacks

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head = 0
        self._in_head = True
        if not self.due:
            self._lanes.wheel.set(self, REQUEST_SECONDS)

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > LONGEST_TARGET:
            self._stop(TARGET_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if len(self.headers) > MOST_HEADERS:
            self._stop(HEAD_TOO_LARGE)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._lanes.wheel.drop(self)
        if sum(len(name) + len(value) for name, value in self.headers) > LARGEST_HEAD:
            self._stop(HEAD_TOO_LARGE)
        super().on_headers_complete()

    def _stop(self, refusal: Refusal) -> None:
        """Leave the parser, by the only way there is."""
        self._refusal = refusal
        raise ValueError(refusal.text)

    # Upgrading

    def _get_upgrade(self) -> bytes | None:
        # Unlike the parent's: the header may come twice, as any list may.
        connection = b",".join(value for name, value in self.headers if name == b"connection")
        if b"upgrade" not in {token.strip().lower() for token in connection.split(b",")}:
            return None
        return next((value.lower() for name, value in self.headers if name == b"upgrade"), None)

    def _upgrade(self, early: bytes) -> None:
        chosen: type[Any] | None = self.ws_protocol_class
        if chosen is None or not issubclass(chosen, Protocol):
            self.handle_websocket_upgrade()
            return
        self.connections.discard(self)
        request = Request(self.scope["method"].encode(), self.url, self.scope["http_version"], self.headers)
        protocol = chosen(self.config, self.server_state, self.app_state, self.loop)
        self.transport.set_protocol(protocol)
        self.parser = None  # type: ignore[assignment]  # it refers back here, which only the collector would undo
        protocol.begin(self.transport, request, early=early, client=self.client, server=self.server)

    # Refusing

    def rang(self) -> None:
        """The wheel's call: the request is late, or nobody reads why it was refused."""
        if self._leaving or self._head == 0:
            self.transport.abort()
        else:
            self._refuse(UNFINISHED)

    def _refuse(self, refusal: Refusal) -> None:
        self.logger.warning("Request refused: %d %s", refusal.status, refusal.text)
        self._leaving = True
        self._lanes.wheel.set(self, LINGER_SECONDS)
        self.transport.write(handshake.refused(refusal, self._lanes.headers))
        if self.transport.can_write_eof():
            self.transport.write_eof()  # a reset, while more is coming, would destroy the answer
        else:
            self.transport.close()

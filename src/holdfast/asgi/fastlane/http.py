"""uvicorn's HTTP protocol on httptools, for a server with many WebSockets.

Nobody is left hanging: a request whose head is never finished is cut (408), and one whose body does not go on; a target
or headers that never end are refused (414, 431). A WebSocket's handshake that comes in one piece, as nearly all do,
goes to `Protocol` at once; what is anything else gets uvicorn's own protocol, with these limits, and a handshake from
there goes on as it was parsed.
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

BODY_SECONDS = 30.0
"""How long a request's body may make its app wait for more."""

_UPGRADE = {b"connection": b"upgrade", b"upgrade": b"websocket"}


class HttpProtocol(asyncio.Protocol):
    """One connection, until the first bytes tell what it is."""

    __slots__ = ("_app_state", "_config", "_lanes", "_state", "_transport", "due")

    _transport: asyncio.Transport

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._config = config
        self._state = server_state
        self._app_state = app_state
        self._lanes = lanes_of(config, server_state, app_state, _loop)
        self.due = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._lanes.connections.add(self)
        self._lanes.wheel.set(self, REQUEST_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # there was no request to tell of it
        self._leave()

    def data_received(self, data: bytes) -> None:
        self._leave()
        transport = self._transport
        chosen = self._config.ws_protocol_class
        request = handshake.read_whole(data) if chosen is not None and issubclass(chosen, Protocol) else None
        if request is not None:
            lane = cast(type[Protocol], chosen)(self._config, self._state, self._app_state, self._lanes.loop)
            transport.set_protocol(lane)
            lane.begin(transport, request)
            return
        plain = Requests(self._config, self._state, self._app_state, self._lanes.loop)
        transport.set_protocol(plain)
        plain.connection_made(transport)
        plain.data_received(data)

    def eof_received(self) -> None:
        return None

    def shutdown(self) -> None:
        """uvicorn's call when the server goes down."""
        self._transport.close()

    def rang(self) -> None:
        """The wheel's call: nothing came."""
        self._transport.abort()

    def _leave(self) -> None:
        self._lanes.wheel.drop(self)
        self._lanes.connections.discard(self)


class Requests(HttpToolsProtocol):
    """Ordinary requests, and handshakes that were not read at once."""

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
        """Bytes in the reads that the head is in, so far."""
        self._in_head = True
        self._one_is_whole = False
        self._upgrades = False
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
        goes_on, self._one_is_whole = self._in_head, False
        self._head = len(data) + (self._head if goes_on else 0)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._upgrades:
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
        if self._in_head:
            if self._one_is_whole or not goes_on:
                self._head = 1  # it began somewhere in this read, behind something that may be large
            if self._refusal is None and self._is_too_large(self._head):
                self._refusal = HEAD_TOO_LARGE
        if self._refusal is not None:
            self._refuse(self._refusal)

    # The parser's callbacks

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._upgrades = False
        if not self.due:
            self._lanes.wheel.set(self, REQUEST_SECONDS)

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > LONGEST_TARGET:
            self._stop(TARGET_TOO_LONG)

    def on_headers_complete(self) -> None:
        self._in_head, self._one_is_whole = False, True
        self._lanes.wheel.drop(self)
        size = self._head
        if size > LARGEST_HEAD:
            size = sum(len(name) + len(value) for name, value in self.headers)
        if self._is_too_large(size):
            self._stop(HEAD_TOO_LARGE)
        self._upgrades = self.parser.should_upgrade() and self._asks_for_websocket()
        super().on_headers_complete()
        if not self._upgrades:
            self._lanes.wheel.set(self, BODY_SECONDS)

    def on_body(self, body: bytes) -> None:
        self._lanes.wheel.set(self, BODY_SECONDS)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._lanes.wheel.drop(self)
        super().on_message_complete()

    def _is_too_large(self, size: int) -> bool:
        return size > LARGEST_HEAD or len(self.headers or ()) > MOST_HEADERS

    def _stop(self, refusal: Refusal) -> None:
        """Leave the parser, by the only way there is."""
        self._refusal = refusal
        raise ValueError(refusal.text)

    # Upgrading

    def _asks_for_websocket(self) -> bool:
        # Unlike the parent's `_get_upgrade`: a header may come twice, as any list may.
        found = {b"connection": b"", b"upgrade": b""}
        for name, value in self.headers:
            if name in found:
                found[name] += b"," + value
        return self.ws_protocol_class is not None and all(
            handshake.names(found[name], token) for name, token in _UPGRADE.items()
        )

    def _should_upgrade(self) -> bool:
        return self._upgrades

    def _upgrade(self, early: bytes) -> None:
        chosen: type[Any] | None = self.ws_protocol_class
        if chosen is None or not issubclass(chosen, Protocol):
            self.handle_websocket_upgrade()
            return
        self.connections.discard(self)
        request = Request(self.scope["method"].encode(), self.url, self.scope["http_version"], self.headers)
        lane = chosen(self.config, self.server_state, self.app_state, self.loop)
        self.transport.set_protocol(lane)
        self.parser = None  # type: ignore[assignment]  # it refers back here, which only the collector would undo
        lane.begin(self.transport, request, early)

    # Refusing

    def rang(self) -> None:
        """The wheel's call: the request is late, or its body is, or nobody reads why it was refused."""
        if self._leaving:
            self.transport.abort()
        elif self._in_head:
            self._refuse(UNFINISHED)
        elif self.flow.read_paused or (self.cycle is not None and self.cycle.waiting_for_100_continue):
            self._lanes.wheel.set(self, BODY_SECONDS)  # the app is late, and not its client
        else:
            self.logger.warning("Request cut: its body did not go on.")
            self.transport.close()

    def _refuse(self, refusal: Refusal) -> None:
        self.logger.warning("Request refused: %d %s", refusal.status, refusal.text)
        self._leaving = True
        self._lanes.wheel.set(self, LINGER_SECONDS)
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.close()  # the answer to the request before this one is not whole, and never will be
            return
        self.transport.write(handshake.refused(refusal, self._lanes.headers))
        if self.transport.can_write_eof():
            self.transport.write_eof()  # a reset, while more is coming, would destroy the answer
        else:
            self.transport.close()

"""The WebSocket protocol class for uvicorn: one connection's transport, its closing handshake and its pings.

It speaks to a `Receiver`: the app's `Call`, until somebody adopts the connection. All that is sent goes through
`write`, in order; what one loop tick brings is joined into one write to the transport.
"""

from __future__ import annotations

import asyncio
import os
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar, cast

from uvicorn.protocols.utils import is_ssl

from holdfast.asgi.fastlane import deflate, handshake
from holdfast.asgi.fastlane.call import PLAIN, Call, PeerGone
from holdfast.asgi.fastlane.descriptors import write_to_each
from holdfast.asgi.fastlane.frames import (
    ABNORMAL,
    FIN,
    NO_STATUS,
    PING,
    PONG,
    close_frame,
    frame,
    may_be_sent,
)
from holdfast.asgi.fastlane.handshake import Headers, Offer, Refusal, Request
from holdfast.asgi.fastlane.lanes import Lanes, Scope, Takes, lanes_of
from holdfast.asgi.fastlane.parser import Closed, Event, Failed, Parser, Pinged, Ponged
from holdfast.asgi.fastlane.scope import own_address, peer_address, websocket_scope
from holdfast.asgi.fastlane.transport import Transport
from holdfast.asgi.lane import EXTENSION, Lane, Receiver

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

JOINED = 65_536
"""Bytes from which a tick's writes are handed over before the tick ends."""

EARLY = 65_536
"""Bytes that a client may send before its handshake is answered, which it should not do at all."""

REQUEST_SECONDS = 5.0
"""How long a client may take for its request."""

CLOSE_SECONDS = 5.0
"""How long the peer may take to answer a close frame, or to take what was written before it."""

LINGER_SECONDS = 2.0
"""The same for a peer that broke the rules, and when the server is going down."""


class Phase(IntEnum):
    """How far a connection has come; it never goes back."""

    REQUEST = 0
    ASKED = 1
    OPEN = 2
    CLOSING = 3
    LEAVING = 4
    LOST = 5


class Nobody:
    """Receives nothing: before anybody does."""

    def received(self, data: str | bytes) -> None: ...

    def disconnected(self, code: int) -> None: ...


_NOBODY = Nobody()


class Protocol(asyncio.Protocol):
    """One connection. Made by uvicorn's HTTP protocol, which hands the transport and the request over."""

    __slots__ = (
        "_asked", "_code", "_drained", "_fd", "_offer", "_out", "_parser", "_phase", "_ping", "_pong",
        "_receiver", "_secure", "_transport", "_version", "_waiting", "call", "closed", "compressed", "crowded",
        "direct", "due", "held", "lanes", "reason", "window",
    )  # fmt: skip

    _transport: asyncio.Transport
    lanes: Lanes
    deflates: ClassVar[bool] = False
    """Whether permessage-deflate is agreed to, where the server's own switch does not forbid it either."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.lanes = lanes_of(config, server_state, app_state, _loop)
        self.due = 0
        self.direct = -1
        self.closed = False
        self.compressed = False
        self.crowded = False
        self.window = 0
        self.reason = ""
        self._phase = Phase.REQUEST
        self._version = "1.1"
        self._offer: Offer | None = None
        self._parser: Parser | None = None
        self._receiver: Receiver | None = None
        self.call: Call | None = None
        self._code = 0
        self._out: list[bytes] = []
        self._waiting = 0
        self._drained: list[asyncio.Future[None]] | None = None
        self.held = False
        self._asked = False
        self._ping: bytes | None = None
        self._pong: bytes | None = None

    # The transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)
        self.lanes.connections.add(self)
        self._take(transport)
        # What follows is the request as text, and always as HTTP/1.1; who received it knows better.
        before = getattr(transport.get_protocol(), "scope", None)
        if isinstance(before, dict):
            self._version = before.get("http_version", "1.1")

    def _take(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        if isinstance(transport, Transport):
            self._secure, self._fd = False, transport.fd
            return
        socket = transport.get_extra_info("socket")
        # What is sent over TLS must go through its transport, and Windows has sockets of another kind.
        self._secure = is_ssl(transport)
        plain = socket is not None and os.name == "posix" and not self._secure
        self._fd = socket.fileno() if plain else -1

    def data_received(self, data: bytes) -> None:
        parser = self._parser
        if parser is None:
            if self._phase is Phase.REQUEST:
                self._begin(handshake.read(data, self._version))
            return
        parser.feed(data)
        if self._phase is Phase.ASKED:
            if parser.held > EARLY:
                self.hold()
        elif not self.held:
            self._deliver()

    def eof_received(self) -> None:
        return None  # the transport writes what is left, and closes

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # all that matters is that it is gone
        self._phase = Phase.LOST
        self._shut()
        lanes = self.lanes
        lanes.wheel.drop(self)
        lanes.connections.discard(self)
        self._out.clear()
        self._parser = None
        self._offer = None
        self.resume_writing()
        self._over(ABNORMAL, "")

    def pause_writing(self) -> None:
        self.crowded = True

    def resume_writing(self) -> None:
        self.crowded = False
        if self._drained is not None:
            for waiter in self._drained:
                if not waiter.done():
                    waiter.set_result(None)
            self._drained = None
        if self._pong is not None:
            pong, self._pong = self._pong, None
            self.write(frame(FIN | PONG, pong))

    def shutdown(self) -> None:
        """uvicorn's call when the server goes down."""
        if self._phase is Phase.OPEN:
            self._say_goodbye(1012, "", LINGER_SECONDS)
            self._over(1012, "")
            if self.held:
                self.go_on()
        elif self._phase < Phase.OPEN:
            self.deny(503, PLAIN, b"The server is going down.\n")

    # The handshake

    def begin(self, transport: asyncio.Transport, request: Request, early: bytes = b"") -> None:
        """Take a connection over from `HttpProtocol`, which has parsed the request; `early` came after it."""
        self.lanes.connections.add(self)
        self._take(transport)
        self._begin(request)
        if early:
            self.data_received(early)

    def _begin(self, request: Request | Refusal) -> None:
        offer = handshake.consider(request) if isinstance(request, Request) else request
        if isinstance(offer, Refusal):
            self._refuse(offer)
            return
        assert isinstance(request, Request)
        lanes, transport = self.lanes, self._transport
        self._phase = Phase.ASKED
        self._offer = offer
        may_deflate = self.deflates and lanes.deflates and offer.extensions
        self.window = deflate.agree(offer.extensions) if may_deflate else 0
        self.compressed = self.window == deflate.LARGEST_WINDOW
        self._parser = Parser(lanes.largest_message, deflate=self.window > 0)
        lane: Lane = self
        scope = websocket_scope(
            target=request.target,
            headers=request.headers,
            subprotocols=offer.subprotocols,
            scheme="wss" if self._secure else "ws",
            client=peer_address(transport.get_extra_info("peername")),
            server=own_address(transport.get_extra_info("sockname")),
            root_path=lanes.root_path,
            asgi_version=lanes.asgi_version,
            state=lanes.app_state,
            extensions={"websocket.http.response": {}, EXTENSION: {"lane": lane}},
        )
        if lanes.takes is not None and self._is_taken(lanes.takes, scope):
            return
        self._receiver = self.call = call = Call(self, scope)
        lanes.run(call.run(lanes.app, scope))

    def _is_taken(self, takes: Takes, scope: Scope) -> bool:
        """Whether somebody has taken the connection, so that no call of the app is needed."""
        self._receiver = _NOBODY
        try:
            return takes(scope, self)
        except Exception:
            self.lanes.log.exception("Exception in ASGI application\n")
            if self._phase is Phase.ASKED:
                self.deny(500, PLAIN, b"Internal Server Error")
            else:
                self.close(1011)
            return True

    def take(self, scope: Scope, subprotocol: str | None, headers: Headers) -> None:
        self.accept(subprotocol, headers)
        self.lanes.log_handshake(scope, "[accepted]")

    def _refuse(self, refusal: Refusal) -> None:
        self.lanes.log.warning("WebSocket handshake refused: %d %s", refusal.status, refusal.text)
        self.write(handshake.refused(refusal, self.lanes.headers))
        self._leave()

    def accept(self, subprotocol: str | None, headers: Headers) -> None:
        """Answer the handshake: the connection is open. Raises `PeerGone` where it has been denied meanwhile."""
        offer = self._offer
        if offer is None:
            raise PeerGone
        agreed = deflate.answer(self.window) if self.window else None
        answer = handshake.accepted(
            offer, self.lanes.head, subprotocol=subprotocol, extension=agreed, headers=headers
        )
        self._offer = None
        self._phase = Phase.OPEN
        self.write(answer)
        if self.lanes.ping_interval is not None:
            self.lanes.wheel.set(self, self.lanes.ping_interval)
        if self._parser is not None and self._parser.held:
            self.lanes.loop.call_soon(self.go_on)

    def deny(self, status: int, headers: Headers, body: bytes, *, more: bool = False) -> None:
        """Answer the handshake with an HTTP response instead."""
        if self._phase > Phase.ASKED or self._offer is None:
            return
        own = [(b"connection", b"close")]
        if not more and not any(name.lower() == b"content-length" for name, _ in headers):
            own.append((b"content-length", b"%d" % len(body)))
        self._offer = None
        self.write(handshake.response(status, [*own, *self.lanes.headers, *headers], body))
        if not more:
            self._leave()

    def deny_more(self, body: bytes, *, more: bool) -> None:
        """Go on with the body of such a response."""
        self.write(body)
        if not more:
            self._leave()

    # What comes in

    def hold(self) -> None:
        """Read nothing more for now: the app is behind."""
        if not self.held and self._phase < Phase.LEAVING:
            self.held = True
            self._transport.pause_reading()

    def go_on(self) -> None:
        """Read on, with what was left first."""
        if self.held:
            self.held = False
            self._transport.resume_reading()
        if self._phase >= Phase.OPEN:
            self._deliver()

    def _deliver(self) -> None:
        parser = self._parser
        while parser is not None and not self.held and (event := parser.take()) is not None:
            if isinstance(event, str | bytes):
                if self._phase is Phase.OPEN and self._receiver is not None:
                    self._receive(event)
            else:
                self._control(event)
                parser = self._parser
        if parser is not None and parser.failed and parser.closes():
            self._leave()
        if self._out:
            self.flush()

    def _receive(self, message: str | bytes) -> None:
        assert self._receiver is not None
        try:
            self._receiver.received(message)
        except Exception:
            self.lanes.log.exception("a receiver failed")
            self._fail(1011, "")

    def _control(self, event: Event) -> None:
        match event:
            case Pinged(payload):
                if self.crowded:
                    self._pong = payload  # only the newest is owed an answer (section 5.5.3)
                else:
                    self.write(frame(FIN | PONG, payload))
            case Ponged(payload):
                if payload == self._ping:
                    self._ping = None
            case Closed(code, reason):
                self.write(close_frame(code))
                self._leave()
                self._over(code, reason)
            case Failed(code, reason):
                self._fail(code, reason)

    def _fail(self, code: int, reason: str) -> None:
        """Say what was wrong; not with the transport closed at once, since a reset would destroy what was said."""
        self._say_goodbye(code, reason, LINGER_SECONDS)
        self._over(code, reason)

    def _say_goodbye(self, code: int, reason: str, seconds: float) -> None:
        self.write(close_frame(code, reason))
        self.flush()
        self._shut()
        self._phase = Phase.CLOSING
        self.lanes.wheel.set(self, seconds)

    def _over(self, code: int, reason: str) -> None:
        """Tell the receiver, once."""
        receiver, self._receiver = self._receiver, None
        if receiver is None:
            return
        self._code, self.reason = code, reason
        try:
            receiver.disconnected(code)
        except Exception:
            self.lanes.log.exception("a receiver failed")

    # What goes out: the lane

    def write(self, frames: bytes) -> None:
        if self.closed:
            return
        out = self._out
        if not out:
            self.direct = -1
            self.lanes.will_write(self)
        out.append(frames)
        self._waiting += len(frames)
        if self._waiting >= JOINED:
            self.flush()

    def write_now(self, frames: bytes) -> int:
        if self.closed:
            return 0
        if self._out:
            self.flush()
        if self._fd >= 0 and not self._transport.get_write_buffer_size():
            # Nothing is before it, so it can go past the transport, which takes a sixth longer. The descriptor is
            # ours until `connection_lost`, and from then on this is closed.
            lacking = write_to_each([self._fd], frames)
            if not lacking:
                self.direct = self._fd
                return 0
            frames = frames[lacking[0][1] :]
        return self.write_rest(frames)

    def write_rest(self, frames: bytes) -> int:
        self.direct = -1
        self._transport.write(frames)
        return self._transport.get_write_buffer_size()

    def flush(self) -> None:
        """Hand over what waits for the end of the tick."""
        out = self._out
        if not out:
            return
        # A large one may be shared by many, so it is not copied.
        last = out.pop() if len(out[-1]) >= JOINED else b""
        if out:
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))
            out.clear()
        if last:
            self._transport.write(last)
        self._waiting = 0

    def backlog(self) -> int:
        return self._waiting + self._transport.get_write_buffer_size()

    def _shut(self) -> None:
        """Nothing more is written, by no way."""
        self.closed = True
        self.direct = -1

    async def drained(self) -> None:
        if self.crowded:
            waiter = self.lanes.loop.create_future()
            self._drained = [*(self._drained or ()), waiter]
            await waiter

    def adopt(self, receiver: Receiver) -> None:
        """Tell `receiver` from now on, and first, at once, what the app had not received."""
        call, self.call = self.call, None
        gone = self._receiver is None
        self._receiver = receiver
        for message in call.release() if call is not None else ():
            receiver.received(message)
        if gone:
            self._over(self._code or ABNORMAL, self.reason)
        elif self.held:
            self.go_on()

    def close(self, code: int, reason: str = "") -> None:
        """Begin the closing handshake. Raises `ValueError` for a code that may not be sent."""
        if self._phase is Phase.OPEN:
            if code != NO_STATUS and not may_be_sent(code):
                raise ValueError(f"no close frame may have the code {code!r}")
            self._say_goodbye(code, reason, CLOSE_SECONDS)
            if self.held:
                self.go_on()  # the answer is behind what nobody will receive
        else:
            self.deny(403, [], b"")

    def abort(self) -> None:
        self._shut()
        self._out.clear()
        self._waiting = 0
        if self._phase is not Phase.LOST:
            self._transport.abort()

    def _leave(self) -> None:
        """Close the transport once all is written."""
        if self._phase < Phase.LEAVING:
            self._shut()
            self._phase = Phase.LEAVING
            self._parser = None
            self.flush()
            self.lanes.wheel.set(self, CLOSE_SECONDS)
            self._transport.close()

    # Time

    def rang(self) -> None:
        """The wheel's call."""
        if self._phase is Phase.OPEN:
            self._pulse()
        else:
            self.abort()

    def _pulse(self) -> None:
        interval, timeout = self.lanes.ping_interval, self.lanes.ping_timeout
        assert interval is not None
        if self._asked:
            self._asked = False
            # While nothing is read, no answer can be seen either.
            if self._ping is not None and not self.held:
                self._fail(1011, "keepalive ping timeout")
                return
            if timeout is not None and timeout < interval:
                self.lanes.wheel.set(self, interval - timeout)
                return
        self._ping = self.lanes.ping_payload()
        self.write(frame(FIN | PING, self._ping))
        self._asked = timeout is not None
        self.lanes.wheel.set(self, interval if timeout is None else timeout)

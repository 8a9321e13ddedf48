"""Runs one connection: feeds the socket's events and the time to the core, and performs its effects.

This is the only place that waits for a socket. Whoever owns the endpoint's task calls `open`, then talks through a
`LiveSocket`, then `finish`; a reader task of the driver's own takes frames all the while, so that a renewal gets
through however busy the app's handler is.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from holdfast.asgi import carriers, origin
from holdfast.asgi.carriers import Carrier, Scope
from holdfast.asgi.inbox import Inbox, InboxClosed
from holdfast.asgi.node import Node, ending_of
from holdfast.asgi.scheduler import Alarm
from holdfast.core.connection import Connection, Proof, State
from holdfast.core.effects import Bind, Close, Deliver, Effect, Record, Request, Send, Verify
from holdfast.errors import ConnectionEnded, RefusedError, Unavailable
from holdfast.logs import get_logger
from holdfast.protocol import endings, frames
from holdfast.protocol.codec import SUBPROTOCOL, Codec, HoldfastV1, Plain
from holdfast.protocol.endings import Ending

log = get_logger("holdfast.live")

ASGIMessage = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[ASGIMessage]]
SendMessage = Callable[[ASGIMessage], Awaitable[None]]
Frame = frames.ServerFrame | frames.Ping | frames.Pong | frames.Message

TIMELINE_LENGTH = 64
LOGGED = frozenset({"proven", "ended", "gone"})
INBOX_MESSAGES = 1_000
CLOSE_PATIENCE = 2.0
"""Seconds that an ending waits for a write that a stalled peer holds up, before it goes past it."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A line of a connection's timeline; `seconds` is what was left of the lease or the grace."""

    at: float
    what: str
    detail: str = ""
    seconds: float | None = None


class Driver:
    """One connection, from its handshake to its end. Not for several tasks to `open` or `finish`."""

    def __init__(self, node: Node, scope: Scope, receive: Receive, send: SendMessage) -> None:
        self.node = node
        self.id = node.random.token(12).hex()
        self.connected_at = node.clock.now()
        self.timeline: list[Moment] = []
        self.address = node.address_of(scope) if node.address_of else (scope.get("client") or (None,))[0]
        self.user_agent = _header(scope, b"user-agent")
        self.path: str = scope.get("path", "")
        self.origin = _header(scope, b"origin")
        self._scope = scope
        self._receive = receive
        self._send = send
        carried = carriers.read(scope)
        carriers.hide(scope)
        self.carrier, self.controlled = carried.carrier, carried.controlled
        """How the first token came, and whether the client speaks holdfast.v1."""
        self._secret = carried.secret
        self._codec: Codec = HoldfastV1() if carried.controlled else Plain()
        self._machine: Connection | None = None
        self._loop = asyncio.get_running_loop()
        self._inbox = Inbox(INBOX_MESSAGES)
        self._turn = asyncio.Lock()
        self._settled: asyncio.Future[None] | None = None
        self._closed = False
        self._closing: asyncio.Event | None = None
        self._writer: asyncio.Task[Any] | None = None
        self._interrupted = False
        self._reader: asyncio.Task[None] | None = None
        self._alarm: Alarm | None = None

    # What others see

    @property
    def machine(self) -> Connection:
        """The core's state of this connection; only after the handshake."""
        assert self._machine is not None
        return self._machine

    @property
    def proof(self) -> Proof | None:
        """The newest good proof, if there was one."""
        return self._machine.proof if self._machine else None

    @property
    def session(self) -> str | None:
        """The session that proved it last."""
        return self.proof.session if self.proof else None

    @property
    def state(self) -> State:
        """Where in its life it is."""
        return self._machine.state if self._machine else State.PROVING

    @property
    def ending(self) -> Ending | None:
        """Why Holdfast ended it, if Holdfast did."""
        return self._machine.ending if self._machine else None

    def end(self, ending: Ending) -> None:
        """End the connection from outside: its state changes now, the frames follow in the background."""
        effects = self.machine.end(ending)
        self.node.connections.remove(self)
        self.node.spawn(self._perform(effects))

    def session_renewed(self, expires_at: float) -> None:
        """The session has a new token: renew the lease, if this connection's policy is to follow its session."""
        effects = self.machine.session_renewed(expires_at, self.node.clock.now())
        if effects:
            self.node.spawn(self._perform(effects))

    async def closed(self) -> None:
        """Return when the connection is closed."""
        if not self._closed:
            self._closing = self._closing or asyncio.Event()
            await self._closing.wait()

    # What the endpoint's task does

    async def open(self) -> None:
        """Take the handshake and the first proof; afterwards the connection is ready.

        Raises:
            ConnectionEnded: it was refused, and has been told so.
        """
        message = await self._receive()
        if message["type"] != "websocket.connect":
            raise ConnectionEnded(endings.FINISHED)
        if not origin.allowed(self.origin, _header(self._scope, b"host"), self.node.allowed_origins):
            await self._refuse_origin()
        early: Proof | None = None
        if self.node.refuse_over_http:
            early = await self._prove_before_accept()
        await self._send(
            {"type": "websocket.accept", "subprotocol": SUBPROTOCOL if self.controlled else None}
        )
        now = self.node.clock.now()
        self._machine = Connection(
            id=self.id,
            policy=self.node.policy,
            controlled=self.controlled,
            jitter=self.node.random.unit(),
            now=now,
        )
        try:
            await self._first_proof(early)
        except BaseException:
            await self._leave()
            raise
        if self.machine.state is State.ENDED:
            await self._leave()
            raise ConnectionEnded(self.ending or endings.FINISHED)

    async def send(self, frame: frames.Message | frames.Error) -> None:
        """Send for the app. Raises `ConnectionEnded` if there is nobody left to send to."""
        text = self._codec.encode(frame)
        assert text is not None
        await self.send_raw({"type": "websocket.send", "text": text})

    async def send_raw(self, message: ASGIMessage) -> None:
        """Send an ASGI message in its turn. Raises `ConnectionEnded`."""
        if self.state is State.ENDED:
            raise ConnectionEnded(self.ending or endings.FINISHED)
        await self._write(message, while_alive=True)

    async def receive(self) -> Any:
        """The next message for the app. Raises `ConnectionEnded`."""
        try:
            return await self._inbox.take()
        except InboxClosed:
            raise ConnectionEnded(self.ending or endings.FINISHED) from None

    async def finish(self, ending: Ending = endings.FINISHED) -> None:
        """The endpoint is done: close, unless that has happened, and leave every index."""
        if self._machine is not None:
            await self._perform(self.machine.end(ending))
        await self._leave()

    # The handshake

    async def _first_proof(self, early: Proof | None) -> None:
        if early is not None:
            await self._perform(self._proven(early, None))
        elif self.carrier is not Carrier.FRAME:
            await self._perform([Verify(self._secret)])
        self._secret = ""
        self._rearm()
        if self.machine.state is not State.ENDED:
            self._reader = self._loop.create_task(self._read(), name=f"holdfast {self.id}")
        if self.machine.state is State.PROVING:
            self._settled = self._loop.create_future()
            await self._settled

    async def _prove_before_accept(self) -> Proof:
        try:
            return await self._proof_in(self._secret)
        except RefusedError as error:
            self._log_refusal(error)
            body = {"code": error.code, "message": str(error)}
            await self._respond(error.status, body, [(b"www-authenticate", b"Bearer")])
            raise ConnectionEnded(ending_of(error)) from None
        except Unavailable:
            await self._respond(503, {"code": "try_later", "message": endings.TRY_LATER.reason}, [])
            raise ConnectionEnded(endings.TRY_LATER) from None

    async def _refuse_origin(self) -> None:
        log.warning("handshake refused", reason="foreign origin", origin=self.origin, path=self.path)
        self.node.observer.connection("refused", detail="foreign origin")
        message = (
            "This page may not connect here; the server's HOLDFAST_ALLOWED_ORIGINS does not list its origin."
        )
        await self._respond(403, {"code": "foreign_origin", "message": message}, [])
        raise ConnectionEnded(endings.TOKEN_INVALID)

    async def _respond(self, status: int, body: dict[str, str], headers: list[tuple[bytes, bytes]]) -> None:
        if "websocket.http.response" not in (self._scope.get("extensions") or {}):
            await self._send({"type": "websocket.close", "code": 1008})
            return
        head = [(b"content-type", b"application/json"), (b"cache-control", b"no-store"), *headers]
        await self._send({"type": "websocket.http.response.start", "status": status, "headers": head})
        payload = json.dumps(body).encode()
        await self._send({"type": "websocket.http.response.body", "body": payload, "more_body": False})

    # Proofs

    async def _proof_in(self, secret: str) -> Proof:
        if self.carrier is Carrier.TICKET and self.proof is None:
            return await self.node.prover.redeem_ticket(secret, origin=self.origin)
        return await self.node.prover.authenticate(secret)

    async def _verify(self, effect: Verify) -> list[Effect]:
        first = self.proof is None
        try:
            if first:
                proof = await self._proof_in(effect.token)
            else:
                proof = await self.node.prover.authenticate(effect.token)
        except RefusedError as error:
            self._log_refusal(error)
            return self._refused(ending_of(error), effect.request)
        except Unavailable as error:
            log.warning("token not checked", connection=self.id, reason=str(error))
            return self._refused(endings.TRY_LATER, effect.request)
        return self._proven(proof, effect.request)

    def _proven(self, proof: Proof, request: str | int | None) -> list[Effect]:
        """Not a moment may pass between the look at revocations and the place in the registry."""
        now = self.node.clock.now()
        try:
            self.node.prover.check_revoked(proof)
        except RefusedError as error:
            self._log_refusal(error)
            return self._refused(ending_of(error), request)
        if self.proof is None:
            if self.node.draining:
                return self.machine.refused(endings.RESTARTING, now, request=request)
            if self.node.connections.count_of_user(proof.user) >= self.node.policy.max_connections_per_user:
                return self.machine.refused(endings.TOO_MANY_CONNECTIONS, now, request=request)
        effects = self.machine.proven(proof, now, request=request)
        for effect in effects:
            if isinstance(effect, Bind):
                self.node.connections.place(self, session=effect.session, user=proof.user)
        return effects

    def _refused(self, ending: Ending, request: str | int | None) -> list[Effect]:
        return self.machine.refused(ending, self.node.clock.now(), request=request)

    def _log_refusal(self, error: RefusedError) -> None:
        log.info(
            "token refused",
            code=error.code,
            reason=error.detail or getattr(error, "reason", ""),
            connection=self.id,
            carrier=str(self.carrier),
            address=self.address,
            path=self.path,
        )

    # Events and effects

    async def _read(self) -> None:
        """Take frames until the socket is closed."""
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                await self._perform(self.machine.disconnected(message.get("code") or 1005))
                self._has_closed()
                return
            data = message.get("text")
            if data is None:
                data = message.get("bytes") or b""
            size = len(data)
            if isinstance(data, str) and not data.isascii():
                size = len(data.encode("utf-8", "surrogatepass"))
            frame = frames.Pong() if size > self.node.policy.max_frame_bytes else self._codec.decode(data)
            effects = self.machine.received(frame, size, self.node.clock.now())
            if len(effects) == 1 and isinstance(effects[0], Deliver) and self._inbox.put(effects[0].message):
                continue  # nearly always, and it moves no deadline
            await self._perform(effects)

    def _wake(self) -> None:
        self._alarm = None
        effects = self.machine.handle_deadline(self.node.clock.now())
        if effects:
            self.node.spawn(self._perform(effects))
        else:
            self._rearm()

    async def _perform(self, effects: list[Effect]) -> None:
        """Carry out effects in order; what a token check brings is carried out in its place."""
        try:
            for effect in effects:
                match effect:
                    case Send(frame):
                        await self._tell(frame)
                    case Verify():
                        await self._perform(await self._verify(effect))
                    case Deliver(message):
                        await self._deliver(message)
                    case Request(frame):
                        await self._tell(frames.Error("unsupported", "this server has no channels", frame.id))
                    case Close(ending):
                        await self._close(ending)
                    case Record():
                        self._record(effect)
                    # Bind was done by `_proven`, before anything could wait.
        finally:
            for effect in effects:
                if isinstance(effect, Record) and effect.what in LOGGED:
                    # Later: of a thousand revoked at once, each gets its close frame before the first line is written.
                    self._loop.call_soon(self._log, effect)
        self._settle()
        if self.state is State.ENDED:
            self.node.connections.remove(self)
            self._inbox.close()
        self._rearm()

    async def _tell(self, frame: Frame) -> None:
        text = self._codec.encode(frame)
        if text is None:
            return
        # A peer that stopped reading will not read a goodbye either, and must not hold the ending up.
        patience = CLOSE_PATIENCE if isinstance(frame, frames.Bye) else None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._write({"type": "websocket.send", "text": text})

    async def _deliver(self, message: Any) -> None:
        if self._inbox.put(message) or self.state is State.ENDED:
            return
        # Waiting here would hold up renewals behind an app that does not read.
        request = message.get("id") if isinstance(message, dict) else None
        known = request if isinstance(request, str | int) else None
        busy = frames.Error("busy", "too many messages wait already; send this again later", known, 1_000)
        await self._perform([Send(busy)])

    def _record(self, record: Record) -> None:
        # The core does not know of places where a token may be.
        detail = str(self.carrier) if record.what == "proven" else record.detail
        self.timeline.append(Moment(self.node.clock.now(), record.what, detail, record.seconds))
        del self.timeline[:-TIMELINE_LENGTH]
        self.node.observer.connection(record.what, detail=detail, seconds=record.seconds)

    def _log(self, record: Record) -> None:
        log.info(
            f"connection {record.what}",
            connection=self.id,
            user=self.proof.user if self.proof else None,
            session=self.session,
            carrier=str(self.carrier),
            address=self.address,
            origin=self.origin,
            detail=record.detail,
        )

    def _rearm(self) -> None:
        if self._machine is None:
            return
        due = self._machine.next_deadline(self.node.clock.now())
        if due is None:
            if self._alarm is not None:
                self._alarm.cancel()
                self._alarm = None
        elif self._alarm is None or due < self._alarm.when:
            # One that rings early asks again; only one that would ring late must be replaced.
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm = self.node.scheduler.at(due, self._wake)

    # Writing

    async def _write(self, message: ASGIMessage, *, while_alive: bool = False) -> None:
        async with self._turn:
            if self._closed or (while_alive and self.state is State.ENDED):
                if while_alive:
                    raise ConnectionEnded(self.ending or endings.FINISHED)
                return
            self._writer = asyncio.current_task(self._loop)
            try:
                await self._send(message)
            except asyncio.CancelledError:
                if self._interrupted and self._writer is not None:
                    self._writer.uncancel()
                    raise ConnectionEnded(self.ending or endings.FINISHED) from None
                raise
            except Exception as error:  # noqa: BLE001  # servers differ in what they raise when the peer has gone
                log.debug("write failed", connection=self.id, error=type(error).__name__)
                self._gone()
                if while_alive:
                    raise ConnectionEnded(self.ending or endings.FINISHED) from None
            finally:
                self._writer = None

    async def _close(self, ending: Ending) -> None:
        if self._closed:
            return
        try:
            async with asyncio.timeout(CLOSE_PATIENCE):
                await self._turn.acquire()
        except TimeoutError:
            # A stalled peer holds a write up; that one will never get through, so the ending goes past it.
            self._interrupted = True
            if self._writer is not None:
                self._writer.cancel()
            await self._turn.acquire()
        try:
            await self._stop_reading()
            if not self._closed:
                message = {"type": "websocket.close", "code": ending.code, "reason": ending.reason}
                async with asyncio.timeout(CLOSE_PATIENCE):
                    await self._send(message)
        except Exception as error:  # noqa: BLE001  # the peer may have gone first, which every server says its own way
            log.debug("close failed", connection=self.id, error=type(error).__name__)
        finally:
            self._has_closed()
            self._turn.release()

    async def _stop_reading(self) -> None:
        """Granian closes a socket only once nobody waits to receive from it."""
        reader = self._reader
        if reader is not None and not reader.done() and reader is not asyncio.current_task(self._loop):
            reader.cancel()
            await asyncio.wait((reader,), timeout=CLOSE_PATIENCE)

    def _gone(self) -> None:
        if self._machine is not None and self.state is not State.ENDED:
            for effect in self._machine.disconnected(1006):
                if isinstance(effect, Record):
                    self._record(effect)
                    self._log(effect)
        self.node.connections.remove(self)
        self._has_closed()
        self._settle()
        self._inbox.close()

    def _settle(self) -> None:
        """Let `open` go on once it is clear what became of the first proof."""
        if self._settled is not None and self.state is not State.PROVING and not self._settled.done():
            self._settled.set_result(None)

    def _has_closed(self) -> None:
        self._closed = True
        if self._closing is not None:
            self._closing.set()

    async def _leave(self) -> None:
        self.node.connections.remove(self)
        if self.ending is not None and not self._closed:
            # Another task may be sending the goodbye; once the app returns, the server drops the socket under it.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(3 * CLOSE_PATIENCE):
                    await self.closed()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._reader is not None and not self._reader.done():
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        self._has_closed()


def _header(scope: Scope, wanted: bytes) -> str | None:
    """A header's value; two of the same name count as one that matches nothing."""
    found = [value for name, value in scope.get("headers") or () if name.lower() == wanted]
    return ", ".join(value.decode("latin-1") for value in found) if found else None

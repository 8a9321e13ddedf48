"""Runs one connection: feeds the socket's events and the time to the core, and performs its effects.

What comes in is taken by a reader task, or straight from the lane where there is one, so that a renewal gets through
however busy the app's handler is. What goes out goes through one `Outlet`. Nothing here waits but the handshake, the
check of a token and the app's own sends; a connection of the built-in endpoint that has a lane needs no task at all.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any

from holdfast.asgi import carriers, handshake
from holdfast.asgi.carriers import Carrier, Scope
from holdfast.asgi.eager import begin
from holdfast.asgi.handshake import Receive, SendMessage, Visitor
from holdfast.asgi.inbox import Inbox, InboxClosed
from holdfast.asgi.lane import Lane, lane_of
from holdfast.asgi.node import Node, ending_of
from holdfast.asgi.outlet import CLOSE_PATIENCE, AsgiOutlet, LaneOutlet, Outlet
from holdfast.asgi.scheduler import Alarm
from holdfast.asgi.timeline import Moment, Timeline, is_logged, write_down
from holdfast.core.connection import Connection, Proof, State
from holdfast.core.effects import PASSED_ON, Bind, Close, Deliver, Effect, Record, Request, Send, Verify
from holdfast.errors import ConnectionEnded, RefusedError, Unavailable
from holdfast.logs import get_logger
from holdfast.protocol import endings, frames
from holdfast.protocol.codec import SUBPROTOCOL, Codec, HoldfastV1, Plain
from holdfast.protocol.endings import Ending

if TYPE_CHECKING:
    from holdfast.asgi.channel import Channel
    from holdfast.asgi.service import Service

log = get_logger("holdfast.live")

INBOX_MESSAGES, INBOX_BYTES = 1_000, 262_144
HELD_FRAMES, HELD_BYTES = 1_000, 262_144
"""What may come while a token is being checked, which is taken after it: a check may take seconds."""

PROVEN = "holdfast.proof"
"""Where in a scope stands whom its handshake has proven, for whoever asks next."""

_V1 = HoldfastV1()
_PLAIN = Plain()


class Driver:
    """One connection, from its handshake to its end. Not for several tasks to `open` or `finish`.

    With a `service` that one is given the app's messages; without, they wait for whoever calls `receive`.
    """

    __slots__ = (
        "_alarm", "_closed", "_closing", "_codec", "_handshake", "_held", "_inbox", "_loop", "_machine", "_outlet",
        "_reader", "_service", "_settled", "_unlogged", "_verifying", "_wanted", "channels", "connected_at", "id",
        "node", "timeline", "visitor",
    )  # fmt: skip

    def __init__(self, node: Node, scope: Scope, *, service: Service | None = None) -> None:
        self.node = node
        self.id = node.new_id()
        self.connected_at = node.clock.now()
        self.timeline = Timeline()
        self.channels: dict[str, Channel] | None = None
        """What it is subscribed to, kept by the hub."""
        carried = carriers.read(scope)
        carriers.hide(scope)
        self.visitor = Visitor(node, scope, carried)
        self._handshake = (scope, carried.secret)
        self._wanted: Sequence[str] = () if carried.controlled else carriers.channels(scope)
        self._service = service
        self._codec: Codec = _V1 if carried.controlled else _PLAIN
        self._machine: Connection | None = None
        self._outlet: Outlet | None = None
        self._loop = asyncio.get_running_loop()
        self._inbox: Inbox | None = None
        self._verifying: asyncio.Task[None] | None = None
        self._held: list[str | bytes] | None = None
        self._settled: asyncio.Future[None] | None = None
        self._closed = False
        self._closing: asyncio.Event | None = None
        self._reader: asyncio.Task[None] | None = None
        self._alarm: Alarm | None = None
        self._unlogged: list[Record] | None = None

    # What others see

    @property
    def machine(self) -> Connection:
        """The core's state of this connection; only after the handshake."""
        assert self._machine is not None
        return self._machine

    @property
    def outlet(self) -> Outlet:
        """The one way out; only after the handshake."""
        assert self._outlet is not None
        return self._outlet

    @property
    def proof(self) -> Proof | None:
        """The newest good proof, if there was one."""
        return self._machine.proof if self._machine else None

    @property
    def session(self) -> str | None:
        """The session that proved it last."""
        return self._machine.session if self._machine else None

    @property
    def state(self) -> State:
        """Where in its life it is."""
        return self._machine.state if self._machine else State.PROVING

    @property
    def ending(self) -> Ending | None:
        """Why Holdfast ended it, if Holdfast did."""
        return self._machine.ending if self._machine else None

    @property
    def inbox(self) -> Inbox:
        """The app's messages that nobody has taken yet."""
        if self._inbox is None:
            self._inbox = Inbox(INBOX_MESSAGES, INBOX_BYTES)
            if self.state is State.ENDED:
                self._inbox.close()
        return self._inbox

    def end(self, ending: Ending) -> None:
        """End the connection from outside; the frames that say so are on their way when this returns."""
        self.perform(self.machine.end(ending))

    def session_renewed(self, expires_at: float, **said: Any) -> None:
        """The session has a new token: renew the lease, if this connection's policy is to follow its session."""
        effects = self.machine.session_renewed(expires_at, self.node.clock.now(), **said)
        if effects:
            self.perform(effects)
            self.node.hub.recheck(self)

    async def closed(self) -> None:
        """Return when the connection is closed."""
        if not self._closed:
            self._closing = self._closing or asyncio.Event()
            await self._closing.wait()

    # What the endpoint's task does

    def take(self, lane: Lane) -> None:
        """Accept the handshake and begin with the first proof: `open` where nothing has to wait before the accept."""
        scope, secret = self._handshake
        del self._handshake
        lane.take(scope, SUBPROTOCOL if self.visitor.controlled else None, [])
        self._begin_on(lane)
        self._first_proof(None, secret)

    async def open(self, receive: Receive, send: SendMessage) -> None:
        """Take the handshake and the first proof; afterwards the connection is ready.

        Raises:
            ConnectionEnded: it was refused, and has been told so.
        """
        scope, secret = self._handshake
        del self._handshake
        if (await receive())["type"] != "websocket.connect":
            raise ConnectionEnded(endings.FINISHED)
        if self.visitor.origin is not None:
            await handshake.check_origin(self.node, self.visitor, scope, send)
        early: Proof | None = scope.get(PROVEN)
        if early is None and self.node.refuse_over_http:
            early = await self._prove_before_accept(scope, send, secret)
        await send(
            {"type": "websocket.accept", "subprotocol": SUBPROTOCOL if self.visitor.controlled else None}
        )
        lane = lane_of(scope)
        if lane is None:
            self._begin(AsgiOutlet(send, self, limit=self.node.policy.max_backlog_bytes))
        else:
            self._begin_on(lane)
        try:
            self._first_proof(early, secret)
            if self.state is not State.ENDED and not self.adopted:
                self._reader = self._loop.create_task(self._read(receive), name=f"holdfast {self.id}")
            if self.state is State.PROVING:
                self._settled = self._loop.create_future()
                await self._settled
        except BaseException:
            await self._leave()
            raise
        if self.state is State.ENDED:
            await self._leave()
            raise ConnectionEnded(self.ending or endings.FINISHED)
        scope[PROVEN] = self.proof

    @property
    def adopted(self) -> bool:
        """Whether it lives on without the ASGI call that brought it."""
        return isinstance(self._outlet, LaneOutlet)

    async def send(self, frame: frames.Message | frames.Error) -> None:
        """Send for the app. Raises `ConnectionEnded` if there is nobody left to send to."""
        text = self._codec.encode(frame)
        assert text is not None
        if not text.isascii():
            text.encode()  # a lone surrogate is the caller's mistake, and not for the peer to find
        if self.state is State.ENDED or not await self.outlet.send(text):
            raise ConnectionEnded(self.ending or endings.FINISHED)

    async def receive(self) -> Any:
        """The next message for the app. Raises `ConnectionEnded`."""
        try:
            return await self.inbox.take()
        except InboxClosed:
            raise ConnectionEnded(self.ending or endings.FINISHED) from None

    async def finish(self, ending: Ending = endings.FINISHED) -> None:
        """The endpoint is done: close, unless that has happened, and leave every index."""
        if self._machine is not None:
            self.perform(self._machine.end(ending))
        await self._leave()

    # What comes in

    def received(self, data: str | bytes) -> None:
        """The client sent a message."""
        if self._verifying is not None:
            self._hold(data)
            return
        size = len(data)
        if isinstance(data, str) and not data.isascii():
            size = len(data.encode("utf-8", "surrogatepass"))
        frame = frames.Pong() if size > self.node.policy.max_frame_bytes else self._codec.decode(data)
        self.perform(self.machine.received(frame, size, self.node.clock.now()))

    def disconnected(self, code: int) -> None:
        """The socket is gone."""
        self._has_closed()
        self.perform(self.machine.disconnected(code))

    def overflowed(self) -> None:
        """The peer does not keep up."""
        self.perform(self.machine.end(endings.SLOW_CONSUMER))

    def vanished(self) -> None:
        """The server says that there is nobody to send to."""
        self.disconnected(1006)

    # The handshake

    def _begin(self, outlet: Outlet) -> None:
        self._machine = Connection(
            id=self.id,
            policy=self.node.policy,
            controlled=self.visitor.controlled,
            jitter=self.node.random.unit(),
            now=self.node.clock.now(),
        )
        self._outlet = outlet

    def _begin_on(self, lane: Lane) -> None:
        self._begin(LaneOutlet(lane, self, limit=self.node.policy.max_backlog_bytes))
        lane.adopt(self)

    def _first_proof(self, early: Proof | None, secret: str) -> None:
        if early is not None:
            self.perform(self._accepted(early, None))
            self._follow()
        elif self.visitor.carrier is not Carrier.FRAME:
            self._verify(Verify(secret))
        if self.state is State.PROVING:
            self._rearm()

    def _follow(self) -> None:
        """Subscribe a plain socket to what its URL names, once it is known who asks."""
        wanted, self._wanted = self._wanted, ()
        if wanted and self.state is not State.ENDED:
            self.node.hub.follow(self, wanted)

    async def _prove_before_accept(self, scope: Scope, send: SendMessage, secret: str) -> Proof:
        try:
            return await self._proof_in(secret)
        except (RefusedError, Unavailable) as error:
            raise await handshake.refuse(error, self.id, self.visitor, scope, send) from None

    # Proofs

    def _proof_in(self, secret: str) -> Awaitable[Proof]:
        if self._is_ticket():
            return self.node.prover.redeem_ticket(secret, origin=self.visitor.origin)
        return self.node.prover.authenticate(secret)

    def _is_ticket(self) -> bool:
        """Whether the next secret is one: only a handshake may bring a ticket."""
        return self.visitor.carrier is Carrier.TICKET and self.proof is None

    def _verify(self, effect: Verify) -> None:
        checking = self._checked(effect)
        # A token of our own is checked without waiting. What waits may want a task around it from its first step on.
        self._verifying = (
            self._loop.create_task(checking) if self._is_ticket() else begin(checking, self._loop)
        )

    async def _checked(self, effect: Verify) -> None:
        before = self.proof
        try:
            effects = self._accepted(await self._proof_in(effect.token), effect.request)
        except RefusedError as error:
            effects = self._refused(error, effect.request)
        except Exception as error:  # noqa: BLE001  # whatever keeps a token from being checked, its client may come back
            how = log.warning if isinstance(error, Unavailable) else log.exception
            how("token not checked", connection=self.id, reason=str(error))
            effects = self.machine.refused(endings.TRY_LATER, self.node.clock.now(), request=effect.request)
        self._verifying = None
        self.perform(effects)
        if before is None:
            self._follow()
        elif self.proof is not before:
            self.node.hub.recheck(self)
        held, self._held = self._held, None
        for data in held or ():
            self.received(data)

    def _accepted(self, proof: Proof, request: str | int | None) -> list[Effect]:
        """Not a moment may pass between the look at revocations and the place in the registry."""
        now = self.node.clock.now()
        try:
            self.node.prover.check_revoked(proof)
        except RefusedError as error:
            return self._refused(error, request)
        if self.proof is None:
            if self.node.draining:
                return self.machine.refused(endings.RESTARTING, now, request=request)
            mine = self.node.connections.count_of_user(proof.user, proof.issuer)
            if mine >= self.node.policy.max_connections_per_user:
                return self.machine.refused(endings.TOO_MANY_CONNECTIONS, now, request=request)
        effects = self.machine.proven(proof, now, request=request)
        for effect in effects:
            if isinstance(effect, Bind):
                self.node.connections.place(
                    self, session=effect.session, user=proof.user, issuer=proof.issuer
                )
        return effects

    def _refused(self, error: RefusedError, request: str | int | None) -> list[Effect]:
        self.visitor.log_refusal(self.id, error)
        return self.machine.refused(ending_of(error), self.node.clock.now(), request=request)

    def _hold(self, data: str | bytes) -> None:
        self._held = self._held or []
        self._held.append(data)
        if len(self._held) > HELD_FRAMES or sum(map(len, self._held)) > HELD_BYTES:
            self._held.clear()
            self.end(endings.TOO_MANY_FRAMES)

    # Events and effects

    async def _read(self, receive: Receive) -> None:
        """Take messages until the socket is closed."""
        while True:
            try:
                message = await receive()
            except Exception as error:  # noqa: BLE001  # servers differ in how they say that there is nothing to read
                log.debug("read failed", connection=self.id, error=type(error).__name__)
                message = {"type": "websocket.disconnect", "code": 1006}
            if message["type"] == "websocket.disconnect":
                self.disconnected(message.get("code") or 1005)
                return
            data = message.get("text")
            self.received(data if data is not None else message.get("bytes") or b"")
            if self._verifying is not None:
                await asyncio.wait((self._verifying,))

    def _wake(self) -> None:
        self._alarm = None
        self.perform(self.machine.handle_deadline(self.node.clock.now()))

    def perform(self, effects: list[Effect]) -> None:
        """Carry out effects in order."""
        for effect in effects:
            # Most frequent first, and by type: a class pattern costs three times as much.
            if type(effect) is Deliver:
                self._deliver(effect)
            elif type(effect) is Request:
                self.node.hub.requests.take(self, effect.frame)
            elif type(effect) is Send:
                self.tell(effect.frame)
            elif type(effect) is Record:
                self._record(effect)
            elif type(effect) is Verify:
                self._verify(effect)
            elif type(effect) is Close:
                self._close(effect.ending)
            # `Bind` is done by `_accepted`, before anything could wait.
        if len(effects) == 1 and type(effects[0]) in PASSED_ON:
            return  # nearly always, and it moves no deadline
        self._settle()
        if self.state is State.ENDED:
            self.node.connections.remove(self)
            self.node.hub.leave(self)
            if self._inbox is not None:
                self._inbox.close(drop=self.ending is not None and self.ending.ends_rights)
        self._rearm()
        if self._unlogged and (self.state is not State.ENDED or self._closed):
            self._log_soon()

    def _settle(self) -> None:
        """Let `open` go on once it is clear what became of the first proof."""
        if self._settled is not None and self.state is not State.PROVING and not self._settled.done():
            self._settled.set_result(None)

    def tell(self, frame: frames.ServerFrame | frames.Ping | frames.Pong | frames.Message) -> None:
        """Send a frame in its turn, if this client's protocol has words for it."""
        text = self._codec.encode(frame)
        if text is not None:
            self.outlet.push(text)

    def _deliver(self, came: Deliver) -> None:
        if self._service is not None:
            self._service.deliver(self, came.message, came.size)
        elif not self.inbox.put(came.message, came.size) and self.state is not State.ENDED:
            self.tell(frames.busy(came.message))  # to wait here would hold up renewals behind it

    def _record(self, record: Record) -> None:
        # The core does not know of places where a token may be.
        detail = str(self.visitor.carrier) if record.what == "proven" else record.detail
        self.timeline.add(Moment(self.node.clock.now(), record.what, detail, record.seconds))
        self.node.observer.connection(record.what, detail=detail, seconds=record.seconds)
        if is_logged(record.what):
            self._unlogged = [*(self._unlogged or ()), record]

    def _log_soon(self) -> None:
        """Of a thousand that are revoked at once, each gets its close frame before the first line is written."""
        unlogged, self._unlogged = self._unlogged, None
        for record in unlogged or ():
            self._loop.call_soon(write_down, self, record)

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

    # The end

    def _close(self, ending: Ending) -> None:
        match self._outlet:
            case LaneOutlet() as lane:
                lane.close(ending)
                self._has_closed()
            case AsgiOutlet() as slow if not self._closed:
                self.node.spawn(self._close_slowly(slow, ending))
            case _:
                pass

    async def _close_slowly(self, outlet: AsgiOutlet, ending: Ending) -> None:
        try:
            await outlet.finish()
            await self._stop_reading()
            if not self._closed:
                await outlet.close(ending)
        finally:
            self._has_closed()

    async def _stop_reading(self) -> None:
        """Granian closes a socket only once nobody waits to receive from it."""
        if self._reader is not None and not self._reader.done():
            self._reader.cancel()
            await asyncio.wait((self._reader,), timeout=CLOSE_PATIENCE)

    def _has_closed(self) -> None:
        self._closed = True
        self._log_soon()
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
        await self._stop_reading()
        self._has_closed()

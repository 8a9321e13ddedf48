"""A live connection that holds: it renews itself, comes back by itself, and ends only when nothing else helps.

The decisions are `live`'s; this moves frames and waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from holdfast.client import live_effects as live
from holdfast.client import wire
from holdfast.client.channels import Effect as ChannelEffect
from holdfast.client.clock import Alarm, Bell
from holdfast.client.errors import ClientError
from holdfast.client.keeper import Keeper
from holdfast.client.listeners import Listener, Listeners
from holdfast.client.live import LiveMachine, LiveState
from holdfast.client.live_effects import LiveNews
from holdfast.client.sockets import Connect, DeniedError
from holdfast.client.subscriptions import WAIT, Channels, History, Host, Subscription
from holdfast.errors import MisuseError, ReservedFrameError, Unavailable
from holdfast.protocol.codec import FROM_CLIENT, SUBPROTOCOL
from holdfast.protocol.endings import Action
from holdfast.protocol.frames import AuthOk, Member, Position, Welcome

log = logging.getLogger("holdfast.client")

EARLY = 0.5
"""How much too early a timer may ring, in seconds."""


class LiveConnection:
    """A live connection of a session; made by `Session.connect`.

        async with session.connect("/ws") as live:
            await live.send({"hello": 1})
            async for message in live:
                ...

    Iterating goes on over reconnects. It ends when the server's app is done (1000), and raises `ClientError` with
    `action` `relogin` when the session is over: after a new `sign_in` the same object goes on.
    """

    def __init__(
        self, keeper: Keeper, open_socket: Connect, url: str, *, inbox: int, timeout: float | None
    ) -> None:
        self._keeper = keeper
        self._open_socket = open_socket
        self._url = url
        self._inbox: deque[Any] = deque()
        self._inbox_limit = inbox
        self._timeout = timeout
        self._machine = LiveMachine()
        self._channels = Channels(
            Host(keeper.clocks.now, self._say, self._rearm, self._is_finished, self._raise_if_over)
        )
        self._listeners = Listeners()
        self._changed = Bell()
        self._taken = Bell()
        self._alarm: Alarm | None = None
        self._alarm_at = 0.0
        self._socket: ClientConnection | None = None
        self._running: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._last = live.Announce(LiveNews.STOPPED)

    # What can be seen

    @property
    def state(self) -> LiveState:
        """Where the connection is."""
        return self._machine.state

    @property
    def welcome(self) -> Welcome | None:
        """What the server said when this socket became ready; `None` while there is none."""
        return self._machine.welcome

    def on(self, name: str, callback: Listener) -> Callable[[], None]:
        """Call `callback(announcement)` on news: `ready`, `grace`, `healed`, `lost`, `parked`, `stopped`, `error`.

        Returns what takes it back.
        """
        return self._listeners.add(LiveNews(name), callback)

    # What can be done

    async def send(self, message: Any, *, timeout: float | None = 10.0) -> None:  # noqa: ASYNC109  # documented bound of one wait
        """Send a message of the app's, once the connection is ready. Never sends anything twice.

        Raises:
            Unavailable: the connection was not ready within `timeout` seconds, or was lost while sending; the text
                says whether the message may have arrived.
            ClientError: the connection is over.
            MisuseError: the message is no JSON, is larger than the server takes, or has a type of the protocol's.
        """
        text = _text(message)
        try:
            async with asyncio.timeout(timeout):
                socket = await self._ready()
        except TimeoutError:
            raise Unavailable(f"the connection was not ready within {timeout} s; nothing was sent") from None
        self._check_size(text)
        try:
            await socket.send(text)
        except ConnectionClosed:
            raise Unavailable(
                "the connection was lost while sending; the message may or may not have arrived"
            ) from None

    def subscribe(
        self, channel: str, *, presence: bool = False, since: Position | None = None, queue: int = 1_000
    ) -> Subscription:
        """Hear what is published on a channel: each publication once, in order, through every loss of the connection.

        However many subscribe to it, the server is asked once. `presence`: hear who is there too. `since`: begin there,
        as after a return, and not at the present. At most `queue` events wait to be read; a subscriber that is slower
        reads on from the channel's history.
        """
        return self._channels.subscribe(channel, presence=presence, since=since, queue=queue)

    async def publish(
        self,
        channel: str,
        data: Any,
        *,
        key: str | None = None,
        timeout: float | None = WAIT,  # noqa: ASYNC109  # documented bound of one wait
    ) -> Position:
        """Publish on a channel, once the connection is ready; where it stands there. Never sends anything twice.

        A second publication with the same `key` changes nothing, and is answered with the place of the first.

        Raises:
            RequestError: the server says no.
            Unavailable: there was no answer within `timeout` seconds, or the connection was lost before it; the text
                says whether it may have arrived. With a `key` it is safe to publish again.
            ClientError: the connection is over.
            MisuseError: the data is no JSON, or larger than the server takes.
        """
        return await self._channels.publish(channel, data, key=key, timeout=timeout)

    async def history(
        self,
        channel: str,
        *,
        since: Position | None = None,
        limit: int = 100,
        timeout: float | None = WAIT,  # noqa: ASYNC109  # documented bound of one wait
    ) -> History:
        """What a channel remembers: the newest, or the first after `since`; at most `limit`, at most 1,000.

        Raises:
            RequestError, Unavailable, ClientError: as `publish`.
        """
        return await self._channels.history(channel, since, limit=limit, timeout=timeout)

    async def presence(self, channel: str, *, timeout: float | None = WAIT) -> Sequence[Member]:  # noqa: ASYNC109  # documented bound of one wait
        """Who is on a channel.

        Raises:
            RequestError, Unavailable, ClientError: as `publish`.
        """
        return await self._channels.presence(channel, timeout=timeout)

    async def close(self) -> None:
        """Close for good."""
        self._perform(self._machine.close())
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self in self._keeper.followers:
            self._keeper.followers.remove(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        while not self._inbox:
            if self._is_finished():
                raise StopAsyncIteration
            self._raise_if_over()
            await self._changed.heard()
        message = self._inbox.popleft()
        self._taken.ring()
        return message

    async def __aenter__(self) -> Self:
        self._keeper.followers.append(self)
        self._heed_user()
        try:
            self._perform(self._machine.connect(self._keeper.clocks.now()))
            async with asyncio.timeout(self._timeout):
                await self._ready()
        except TimeoutError:
            await self.close()
            raise Unavailable(f"the connection was not ready within {self._timeout} s") from None
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<LiveConnection {self._url} {self.state}>"

    # What the session tells

    def token_available(self) -> bool:
        """There is a new token; whether it was shown to the server in band."""
        self._heed_user()
        effects = self._machine.token_available(self._keeper.machine.token, self._keeper.clocks.now())
        self._perform(effects)
        return any(isinstance(effect, live.SendAuth) for effect in effects)

    def user_changed(self) -> None:
        """The next token is another user's: what has come for the first and was not read is not theirs to read."""
        self._inbox.clear()
        self._taken.ring()
        self._perform(self._machine.user_changed(self._keeper.clocks.now()))
        self._channels.forget()
        self._heed_user()

    def session_over(self, reason: str) -> None:
        """There is no session any more."""
        self._perform(self._machine.session_over(reason))

    # Events and effects

    def _perform(self, effects: list[live.Effect]) -> None:
        for effect in effects:
            match effect:
                case live.Open(number):
                    self._running = self._spawn(self._run(number))
                case live.SendAuth(_, request):
                    self._say(wire.auth(self._keeper.access_token, request))
                case live.SendPing(_, request):
                    self._say(wire.ping(request))
                case live.SendPong(_, request):
                    self._say(wire.pong(request))
                case live.Close():
                    self._drop()
                case live.Deliver(data):
                    self._inbox.append(data)
                case live.AskRefresh(token):
                    self._keeper.due(token)
                case live.Announce(what):
                    self._last = effect
                    self._listeners.tell(what, effect)
        self._channels.perform(self._held_up())
        self._changed.ring()

    def _held_up(self) -> list[ChannelEffect]:
        """What the connection's present state means for its channels."""
        match self.state:
            case LiveState.READY:
                return []
            case LiveState.GRACE:
                self._channels.machine.hold()
                return []
            case LiveState.STOPPED:
                return self._channels.machine.close()
            case LiveState.PARKED:
                self._channels.ring()
        return self._channels.machine.lost()

    def _heed_user(self) -> None:
        if self._keeper.person is not None:
            self._channels.perform(self._channels.machine.user(self._keeper.person.id))

    def _heed_frame(self, frame: wire.Received) -> None:
        machine, now = self._channels.machine, self._keeper.clocks.now()
        match frame:
            case Welcome() | AuthOk():
                welcome = self._machine.welcome
                if welcome is None or not self._machine.may_send():
                    return
                effects = machine.ready(self._machine.presented, welcome.limits.frame_bytes, now)
            case wire.Farewell():
                machine.hold()
                return
            case _:
                effects = machine.received(frame, now, self._keeper.random())
        self._channels.perform(effects)

    def _rearm(self) -> None:
        now = self._keeper.clocks.now()
        waits = (self._machine.wake_in(now), self._channels.machine.wake_in(now))
        seconds = min((wait for wait in waits if wait is not None), default=None)
        if self._alarm is not None:
            # One that rings a little early does no harm; to set it anew for every frame would cost.
            if seconds is not None and 0 <= now.mono + seconds - self._alarm_at <= EARLY:
                return
            self._alarm.cancel()
            self._alarm = None
        if seconds is not None:
            self._alarm_at = now.mono + seconds
            self._alarm = self._keeper.clocks.call_later(seconds, self._tick)

    def _tick(self) -> None:
        self._alarm = None
        now = self._keeper.clocks.now()
        self._perform(self._machine.tick(now, self._keeper.random()))
        self._channels.perform(self._channels.machine.tick(now))

    async def _run(self, number: int) -> None:
        """One socket, from the token that it is opened with to its end."""
        token = 0
        try:
            token = await self._keeper.fresh()
            socket = await self._open_socket(self._url, self._keeper.access_token)
        except ClientError as over:
            self._perform(self._machine.session_over(over.reason))
        except DeniedError as denied:
            now, unit = self._keeper.clocks.now(), self._keeper.random()
            self._perform(self._machine.denied(number, token, denied.denial, now, unit))
        except OSError as error:
            self._closed(number, 1006, type(error).__name__)
        else:
            try:
                await self._use(number, token, socket)
            finally:
                if self._socket is socket:
                    self._socket = None
                await socket.close()

    async def _use(self, number: int, token: int, socket: ClientConnection) -> None:
        code, reason = 1002, f"the server does not speak {SUBPROTOCOL}"
        if socket.subprotocol == SUBPROTOCOL:
            self._socket = socket
            self._perform(self._machine.opened(number, token, self._keeper.clocks.now()))
            code, reason = await self._read(number, socket)
        self._closed(number, code, reason)

    async def _read(self, number: int, socket: ClientConnection) -> tuple[int, str]:
        while True:
            try:
                text = await socket.recv()
            except ConnectionClosed:
                return socket.close_code or 1006, socket.close_reason or ""
            frame = wire.read(text)
            now, unit = self._keeper.clocks.now(), self._keeper.random()
            self._perform(self._machine.received(number, frame, now, unit))
            if self._running is asyncio.current_task():
                self._heed_frame(frame)
            while len(self._inbox) >= self._inbox_limit:
                await self._taken.heard()

    def _closed(self, number: int, code: int, reason: str) -> None:
        now, unit = self._keeper.clocks.now(), self._keeper.random()
        self._perform(self._machine.closed(number, code, reason, now, unit))

    def _drop(self) -> None:
        """Close the present socket, in its own time; the machine does not hear it any more."""
        running, self._running = self._running, None
        if running is not None and running is not asyncio.current_task():
            running.cancel()

    def _say(self, text: str) -> None:
        if self._socket is not None:
            self._spawn(_send_unless_closed(self._socket, text))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # Waiting

    async def _ready(self) -> ClientConnection:
        """Wait until the app's messages may go out."""
        while self._socket is None or not self._machine.may_send():
            self._raise_if_over()
            await self._changed.heard()
        return self._socket

    def _is_finished(self) -> bool:
        """Stopped, and for no reason that anybody need worry about."""
        if self.state is not LiveState.STOPPED:
            return False
        return self._last.code in (None, 1000)

    def _raise_if_over(self) -> None:
        if self.state in (LiveState.STOPPED, LiveState.PARKED):
            action = Action.STOP if self.state is LiveState.STOPPED else Action.RELOGIN
            code = self._last.code if isinstance(self._last.code, int) else None
            raise ClientError(action, self._last.reason, close_code=code)

    def _check_size(self, text: str) -> None:
        welcome = self._machine.welcome
        size = len(text.encode())
        if welcome is not None and size > welcome.limits.frame_bytes:
            raise MisuseError(
                f"the message has {size} bytes, and the server takes {welcome.limits.frame_bytes}"
            )


async def _send_unless_closed(socket: ClientConnection, text: str) -> None:
    with contextlib.suppress(ConnectionClosed):
        await socket.send(text)


def _text(message: Any) -> str:
    """The message as a frame, refused if the server would take it for one of the protocol's."""
    if isinstance(message, dict) and isinstance(message.get("type"), str) and message["type"] in FROM_CLIENT:
        raise ReservedFrameError(
            f"the message type {message['type']!r} belongs to {SUBPROTOCOL}; name yours otherwise"
        )
    try:
        text = json.dumps(message, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise MisuseError(f"the message is no JSON: {type(error).__name__}") from None
    return text

"""Channels for an app: who listens to what, who waits for which answer. The decisions are `channels`'.

A subscriber that is slow holds nobody up: what does not fit its queue any more is left, and read from the channel's
history once the queue is empty.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import TracebackType
from typing import Any, Self, TypeVar

from holdfast.client import channels, wire
from holdfast.client.channels import ChannelMachine, Effect
from holdfast.client.clock import Bell
from holdfast.client.errors import RequestError
from holdfast.client.listeners import Listener, Listeners
from holdfast.client.timing import Now
from holdfast.client.wire import Event
from holdfast.errors import MisuseError, Unavailable
from holdfast.protocol.frames import Member, Position

WAIT = 10.0
"""How long a request waits for its answer, in seconds."""
QUEUE = 1_000
"""How many requests of one connection may wait to be sent."""
T = TypeVar("T")

MAYBE = "it may or may not have arrived"
PAGE = 1_000
"""A server tells at most so much of a channel's history at once."""


class SubscriptionState(StrEnum):
    """Where a subscription is."""

    SUBSCRIBING = "subscribing"
    SUBSCRIBED = "subscribed"
    REFUSED = "refused"
    """The server says no; it is asked again after the next token."""
    UNSUBSCRIBED = "unsubscribed"
    """By this program; or by the server, which is asked again after the next token if the right was `revoked`."""


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The channel is there, for the first time (`fresh`) or again.

    Recovered: all that was missed follows. Without it, what is known of the channel may be out of date: load it.
    """

    fresh: bool
    recovered: bool
    position: Position


@dataclass(frozen=True, slots=True)
class History:
    """What a channel remembers, oldest first; `position` is that of its newest.

    `recovered`: nothing is missing between the `since` that was asked for and the first of them.
    """

    position: Position
    publications: Sequence[Event]
    recovered: bool


@dataclass(frozen=True, slots=True)
class Host:
    """The connection, as its channels see it."""

    now: Callable[[], Now]
    say: Callable[[str], None]
    """Writes to the socket."""
    rearm: Callable[[], None]
    """Sets the timer anew."""
    is_finished: Callable[[], bool]
    """Whether it has come to its proper end."""
    raise_if_over: Callable[[], None]
    """Raises `ClientError` if nothing more comes by itself."""


class Subscription:
    """One subscriber of a channel; made by `LiveConnection.subscribe`.

        async with live.subscribe("job:42") as job:
            async for event in job:
                print(event.data)

    Each publication comes once, in order, through every loss of the connection. `event.missed` says that some before it
    cannot be had any more. Iterating ends when the channel is closed or left, and raises `RequestError` once when the
    server says no or takes the right away: the same object goes on when a later token opens the channel again.
    """

    def __init__(self, hub: Channels, channel: str, *, since: Position | None, queue: int) -> None:
        self.channel = channel
        self.state = SubscriptionState.SUBSCRIBING
        """Where it is."""
        self.members: Sequence[Member] = ()
        """Who is there, where that was asked for."""
        self._hub = hub
        self._queue: deque[Event] = deque()
        self._limit = queue
        self._listeners = Listeners()
        self._changed = Bell()
        self._refusal: RequestError | None = None
        self._listens = False
        self._fresh = since is None
        self._since = since
        """Where it begins; `None` once it has."""
        self._over = False
        self._last = since
        """That of the newest event in the queue, or before it."""
        self._missed = False
        """Something is missing before the next event."""
        self._behind = False
        """What comes did not fit the queue, and is to be read from the history."""

    @property
    def position(self) -> Position | None:
        """How far this client has come; `None` until it is subscribed. What waits in the queue counts."""
        return self._hub.machine.position(self.channel)

    def on(self, name: str, callback: Listener) -> Callable[[], None]:
        """Call `callback(news)` at once on `subscribing`, `subscribed`, `refused`, `unsubscribed` and `presence`.

        Returns what takes it back. Events are not among them: they wait to be read.
        """
        if name != "presence":
            SubscriptionState(name)
        return self._listeners.add(name, callback)

    async def subscribed(self) -> Position:
        """Wait until the channel is there; where this client stands then.

        Raises:
            RequestError: the server says no.
            ClientError: the connection is over.
        """
        while self.state is not SubscriptionState.SUBSCRIBED or self.position is None:
            self._raise_if_over()
            await self._changed.heard()
        return self.position

    def unsubscribe(self) -> None:
        """Hear no more of it; with the last of its subscribers the channel is left."""
        self.state = SubscriptionState.UNSUBSCRIBED
        self.forget()
        self._over = True
        self._changed.ring()
        self._hub.leave(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._queue:
            if self._behind:
                await self._catch_up()
                continue
            if self._over or self._hub.host.is_finished():
                raise StopAsyncIteration
            self._raise_if_over()
            await self._changed.heard()
        return self._queue.popleft()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unsubscribe()

    def __repr__(self) -> str:
        return f"<Subscription {self.channel} {self.state}>"

    # What it is told

    def listen(self, known: Sequence[channels.News]) -> None:
        """Hear what happens from here on, and first what the others know already."""
        self._listens = True
        for news in known:
            if not self._over:
                self.heed(news, late=True)

    def heed(self, news: channels.News, *, late: bool = False) -> None:
        """Take in what the machine says; `late`: what it has said to the others before."""
        if not self._listens:
            return
        match news:
            case Event():
                self._take(news)
            case channels.Subscribing():
                self._enter(SubscriptionState.SUBSCRIBING, news)
            case channels.Subscribed(_, recovered, position):
                fresh, self._fresh = self._fresh, False
                since, self._since = self._since, None
                here = self.position or position
                if since is not None and since.epoch == here.epoch and since.offset <= here.offset:
                    # Others may be further than where this one begins. What is between, the history has.
                    self._behind = since.offset < here.offset
                    recovered = recovered or late
                elif fresh or not recovered or since is not None:
                    self._last = here if late else position
                    self._missed, recovered = not fresh, recovered and since is None
                self._refusal = None
                told = Subscribed(fresh, recovered and not fresh, position)
                self._enter(SubscriptionState.SUBSCRIBED, told)
            case channels.Refused(_, code, message):
                self._refusal = RequestError(code, message)
                self._enter(SubscriptionState.REFUSED, news)
            case channels.Unsubscribed(_, reason):
                self._over = reason == "channel_closed"
                is_final = reason in ("channel_closed", "closed")
                self._refusal = None if is_final else RequestError(reason)
                self._enter(SubscriptionState.UNSUBSCRIBED, news)
            case channels.Present(_, members):
                self.members = tuple(members)
                self._listeners.tell("presence", self.members)

    def forget(self) -> None:
        """Read no further in what has come, nor begin anywhere but at the present."""
        self._queue.clear()
        self._behind = False
        self._fresh = self._fresh or self._since is not None
        self._since = None

    def ring(self) -> None:
        """Look again: the connection may be over."""
        self._changed.ring()

    def _enter(self, state: SubscriptionState, news: object) -> None:
        self.state = state
        self._listeners.tell(state, news)
        self._changed.ring()

    def _take(self, event: Event) -> None:
        self._changed.ring()
        last = self._last
        # What was read from the history may still be on its way here.
        if self._behind or last is None or event.offset <= last.offset:
            return
        self._behind = len(self._queue) >= self._limit
        if not self._behind:
            self._append(event, last.epoch)

    def _append(self, event: Event, epoch: str) -> None:
        self._queue.append(replace(event, missed=True) if self._missed else event)
        self._missed = False
        self._last = Position(epoch, event.offset)

    async def _catch_up(self) -> None:
        """Read on from the history, from where the queue was full."""
        last = self._last
        assert last is not None  # it was full of something
        try:
            limit = min(self._limit, PAGE)
            found = await self._hub.history(self.channel, last, limit=limit, timeout=None)
        except Unavailable:
            await self._changed.heard()  # when the connection is back
            return
        except RequestError:
            if self._over:
                self._behind = False
                raise
            # It cannot be had, and the reader is told so by the next event.
            self._missed = True
            self._last = self.position or last
            self._behind = False
            return
        if self._last is not last:
            return  # another life of the channel has begun meanwhile
        self._missed = self._missed or not found.recovered
        self._last = Position(found.position.epoch, last.offset) if found.recovered else found.position
        for event in found.publications:
            self._append(event, found.position.epoch)
        here = self.position
        if found.recovered and not found.publications:
            self._missed, self._last = True, here or last  # a server that has lost it and does not say so
        self._behind = here is not None and here.epoch == self._last.epoch and self._last.offset < here.offset

    def _raise_if_over(self) -> None:
        refusal, self._refusal = self._refusal, None
        if refusal is not None:
            raise refusal
        self._hub.host.raise_if_over()


@dataclass(slots=True)
class _Shared:
    """The subscribers of a channel, and what they were told last: where it is, and who is there."""

    subscribers: list[Subscription]
    state: channels.News | None = None
    present: channels.Present | None = None


class Channels:
    """The channels of one connection."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.machine = ChannelMachine(QUEUE)
        self._shared: dict[str, _Shared] = {}
        self._waiting: dict[str, asyncio.Future[Any]] = {}

    # What an app asks for

    def subscribe(self, channel: str, *, presence: bool, since: Position | None, queue: int) -> Subscription:
        """Another subscriber; the server is asked for each channel once."""
        subscription = Subscription(self, channel, since=since, queue=queue)
        shared = self._shared.setdefault(channel, _Shared([]))
        shared.subscribers.append(subscription)
        # A moment later, when it has its listeners, as the first one is told later too.
        asyncio.get_running_loop().call_soon(lambda: subscription.listen(self._known(shared)))
        self.perform(self.machine.subscribe(channel, self.host.now(), presence=presence, since=since))
        return subscription

    def leave(self, subscription: Subscription) -> None:
        """The subscriber wants no more."""
        channel = subscription.channel
        shared = self._shared.get(channel)
        if shared is None or subscription not in shared.subscribers:
            return
        shared.subscribers.remove(subscription)
        if not shared.subscribers:
            del self._shared[channel]
            self.perform(self.machine.unsubscribe(channel, self.host.now()))

    async def publish(self, channel: str, data: Any, *, key: str | None, timeout: float | None) -> Position:  # noqa: ASYNC109  # documented bound of one wait
        """Publish; where it stands."""
        request = self.machine.next_id()
        try:
            text = wire.publish(request, channel, data, key)
        except (TypeError, ValueError, RecursionError) as error:
            raise MisuseError(f"the data is no JSON: {type(error).__name__}") from None
        return await self._ask(request, text, wire.position, timeout)

    async def history(
        self,
        channel: str,
        since: Position | None,
        *,
        limit: int | None,
        timeout: float | None = WAIT,  # noqa: ASYNC109  # documented bound of one wait
    ) -> History:
        """What the channel remembers."""
        request = self.machine.next_id()

        def read(result: Any) -> History:
            found = wire.publications(channel, result["publications"])
            return History(wire.position(result), found, result["recovered"] is True)

        return await self._ask(request, wire.history(request, channel, since, limit), read, timeout)

    async def presence(self, channel: str, *, timeout: float | None) -> Sequence[Member]:  # noqa: ASYNC109  # documented bound of one wait
        """Who is there."""
        request = self.machine.next_id()
        text = wire.presence(request, channel)
        return await self._ask(request, text, lambda result: wire.members(result["members"]), timeout)

    async def _ask(
        self,
        request: str,
        text: str,
        read: Callable[[Any], T],
        timeout: float | None,  # noqa: ASYNC109  # documented bound of one wait
    ) -> T:
        self.host.raise_if_over()
        answer = self._waiting[request] = asyncio.get_running_loop().create_future()
        try:
            self.perform(self.machine.request(request, text, self.host.now()))
            async with asyncio.timeout(timeout):
                result = await answer
        except TimeoutError:
            if self.machine.withdraw(request):
                raise Unavailable(f"no answer within {timeout} s; {MAYBE}") from None
            raise Unavailable(f"the connection was not ready within {timeout} s; nothing was sent") from None
        finally:
            self.machine.withdraw(request)
            del self._waiting[request]
        try:
            return read(result)
        except (KeyError, TypeError, ValueError):
            raise RequestError("bad_answer", "the server's answer makes no sense") from None

    # What the connection tells

    def forget(self) -> None:
        """Somebody else has signed in: what was not read is not theirs to read."""
        for shared in self._shared.values():
            for subscription in shared.subscribers:
                subscription.forget()

    def perform(self, effects: list[Effect]) -> None:
        """Do what the machine says."""
        for effect in effects:
            match effect:
                case channels.Send(text):
                    self.host.say(text)
                case channels.Answer(request, result):
                    if (answer := self._pending(request)) is not None:
                        answer.set_result(result)
                case channels.Fail(request):
                    if (answer := self._pending(request)) is not None:
                        answer.set_exception(_error(effect))
                case _:
                    self._tell(effect)
        self.host.rearm()

    def ring(self) -> None:
        """Let every subscriber look whether the connection is over."""
        for shared in self._shared.values():
            for subscription in shared.subscribers:
                subscription.ring()

    def _tell(self, news: channels.News) -> None:
        channel = news.channel
        shared = self._shared.get(channel)
        if shared is None:
            return
        match news:
            case Event():
                pass
            case channels.Present():
                shared.present = news
            case _:
                shared.state = news
        if not self.machine.has(channel):
            del self._shared[channel]
        for subscription in tuple(shared.subscribers):
            if subscription in shared.subscribers:  # no other has just unsubscribed it
                subscription.heed(news)

    def _known(self, shared: _Shared) -> list[channels.News]:
        """What one that comes later is told: where the channel is by now, and who is there."""
        state = shared.state
        if isinstance(state, channels.Subscribed):
            state = replace(state, position=self.machine.position(state.channel) or state.position)
        return [news for news in (state, shared.present) if news is not None]

    def _pending(self, request: str) -> asyncio.Future[Any] | None:
        answer = self._waiting.get(request)
        return None if answer is None or answer.done() else answer


def _error(failed: channels.Fail) -> Exception:
    match failed.code:
        case "lost":
            return Unavailable(f"the connection was lost before the answer; {MAYBE}")
        case "closed":
            return Unavailable("the connection is closed; nothing was sent")
        case "queue_full":
            return Unavailable(f"{QUEUE} requests wait to be sent already; nothing was sent")
        case "frame_too_large":
            return MisuseError("the server takes no frame of that size; nothing was sent")
        case "another_user":
            return RequestError(failed.code, "somebody else has signed in since; nothing was sent")
        case _:
            return RequestError(failed.code, failed.message, retry_after=failed.retry_in or None)

"""The channels of one node: who is subscribed here, and how publications reach them.

A publication is written once for all subscribers, and what one channel publishes within a tick of the loop goes out to
each of them at once. Nobody who is subscribed is waited for, so nobody can hold the others up. A subscription begins
without a gap: from before the broker is asked where the channel stands, publications are kept aside for the newcomer.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Coroutine, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from holdfast.asgi.burst import Burst
from holdfast.asgi.eager import begin
from holdfast.asgi.outlet import Outlet
from holdfast.asgi.principal import Principal
from holdfast.asgi.rules import ChannelRule, Right, Rules
from holdfast.asgi.scheduler import Scheduler
from holdfast.core.channel import History
from holdfast.core.connection import State
from holdfast.core.policy import Retention
from holdfast.errors import Unavailable
from holdfast.logs import get_logger
from holdfast.ports import Broker, Clock, Observer
from holdfast.protocol import channels as wire
from holdfast.protocol import frames
from holdfast.protocol.frames import Member, Position, Publication

if TYPE_CHECKING:
    from holdfast.asgi.driver import Driver

log = get_logger("holdfast.channels")

WAITING_REQUESTS = 1_000
"""Requests of one connection that may wait for one before them."""
RETRY_MS = 1_000
NOBODY_ASKED = ""
"""The id of a subscription that no frame has asked for; no frame may have it."""
REPLAY_BYTES = 131_072
"""How much of what a newcomer has missed is sent before looking whether it keeps up."""
PRESENCE_SECONDS = 60.0
"""How long those who joined through this node count as present, should it die without a word."""


class Refusal(Exception):
    """A request that is answered with an error; the text is for people."""

    def __init__(self, code: str, message: str, retry_after_ms: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after_ms = retry_after_ms


class Newcomer:
    """A subscriber that is being brought to where the others are, with what is published meanwhile."""

    __slots__ = ("kept", "size")

    def __init__(self) -> None:
        self.kept: list[Publication] = []
        self.size = 0

    def keep(self, publication: Publication) -> None:
        self.kept.append(publication)
        self.size += len(publication.data)

    def after(self, offset: int) -> list[Publication]:
        """Take what comes after an offset, and let go of the rest."""
        kept, self.kept, self.size = self.kept, [], 0
        return [one for one in kept if one.offset > offset]


class Channel:
    """One channel as this node sees it; there is none without a subscriber here."""

    __slots__ = ("_observer", "joining", "leaving", "name", "plain", "speaking", "waiting", "watchers")

    def __init__(self, name: str, observer: Observer) -> None:
        self.name = name
        self._observer = observer
        self.speaking: dict[Driver, Outlet] = {}
        """Subscribers that speak holdfast.v1."""
        self.plain: dict[Driver, Outlet] = {}
        """Subscribers on plain sockets."""
        self.joining: dict[Driver, Newcomer] = {}
        self.watchers: set[Driver] = set()
        """Subscribers that are told who comes and goes."""
        self.waiting: list[Publication] = []
        """What was published in this tick."""
        self.leaving: asyncio.Task[None] | None = None
        """The broker is being told that nobody here needs the channel any more."""

    @property
    def is_empty(self) -> bool:
        """Whether nobody here needs it."""
        return not (self.speaking or self.plain or self.joining)

    def flush(self) -> None:
        """Send what has been published to everybody who was subscribed by then."""
        waiting, self.waiting = self.waiting, []
        if not waiting:
            return
        self._observer.channel("delivered", len(waiting) * (len(self.speaking) + len(self.plain)))
        for subscribers, text in ((self.speaking, wire.event_text), (self.plain, wire.plain_event_text)):
            if subscribers:
                burst = Burst([text(self.name, one.offset, one.data) for one in waiting])
                for outlet in tuple(subscribers.values()):
                    outlet.push_burst(burst)


class Hub:
    """Subscribes connections to channels, and is told by the broker what to send them."""

    def __init__(
        self,
        *,
        broker: Broker,
        rules: Rules,
        clock: Clock,
        scheduler: Scheduler,
        observer: Observer,
        max_channels: int,
    ) -> None:
        self.rules = rules
        self._broker = broker
        self._clock = clock
        self._scheduler = scheduler
        self._observer = observer
        self._max_channels = max_channels
        self._channels: dict[str, Channel] = {}
        self._of: dict[Driver, dict[str, Channel]] = {}
        self._requests: dict[Driver, deque[Coroutine[Any, Any, None]]] = {}
        self._published: list[Channel] = []
        self._background: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Make the broker ready, and begin to say that this node lives."""
        self._loop = asyncio.get_running_loop()
        await self._broker.start(self)
        self._beat()

    async def aclose(self) -> None:
        """Let go of the broker; connections have been ended before."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self._broker.aclose()

    def __len__(self) -> int:
        """How many channels have a subscriber here."""
        return len(self._channels)

    def subscriptions(self) -> int:
        """How many subscriptions there are here."""
        return sum(len(each.speaking) + len(each.plain) for each in self._channels.values())

    def channels_of(self, driver: Driver) -> list[str]:
        """What this connection is subscribed to."""
        return list(self._of.get(driver, ()))

    # For the app

    async def publish(self, channel: str, data: str, *, key: str | None = None) -> Position:
        """Publish JSON text to a channel. Raises `Unavailable`."""
        return await self._publish(channel, data, self.rules.retention_of(channel), key)

    async def history(self, channel: str, since: Position | None, *, limit: int) -> History:
        """What was published. Raises `Unavailable`."""
        return await self._broker.history(channel, since, limit=limit, now=self._clock.now())

    async def presence(self, channel: str) -> list[Member]:
        """Who is subscribed, on all nodes. Raises `Unavailable`."""
        return list(await self._broker.presence(channel, now=self._clock.now()))

    async def _publish(self, channel: str, data: str, retention: Retention, key: str | None) -> Position:
        now = self._clock.now()
        position = await self._broker.publish(channel, data, retention=retention, now=now, key=key)
        self._observer.channel("published")
        return position

    # From connections

    def request(self, driver: Driver, frame: frames.ChannelRequest) -> None:
        """Do what a client asks and answer it: one request of a connection after the other, in their order."""
        work = self._answer(driver, frame)
        waiting = self._requests.get(driver)
        if waiting is None:
            self._begin(driver, work)
        elif len(waiting) < WAITING_REQUESTS:
            waiting.append(work)
        else:
            work.close()
            busy = "too many requests wait already; send this again later"
            driver.tell(frames.Error("try_later", busy, frame.id, RETRY_MS))

    def follow(self, driver: Driver, names: Iterable[str]) -> None:
        """Subscribe a plain socket to what its URL named."""
        for name in dict.fromkeys(names):
            if wire.is_channel(name):
                self.request(driver, frames.Subscribe(NOBODY_ASKED, name))
            else:
                driver.tell(frames.Error("bad_channel", wire.BAD_CHANNEL))

    def recheck(self, driver: Driver) -> None:
        """A new proof: ask the rules again, and take away what is no longer allowed."""
        if driver in self._of:
            self._run(self._recheck(driver))

    def leave(self, driver: Driver) -> None:
        """The connection has ended: it leaves every channel before this returns."""
        for work in self._requests.pop(driver, ()):
            work.close()
        for channel in list(self._of.get(driver, {}).values()):
            self._remove(driver, channel)

    # From the broker

    def published(self, channel: str, publication: Publication, epoch: str) -> None:  # noqa: ARG002  # the port's
        """Send it to everybody who is subscribed, at the end of this tick."""
        found = self._channels.get(channel)
        if found is None:
            return
        for driver, newcomer in tuple(found.joining.items()):
            newcomer.keep(publication)
            if newcomer.size > driver.node.policy.max_backlog_bytes:
                driver.overflowed()
        found.waiting.append(publication)
        if len(found.waiting) == 1:
            self._published.append(found)
            if len(self._published) == 1:
                self._loop.call_soon(self._flush)

    def lost(self, channel: str, position: Position) -> None:
        """The broker has missed something: everybody is told to start over from here."""
        found = self._channels.get(channel)
        if found is None:
            return
        found.flush()
        for driver in (*found.speaking, *found.plain):
            positioned = self.rules.retention_of(channel).keeps
            driver.tell(frames.Subscribed(channel, position, recovered=False, positioned=positioned))

    def joined(self, channel: str, member: Member) -> None:
        """Tell those who watch."""
        found = self._channels.get(channel)
        for driver in tuple(found.watchers) if found else ():
            if driver.id != member.connection:
                driver.tell(frames.PresenceJoined(channel, member))

    def left(self, channel: str, member: Member) -> None:
        """Tell those who watch."""
        found = self._channels.get(channel)
        for driver in tuple(found.watchers) if found else ():
            driver.tell(frames.PresenceLeft(channel, member))

    def _flush(self) -> None:
        published, self._published = self._published, []
        for channel in published:
            channel.flush()

    # Requests

    def _begin(self, driver: Driver, work: Coroutine[Any, Any, None]) -> None:
        task = begin(work, self._loop) if self._broker.instant else self._loop.create_task(work)
        if task is not None:
            self._requests[driver] = deque()
            self._keep(task)
            task.add_done_callback(partial(self._next, driver))

    def _next(self, driver: Driver, _done: asyncio.Task[None]) -> None:
        waiting = self._requests.pop(driver, None)
        while waiting and driver not in self._requests:
            self._begin(driver, waiting.popleft())
        if waiting:
            self._requests[driver].extend(waiting)

    async def _answer(self, driver: Driver, frame: frames.ChannelRequest) -> None:
        try:
            answer = await self._done(driver, frame)
        except Refusal as refusal:
            answer = frames.Error(refusal.code, str(refusal), _id(frame), refusal.retry_after_ms)
        except Unavailable as error:
            log.warning("channel request failed", connection=driver.id, reason=str(error))
            answer = frames.Error("try_later", "the channels cannot be reached just now", _id(frame))
        except Exception:
            log.exception("channel request failed", connection=driver.id, channel=frame.channel)
            answer = frames.Error("try_later", "this could not be decided just now", _id(frame))
        if answer is not None:
            driver.tell(answer)

    async def _done(self, driver: Driver, frame: frames.ChannelRequest) -> frames.ServerFrame | None:
        name, request, now = frame.channel, frame.id, self._clock.now()
        match frame:
            case frames.Subscribe():
                await self._subscribe(driver, frame)
                return None
            case frames.Unsubscribe():
                channel = self._of.get(driver, {}).get(name)
                if channel is not None:
                    channel.flush()
                    self._remove(driver, channel)
                return frames.Ok(request, {})
            case frames.Publish(data=data, key=key):
                rule = await self._allowed(driver, name, Right.PUBLISH)
                return frames.Published(request, await self._publish(name, data, rule.retention, key))
            case frames.ReadHistory(since=since, limit=limit):
                await self._allowed(driver, name, Right.READ)
                found = await self._broker.history(name, since, limit=limit, now=now)
                return frames.HistoryRead(request, found.position, found.publications, found.recovered)
            case _:
                if not (await self._allowed(driver, name, Right.READ)).presence:
                    raise Refusal("forbidden", f"who is subscribed to {name!r} is not shown")
                return frames.PresenceRead(request, await self._broker.presence(name, now=now))

    async def _subscribe(self, driver: Driver, frame: frames.Subscribe) -> None:
        mine = self._of.get(driver, {})
        if frame.channel in mine:
            raise Refusal("already_subscribed", f"this connection is subscribed to {frame.channel!r} already")
        if len(mine) >= self._max_channels:
            raise Refusal(
                "too_many_channels", f"one connection may subscribe to {self._max_channels} channels"
            )
        rule = await self._allowed(driver, frame.channel, Right.READ)
        channel = await self._channel(frame.channel)
        if driver.state is State.ENDED:
            self._let_go(channel)
            return
        newcomer = channel.joining[driver] = Newcomer()
        self._of.setdefault(driver, {})[frame.channel] = channel
        try:
            now = self._clock.now()
            await self._broker.subscribe(frame.channel, now=now)
            history = await self._broker.recover(frame.channel, frame.since, now=now)
            members = None
            if rule.presence:
                await self._broker.join(frame.channel, _member(driver), now=now)
                if frame.presence:
                    members = await self._broker.presence(frame.channel, now=now)
        except BaseException:
            self._remove(driver, channel)
            raise
        if channel.joining.get(driver) is not newcomer:
            return  # it has left meanwhile
        if members is not None:
            channel.watchers.add(driver)
        keeps = rule.retention.keeps
        driver.tell(
            frames.Subscribed(channel.name, history.position, history.recovered, keeps, members, frame.id)
        )
        await self._catch_up(driver, channel, newcomer, history)

    async def _catch_up(self, driver: Driver, channel: Channel, newcomer: Newcomer, history: History) -> None:
        """Send what was missed, no faster than it is taken, then put the newcomer among the others."""
        missed, offset = list(history.publications), history.position.offset
        while True:
            while missed:
                self._send(driver, channel, _first(missed))
                await driver.outlet.room()
                if channel.joining.get(driver) is not newcomer:
                    return
            missed = newcomer.after(offset)
            if not missed:
                break
            offset = missed[-1].offset
        # Without a wait since the last look: what waits in the channel has just been sent to this one.
        channel.flush()
        del channel.joining[driver]
        subscribers = channel.speaking if driver.visitor.controlled else channel.plain
        subscribers[driver] = driver.outlet
        self._observer.channel("subscribed")

    def _send(self, driver: Driver, channel: Channel, publications: list[Publication]) -> None:
        text = wire.event_text if driver.visitor.controlled else wire.plain_event_text
        driver.outlet.push_burst(Burst([text(channel.name, one.offset, one.data) for one in publications]))
        self._observer.channel("recovered", len(publications))

    async def _channel(self, name: str) -> Channel:
        while True:
            channel = self._channels.get(name)
            if channel is None:
                channel = self._channels[name] = Channel(name, self._observer)
                self._observer.channel("opened")
            if channel.leaving is None:
                return channel
            await asyncio.wait((channel.leaving,))

    # Rights

    async def _allowed(self, driver: Driver, name: str, right: Right) -> ChannelRule:
        """The channel's rule, if it gives this connection's user the right. Never tells why it does not."""
        found = self.rules.find(name)
        proof = driver.proof
        if found is not None and proof is not None:
            rule, names = found
            verdict = rule.verdict(right, Principal.of(proof), names)
            if inspect.isawaitable(verdict):
                # The app's own code may want a task around it, and this is not always in one.
                verdict = await asyncio.ensure_future(verdict)
            if verdict:
                return rule
        verb = "read" if right is Right.READ else "publish to"
        raise Refusal("forbidden", f"you may not {verb} the channel {name!r}")

    async def _recheck(self, driver: Driver) -> None:
        for name, channel in list(self._of.get(driver, {}).items()):
            if driver in channel.joining:
                continue  # being asked about just now
            try:
                await self._allowed(driver, name, Right.READ)
            except Refusal:
                lost = True
            except Exception:
                # A right that cannot be shown is none. The client may ask again, and recover.
                log.exception("a rule failed", connection=driver.id, channel=name)
                lost = True
            else:
                lost = False
            if lost and self._of.get(driver, {}).get(name) is channel:
                self._remove(driver, channel)
                driver.tell(frames.Unsubscribed(name, "revoked"))

    # Leaving

    def _remove(self, driver: Driver, channel: Channel) -> None:
        mine = self._of.get(driver)
        if mine is None or mine.pop(channel.name, None) is None:
            return
        if not mine:
            del self._of[driver]
        if channel.joining.pop(driver, None) is None:
            channel.speaking.pop(driver, None)
            channel.plain.pop(driver, None)
            self._observer.channel("left")
        channel.watchers.discard(driver)
        found = self.rules.find(channel.name)
        if found is not None and found[0].presence:
            self._run(self._broker.leave(channel.name, driver.id, now=self._clock.now()))
        self._let_go(channel)

    def _let_go(self, channel: Channel) -> None:
        """Tell the broker, once nobody here needs the channel; who asks for it meanwhile waits for that."""
        if channel.is_empty and self._channels.get(channel.name) is channel and channel.leaving is None:
            channel.leaving = self._run(self._broker.unsubscribe(channel.name, now=self._clock.now()))
            self._observer.channel("closed")
            if channel.leaving is None:
                del self._channels[channel.name]
            else:
                channel.leaving.add_done_callback(lambda _: self._channels.pop(channel.name, None))

    # In the background

    def _run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
        guarded = self._guarded(work)
        task = begin(guarded, self._loop) if self._broker.instant else self._loop.create_task(guarded)
        return None if task is None else self._keep(task)

    def _keep(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Unavailable as error:
            log.warning("the broker cannot be reached", reason=str(error))
        except Exception:
            log.exception("background work failed")

    async def _hold_presence(self) -> None:
        await self._broker.hold_presence(now=self._clock.now(), seconds=PRESENCE_SECONDS)

    def _beat(self) -> None:
        self._scheduler.at(self._clock.now() + PRESENCE_SECONDS / 3, self._beat)
        self._run(self._hold_presence())


def _member(driver: Driver) -> Member:
    assert driver.proof is not None
    return Member(driver.id, driver.proof.user, driver.proof.name)


def _id(frame: frames.ChannelRequest) -> str | int | None:
    return None if frame.id == NOBODY_ASKED else frame.id


def _first(publications: list[Publication]) -> list[Publication]:
    """Take from the front what is good to send at once."""
    size = taken = 0
    for taken, one in enumerate(publications, 1):  # noqa: B007  # the count is what is wanted
        size += len(one.data)
        if size >= REPLAY_BYTES:
            break
    first = publications[:taken]
    del publications[:taken]
    return first

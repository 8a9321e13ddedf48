"""The channels of one node: who may subscribe, how a subscription begins without a gap, and how publications go out.

A publication is written once for all subscribers, and what one channel publishes within a tick of the loop goes out to
each of them at once. Nobody who is subscribed is waited for, so nobody can hold the others up. From before the broker
is asked where a channel stands, publications are kept aside for the newcomer, who joins the others once it has them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from holdfast.asgi.background import Background
from holdfast.asgi.channel import Channel, Newcomer
from holdfast.asgi.requests import NOBODY_ASKED, Refusal, Requests
from holdfast.asgi.rights import Rights
from holdfast.asgi.rules import ChannelRule, Right, Rules
from holdfast.asgi.scheduler import Scheduler
from holdfast.core.channel import History
from holdfast.core.connection import Proof, State
from holdfast.core.policy import LivePolicy, Retention
from holdfast.errors import TooLarge
from holdfast.logs import get_logger
from holdfast.ports import Broker, Clock, Observer
from holdfast.protocol import channels as wire
from holdfast.protocol import frames, jsontext
from holdfast.protocol.frames import Member, Position, Publication

if TYPE_CHECKING:
    from holdfast.asgi.driver import Driver

log = get_logger("holdfast.channels")

REPLAY = 131_072
"""How much of what was missed is sent before looking whether it is taken, in bytes. Less, where less may wait."""
LARGEST_HISTORY = 524_288
"""How much of a history one answer holds, in bytes; who asked may ask again from there. Less, where less may wait."""
TICK = 131_072
"""How much the app may publish to a channel before the loop has a turn, in characters."""
PRESENCE_SECONDS = 60.0
"""How long those who joined through this node count as present, should it die without a word."""


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
        policy: LivePolicy,
    ) -> None:
        self.rules = rules
        self.rights = Rights(rules)
        """What connections may do."""
        self._broker = broker
        self._clock = clock
        self._scheduler = scheduler
        self._observer = observer
        self._max_channels = policy.max_channels_per_connection
        self._largest = policy.max_publication_bytes
        self._replay = min(REPLAY, policy.max_backlog_bytes // 4)
        self._largest_history = min(LARGEST_HISTORY, policy.max_backlog_bytes // 2)
        self._channels: dict[str, Channel] = {}
        self._published: list[Channel] = []
        self._rechecks = 0
        self._parting: dict[tuple[str, str], asyncio.Task[None]] = {}
        """By channel and connection, who has left and of whom the broker is being told."""
        self._background = Background(at_once=broker.instant)
        self.requests = Requests(self._do, self._background)
        """What clients ask of channels."""

    async def start(self) -> None:
        """Make the broker ready, and begin to say that this node lives."""
        self._loop = asyncio.get_running_loop()
        await self._broker.start(self)
        await self._broker.hold_presence(now=self._clock.now(), seconds=PRESENCE_SECONDS)
        self._beat_later()

    async def aclose(self) -> None:
        """Let go of the broker; connections have been ended before."""
        await self._background.aclose()
        await self._broker.aclose()

    def __len__(self) -> int:
        """How many channels have a subscriber here."""
        return len(self._channels)

    def subscriptions(self) -> int:
        """How many subscriptions there are here."""
        return sum(len(channel.speaking) + len(channel.plain) for channel in self._channels.values())

    def channels_of(self, driver: Driver) -> list[str]:
        """What this connection is subscribed to."""
        return list(driver.channels or ())

    # For the app

    async def publish(self, channel: str, data: str, *, key: str | None = None) -> Position:
        """Publish JSON text to a channel. Raises `TooLarge` and `Unavailable`."""
        position = await self._publish(channel, data, self.rules.retention_of(channel), key)
        found = self._channels.get(channel)
        if found is not None and found.size > TICK:
            await asyncio.sleep(0)  # or a loop that publishes would keep all of it from those who do keep up
        return position

    async def history(self, channel: str, since: Position | None, *, limit: int) -> History:
        """What was published. Raises `Unavailable`."""
        return await self._broker.history(channel, since, limit=limit, now=self._clock.now())

    async def presence(self, channel: str) -> list[Member]:
        """Who is subscribed, on all nodes. Raises `Unavailable`."""
        return list(await self._broker.presence(channel, now=self._clock.now()))

    async def _publish(self, channel: str, data: str, retention: Retention, key: str | None) -> Position:
        if len(data) * 4 > self._largest and (size := jsontext.size(data)) > self._largest:
            raise TooLarge(
                f"Publish less: the data of a publication may have {self._largest} bytes as JSON, a quarter of "
                f"HOLDFAST_MAX_BACKLOG_BYTES, and this has {size}."
            )
        now = self._clock.now()
        position = await self._broker.publish(channel, data, retention=retention, now=now, key=key)
        self._observer.channel("published")
        return position

    # From connections

    def follow(self, driver: Driver, names: Iterable[str]) -> None:
        """Subscribe a plain socket to what its URL named."""
        for name in dict.fromkeys(names):
            if wire.is_channel(name):
                self.requests.take(driver, frames.Subscribe(NOBODY_ASKED, name))
            else:
                driver.tell(frames.Error("bad_channel", f"{name[:100]!r}: {wire.BAD_CHANNEL}"))

    def recheck(self, driver: Driver) -> None:
        """There is a new proof, or other rights: ask the rules again, and take away what is no longer allowed."""
        self._rechecks += 1
        self.rights.forget(driver)
        for name, channel in list((driver.channels or {}).items()):
            self._background.run(self._recheck(driver, name, channel))

    def leave(self, driver: Driver) -> None:
        """The connection has ended: it leaves every channel before this returns."""
        self.requests.drop(driver)
        self.rights.forget(driver)
        for channel in list((driver.channels or {}).values()):
            self._remove(driver, channel)

    # From the broker

    def published(self, channel: str, publication: Publication, epoch: str) -> None:  # noqa: ARG002  # the port's
        """Send it to everybody who is subscribed, at the end of this tick."""
        found = self._channels.get(channel)
        if found is None:
            return
        if found.joining:
            self._keep(found, publication)
        found.wait(publication)
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
            self._start_over(driver, channel, position)
        for newcomer in found.joining.values():
            newcomer.lose(position)

    def joined(self, channel: str, member: Member) -> None:
        """Tell those who watch."""
        self._tell_watchers(frames.PresenceJoined(channel, member))

    def left(self, channel: str, member: Member) -> None:
        """Tell those who watch."""
        self._tell_watchers(frames.PresenceLeft(channel, member))

    def _tell_watchers(self, frame: frames.PresenceJoined | frames.PresenceLeft) -> None:
        found = self._channels.get(frame.channel)
        if found is None:
            return
        for driver in tuple(found.watchers):
            if driver.id != frame.member.connection:
                driver.tell(frame)
        for driver, newcomer in found.joining.items():
            if newcomer.watches and driver.id != frame.member.connection:
                newcomer.seen.append(frame)

    def _keep(self, channel: Channel, publication: Publication) -> None:
        for driver, newcomer in tuple(channel.joining.items()):
            newcomer.keep(publication)
            if newcomer.size > driver.node.policy.max_backlog_bytes:
                driver.overflowed()

    def _flush(self) -> None:
        published, self._published = self._published, []
        for channel in published:
            try:
                channel.flush()
            except Exception:
                log.exception("a channel could not be sent", channel=channel.name)

    def _start_over(self, driver: Driver, channel: str, position: Position) -> None:
        keeps = self.rules.retention_of(channel).keeps
        driver.tell(frames.Subscribed(channel, position, recovered=False, positioned=keeps))

    # Requests

    async def _do(self, driver: Driver, frame: frames.ChannelRequest) -> frames.ServerFrame | None:
        name, request, now = frame.channel, frame.id, self._clock.now()
        match frame:
            case frames.Publish(data=data, key=key):  # first, as nearly every request is one
                rule = await self.rights.check(driver, name, Right.PUBLISH)
                own = None if key is None or driver.proof is None else _own_key(driver.proof, key)
                return frames.Published(request, await self._publish(name, data, rule.retention, own))
            case frames.Subscribe():
                await self._subscribe(driver, frame)
                return None
            case frames.Unsubscribe():
                channel = (driver.channels or {}).get(name)
                if channel is not None:
                    channel.flush()
                    self._remove(driver, channel)
                return frames.Ok(request, {})
            case frames.ReadHistory(since=since, limit=limit):
                await self.rights.check(driver, name, Right.READ)
                found = await self._broker.history(name, since, limit=limit, now=now)
                found = found.within(self._largest_history, newest=since is None)
                return frames.HistoryRead(request, found.position, found.publications, found.recovered)
            case _:
                if not (await self.rights.check(driver, name, Right.READ)).presence:
                    raise Refusal("forbidden", f"who is subscribed to {name!r} is not shown")
                return frames.PresenceRead(request, await self._broker.presence(name, now=now))

    async def _subscribe(self, driver: Driver, frame: frames.Subscribe) -> None:
        name = frame.channel
        mine = driver.channels or {}
        if name in mine:
            raise Refusal("already_subscribed", f"this connection is subscribed to {name!r} already")
        if len(mine) >= self._max_channels:
            raise Refusal(
                "too_many_channels", f"one connection may subscribe to {self._max_channels} channels"
            )
        rule, channel = await self._admitted(driver, name)
        newcomer = channel.joining[driver] = Newcomer(watches=rule.presence and frame.presence)
        if driver.channels is None:
            driver.channels = {}
        driver.channels[name] = channel
        try:
            members, history = await self._enter(driver, channel, rule, newcomer, frame.since)
            if not channel.awaits(driver, newcomer):
                if driver.state is State.ENDED:
                    return
                raise Refusal("forbidden", f"you may not read the channel {name!r}")  # not any more
            position, recovered = history.position, history.recovered
            driver.tell(frames.Subscribed(name, position, recovered, rule.retention.keeps, members, frame.id))
            for seen in newcomer.seen:
                driver.tell(seen)
            if newcomer.watches and channel.awaits(driver, newcomer):
                channel.watchers.add(driver)
                newcomer.watches = False
            await self._catch_up(driver, channel, newcomer, history)
        except BaseException:
            if channel.awaits(driver, newcomer):
                self._remove(driver, channel)
            raise

    async def _admitted(self, driver: Driver, name: str) -> tuple[ChannelRule, Channel]:
        """The channel, once its rule lets this connection in by what is true now; to be entered without a wait."""
        while True:
            rule = await self.rights.check(driver, name, Right.READ, anew=True)
            rechecks = self._rechecks
            channel = await self._channel(name)
            if rechecks == self._rechecks and driver.state is not State.ENDED:
                return rule, channel
            self._let_go(channel)

    async def _enter(
        self,
        driver: Driver,
        channel: Channel,
        rule: ChannelRule,
        newcomer: Newcomer,
        since: Position | None,
    ) -> tuple[Sequence[Member] | None, History]:
        """Have the broker know of a newcomer; who is there, and what the newcomer has missed."""
        name, now = channel.name, self._clock.now()
        channel.entering += 1
        try:
            await self._broker.subscribe(name, now=now)
            if rule.presence:
                await self._join(driver, channel)
            members = await self._broker.presence(name, now=now) if newcomer.watches else None
            return members, await self._broker.recover(name, since, now=now)
        finally:
            channel.entering -= 1
            self._let_go(channel)  # whoever was the last may have left meanwhile

    async def _join(self, driver: Driver, channel: Channel) -> None:
        while (parting := self._parting.get((channel.name, driver.id))) is not None:
            await asyncio.wait((parting,))  # or an earlier leave could come after this
        await self._broker.join(channel.name, _member(driver), now=self._clock.now())
        if driver not in channel.joining:
            self._part(driver, channel)  # its leave may have come before this

    async def _catch_up(self, driver: Driver, channel: Channel, newcomer: Newcomer, history: History) -> None:
        """Send what was missed, no faster than it is taken, then put the newcomer among the others."""
        missed, offset = list(history.publications), history.position.offset
        while True:
            while missed:
                first = _first(missed, self._replay)
                self._observer.channel("recovered", len(first))
                driver.outlet.push_burst(channel.burst(first, controlled=driver.visitor.controlled))
                await driver.outlet.room()
                if not channel.awaits(driver, newcomer):
                    return
            if newcomer.lost_at is not None:
                self._start_over(driver, channel.name, newcomer.lost_at)
                offset, newcomer.lost_at = newcomer.lost_at.offset, None
            missed = newcomer.after(offset)
            if not missed:
                break
            offset = missed[-1].offset
        # Without a wait since the last look: what waits in the channel has just been sent to this one.
        channel.flush()
        if not channel.awaits(driver, newcomer):
            return
        del channel.joining[driver]
        channel.admit(driver)
        self._observer.channel("subscribed")

    async def _channel(self, name: str) -> Channel:
        while True:
            channel = self._channels.get(name)
            if channel is None:
                channel = self._channels[name] = Channel(name, self._observer)
                self._observer.channel("opened")
            if channel.leaving is None:
                return channel
            await asyncio.wait((channel.leaving,))

    # Renewals

    async def _recheck(self, driver: Driver, name: str, channel: Channel) -> None:
        try:
            await self.rights.check(driver, name, Right.READ)
        except Refusal as refusal:
            why = str(refusal)
            log.info("channel lost", connection=driver.id, channel=name, reason=refusal.detail)
        except Exception:
            # A right that cannot be shown is none. The client may ask again, and recover.
            log.exception("a rule failed", connection=driver.id, channel=name)
            why = f"whether you may read the channel {name!r} cannot be decided just now"
        else:
            return
        if (driver.channels or {}).get(name) is channel:
            self._remove(driver, channel)
            controlled = driver.visitor.controlled
            driver.tell(
                frames.Unsubscribed(name, "revoked") if controlled else frames.Error("forbidden", why)
            )

    # Leaving

    def _remove(self, driver: Driver, channel: Channel) -> None:
        if not driver.channels or driver.channels.pop(channel.name, None) is None:
            return
        if channel.forget(driver):
            self._observer.channel("left")
        if self._shows_presence(channel.name):
            self._part(driver, channel)
        self._let_go(channel)

    def _part(self, driver: Driver, channel: Channel) -> None:
        """Let the broker know that somebody is no longer there; who comes back meanwhile waits for that."""
        leave = self._broker.leave(channel.name, driver.id, now=self._clock.now())
        parting = self._background.run(leave)
        if parting is not None:
            self._parting[channel.name, driver.id] = parting
            parting.add_done_callback(partial(self._has_parted, (channel.name, driver.id)))

    def _has_parted(self, who: tuple[str, str], parting: asyncio.Task[None]) -> None:
        if self._parting.get(who) is parting:
            del self._parting[who]

    def _let_go(self, channel: Channel) -> None:
        """Tell the broker, once nobody here needs the channel; who asks for it meanwhile waits for that."""
        if not channel.is_empty or self._channels.get(channel.name) is not channel or channel.leaving:
            return
        self._observer.channel("closed")
        channel.leaving = self._background.run(self._broker.unsubscribe(channel.name, now=self._clock.now()))
        if channel.leaving is None:
            del self._channels[channel.name]
        else:
            channel.leaving.add_done_callback(lambda _: self._channels.pop(channel.name, None))

    # Presence

    def _shows_presence(self, name: str) -> bool:
        found = self.rules.find(name)
        return found is not None and found[0].presence

    def _beat_later(self) -> None:
        self._scheduler.at(self._clock.now() + PRESENCE_SECONDS / 3, self._beat)

    def _beat(self) -> None:
        self._beat_later()
        self._background.run(self._hold_presence())

    async def _hold_presence(self) -> None:
        now = self._clock.now()
        if await self._broker.hold_presence(now=now, seconds=PRESENCE_SECONDS):
            return
        # After a pause so long that everybody here counts as gone.
        for channel in list(self._channels.values()):
            if self._shows_presence(channel.name):
                for driver in (*channel.speaking, *channel.plain, *channel.joining):
                    await self._broker.join(channel.name, _member(driver), now=now)


def _own_key(proof: Proof, key: str) -> str:
    """Keys are a user's own: somebody else's must not swallow a publication."""
    return jsontext.dump((proof.issuer, proof.user, key))


def _member(driver: Driver) -> Member:
    assert driver.proof is not None
    return Member(driver.id, driver.proof.user, driver.proof.name)


def _first(publications: list[Publication], most: int) -> list[Publication]:
    """Take from the front what is good to send at once: so many bytes, and what is left of one publication."""
    size = taken = 0
    while taken < len(publications) and size < most:
        size += jsontext.size(publications[taken].data)
        taken += 1
    first = publications[:taken]
    del publications[:taken]
    return first

"""The channels of one live connection: what to ask for and when, what is new, and what came of every request.

    idle, due --the connection is ready--> asked --subscribed--> subscribed
      ^                                     |  |                    |  |
      +----- try later, or the connection is lost, or a gap --------+  |
      |                                        | no                    | revoked
      +---- a new token ---- idle, not due <---+-----------------------+

Pure, as `live`, which it knows nothing of. A position is kept for every channel, and asked from after each return, so
that a publication is told once, in its place, or the app is told that some are gone. What comes between a request and
its answer belongs to what was before, and is not heard: the server answers for one channel in order. Written to be
ported line by line; conformance/channels has its vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from holdfast.client import wire
from holdfast.client.timing import TICK, Moment, Now, after, backoff
from holdfast.client.wire import Received
from holdfast.protocol import frames
from holdfast.protocol.frames import Member, Position

OWN = "holdfast:c"
"""Begins the ids of these requests, as `live` begins those of its own."""
AT_ONCE = Moment(float("-inf"), float("-inf"))


@dataclass(frozen=True, slots=True)
class Send:
    """Write this frame to the socket."""

    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A request of the app's was done."""

    id: str
    result: Any


@dataclass(frozen=True, slots=True)
class Fail:
    """A request of the app's came to nothing: what is `lost` may have arrived, what has another code was not done."""

    id: str
    code: str
    message: str = ""
    retry_in: float = 0.0


@dataclass(frozen=True, slots=True)
class Subscribing:
    """The channel is asked for, again."""

    channel: str


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The channel is there. Recovered: all that was missed since `position` follows; else some may be gone for good."""

    channel: str
    recovered: bool
    position: Position


@dataclass(frozen=True, slots=True)
class Refused:
    """The server says no; it is asked again after the next token."""

    channel: str
    code: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    """`revoked` is asked for again after the next token; `channel_closed` and `closed` are final."""

    channel: str
    reason: str


@dataclass(frozen=True, slots=True)
class Present:
    """Everybody who is there."""

    channel: str
    members: Sequence[Member]


News = wire.Event | Subscribing | Subscribed | Refused | Unsubscribed | Present
"""What the subscribers of a channel are told."""
Effect = Send | Answer | Fail | News


class Phase(Enum):
    """How a channel stands with the server."""

    IDLE = auto()
    ASKED = auto()
    SUBSCRIBED = auto()


@dataclass(slots=True)
class _Entry:
    """A channel that somebody wants, or that the server has still to be told is not wanted any more."""

    channel: str
    phase: Phase = Phase.IDLE
    at: Moment | None = AT_ONCE
    """When to ask for it; `None`: not by itself."""
    wanted: bool = False
    presence: bool = False
    held: bool = False
    """Whether this socket may have a subscription, which is ended before another is asked for."""
    failures: int = 0
    id: str = ""
    """The request that is under way."""
    position: Position | None = None
    members: list[Member] = field(default_factory=list)

    def restart(self) -> list[Effect]:
        """Ask for it again from where it stands, as soon as that may be."""
        is_news = self.at is None and self.phase is not Phase.ASKED
        self.phase = Phase.IDLE
        self.at = AT_ONCE
        return [Subscribing(self.channel)] if is_news else []


@dataclass(slots=True)
class _Request:
    text: str
    sent: bool = False


class ChannelMachine:
    """One connection's channels. `unit` arguments are numbers drawn from [0, 1), one a call."""

    def __init__(self, capacity: int) -> None:
        self._entries: dict[str, _Entry] = {}
        self._requests: dict[str, _Request] = {}
        self._capacity = capacity
        """How many requests may wait."""
        self._open = False
        self._ready = False
        self._closed = False
        self._user = ""
        self._token = 0
        self._limit = 0
        self._ids = 0
        self._due: list[Moment] = []

    # What the driver asks

    def wake_in(self, now: Now) -> float | None:
        """In how many seconds to call `tick`; `None` when nothing is waited for."""
        return min((TICK, *(moment.left(now) for moment in self._due))) if self._due else None

    def position(self, channel: str) -> Position | None:
        """Where this client stands in a channel, if that is known."""
        entry = self._entries.get(channel)
        return None if entry is None else entry.position

    def has(self, channel: str) -> bool:
        """Whether the channel is still wanted: the server may have closed it."""
        return channel in self._entries

    def next_id(self) -> str:
        """An id for a request."""
        self._ids += 1
        return f"{OWN}{self._ids}"

    # Events from the app

    def subscribe(
        self, channel: str, now: Now, *, presence: bool = False, since: Position | None = None
    ) -> list[Effect]:
        """Somebody wants the channel; `presence`: with who is there; `since`: from there on, as after a return.

        Nothing happens when it is there already, and a place that it has is kept.
        """
        if self._closed:
            return [Unsubscribed(channel, "closed")]
        entry = self._entries.setdefault(channel, _Entry(channel))
        entry.position = entry.position or since
        if entry.wanted and (entry.presence or not presence):
            return []
        entry.wanted = True
        entry.presence = entry.presence or presence
        return entry.restart() + self._flush(now)

    def unsubscribe(self, channel: str, now: Now) -> list[Effect]:
        """Nobody wants it any more."""
        entry = self._entries.get(channel)
        if entry is None:
            return []
        entry.wanted = entry.presence = False
        entry.position = None
        entry.restart()
        return self._flush(now)

    def request(self, request: str, text: str, now: Now) -> list[Effect]:
        """Ask for something; `text` is the frame with this id in it, and goes out once."""
        if self._closed:
            return [Fail(request, "closed")]
        waiting = sum(not each.sent for each in self._requests.values())
        if not self._ready and waiting >= self._capacity:
            return [Fail(request, "queue_full")]
        self._requests[request] = _Request(text)
        return self._flush(now)

    def withdraw(self, request: str) -> bool:
        """Nobody waits for the answer any more; whether it had been sent."""
        found = self._requests.pop(request, None)
        return found is not None and found.sent

    def close(self) -> list[Effect]:
        """The connection is over for good."""
        self._closed = True
        self.hold()
        effects = self._fail("lost", sent=True) + self._fail("closed", sent=False)
        effects += [Unsubscribed(channel, "closed") for channel in self._entries]
        self._entries.clear()
        return effects

    # Events from the connection

    def ready(self, token: int, limit: int, now: Now) -> list[Effect]:
        """Requests may go out, of so many bytes: after the welcome, and each renewal. The server has this token."""
        effects: list[Effect] = []
        is_renewed = self._open or token > self._token
        for entry in self._entries.values():
            if is_renewed and entry.phase is Phase.IDLE:
                effects += entry.restart()
        self._open = True
        self._token = token
        self._limit = limit
        self._ready = True
        return effects + self._flush(now)

    def hold(self) -> None:
        """Nothing may be sent just now: the grace has begun, or the server has said `bye`."""
        self._ready = False
        self._due = []

    def lost(self) -> list[Effect]:
        """The socket is gone."""
        self._open = False
        self.hold()
        effects = self._fail("lost", sent=True)
        for entry in tuple(self._entries.values()):
            entry.held = False
            if not entry.wanted:
                del self._entries[entry.channel]
            elif entry.phase is not Phase.IDLE or entry.at is not None:
                effects += entry.restart()
        return effects

    def user(self, user: str) -> list[Effect]:
        """Who is signed in; nothing of anybody else's is kept."""
        is_another = self._user not in ("", user)
        self._user = user
        if not is_another:
            return []
        self.hold()
        effects = self._fail("another_user", sent=False)
        for entry in self._entries.values():
            entry.position = None
            effects += entry.restart()
        return effects

    def tick(self, now: Now) -> list[Effect]:
        """Time has passed."""
        return self._flush(now) if any(moment.reached(now) for moment in self._due) else []

    def received(self, frame: Received, now: Now, unit: float) -> list[Effect]:
        """The server sent a frame."""
        match frame:
            case wire.Event() | frames.Unsubscribed() | frames.PresenceJoined() | frames.PresenceLeft():
                entry = self._entries.get(frame.channel)
                if entry is None or entry.phase is not Phase.SUBSCRIBED:
                    return []
                return self._told(entry, frame, now, unit)
            case frames.Subscribed():
                return self._subscribed(frame)
            case frames.Ok(request, result):
                found = self._requests.pop(str(request), None)
                return [] if found is None else [Answer(str(request), result)]
            case frames.Error():
                return self._errored(frame, now, unit)
            case _:
                return []

    # Frames

    def _subscribed(self, frame: frames.Subscribed) -> list[Effect]:
        entry = self._entries.get(frame.channel)
        # Without an id nobody has asked: the server has lost its place, and starts over.
        expected = Phase.SUBSCRIBED if frame.id is None else Phase.ASKED
        if entry is None or entry.phase is not expected or frame.id not in (None, entry.id):
            return []
        since = entry.position if frame.recovered else None
        recovered = since is not None and since.epoch == frame.position.epoch
        position = since if since is not None and recovered else frame.position
        entry.phase = Phase.SUBSCRIBED
        entry.position = position
        entry.members = list(frame.presence or ())
        told: list[Effect] = [Subscribed(frame.channel, recovered, position)]
        return told if frame.presence is None else [*told, Present(frame.channel, frame.presence)]

    def _told(
        self,
        entry: _Entry,
        frame: wire.Event | frames.Unsubscribed | frames.PresenceJoined | frames.PresenceLeft,
        now: Now,
        unit: float,
    ) -> list[Effect]:
        match frame:
            case wire.Event():
                return self._event(entry, frame, now, unit)
            case frames.Unsubscribed(channel, reason):
                entry.held = False
                entry.phase = Phase.IDLE
                if reason == "channel_closed":
                    del self._entries[channel]
                return [Unsubscribed(channel, reason)]
            case frames.PresenceJoined(channel, member) | frames.PresenceLeft(channel, member):
                others = [each for each in entry.members if each.connection != member.connection]
                entry.members = [*others, member] if isinstance(frame, frames.PresenceJoined) else others
                return [Present(channel, entry.members)]

    def _event(self, entry: _Entry, event: wire.Event, now: Now, unit: float) -> list[Effect]:
        assert entry.position is not None  # it is subscribed
        step = event.offset - entry.position.offset
        if step <= 0:
            return []
        if step == 1:
            entry.failures = 0
            entry.position = Position(entry.position.epoch, event.offset)
            return [event]
        told = entry.restart()
        # The first time at once; a server that does it again and again is not asked again and again.
        if entry.failures > 0:
            entry.at = after(now, backoff(entry.failures, unit))
        entry.failures += 1
        return told + self._flush(now)

    def _errored(self, frame: frames.Error, now: Now, unit: float) -> list[Effect]:
        seconds = (frame.retry_after_ms or 0) / 1000
        request = self._requests.get(str(frame.id))
        if request is not None:
            # It crossed with the beginning of the grace and went nowhere, so it may wait for its end.
            request.sent = frame.code != "auth_required" or self._ready
            if not request.sent:
                return []
            del self._requests[str(frame.id)]
            return [Fail(str(frame.id), frame.code, frame.message, seconds)]
        for entry in self._entries.values():
            if entry.phase is not Phase.ASKED or entry.id != frame.id:
                continue
            entry.phase = Phase.IDLE
            entry.held = frame.code in ("auth_required", "already_subscribed")
            if not entry.held and frame.code != "try_later" and frame.retry_after_ms is None:
                return [Refused(entry.channel, frame.code, frame.message)]
            entry.at = after(now, seconds or backoff(entry.failures, unit))
            entry.failures += 0 if seconds else 1
            return self._flush(now)
        return []

    # What they share

    def _fail(self, code: str, *, sent: bool) -> list[Effect]:
        """Fail the requests that were sent, or those that were not."""
        failed = [request for request, each in self._requests.items() if each.sent is sent]
        for request in failed:
            del self._requests[request]
        return [Fail(request, code) for request in failed]

    def _flush(self, now: Now) -> list[Effect]:
        """Send what is due, if anything may be sent."""
        effects: list[Effect] = []
        self._due = []
        if not self._ready:
            return effects
        for entry in tuple(self._entries.values()):
            if entry.at is None:
                continue
            if entry.at.reached(now):
                effects += self._ask(entry, now)
            else:
                self._due.append(entry.at)
        for request, waiting in tuple(self._requests.items()):
            if not waiting.sent:
                waiting.sent = True
                effects += self._transmit(request, waiting.text, now)
        return effects

    def _ask(self, entry: _Entry, now: Now) -> list[Effect]:
        channel = entry.channel
        effects: list[Effect] = []
        if entry.held:
            request = self.next_id()
            effects += self._transmit(request, wire.unsubscribe(request, channel), now)
        if not entry.wanted:
            del self._entries[channel]
            return effects
        entry.phase = Phase.ASKED
        entry.at = None
        entry.held = True
        entry.id = self.next_id()
        text = wire.subscribe(entry.id, channel, entry.position, presence=entry.presence)
        return effects + self._transmit(entry.id, text, now)

    def _transmit(self, request: str, text: str, now: Now) -> list[Effect]:
        """The server would end the connection for a frame that is too large."""
        if len(text.encode()) <= self._limit:
            return [Send(text)]
        return self._errored(frames.Error("frame_too_large", "", request), now, 0.0)

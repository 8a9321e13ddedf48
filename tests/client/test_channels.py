"""Whatever happens: no publication twice, none out of order, none missing that nobody was told of."""

from __future__ import annotations

from collections import deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from holdfast.client import channels, wire
from holdfast.client.channels import ChannelMachine
from holdfast.client.timing import Now
from holdfast.core.channel import Stream
from holdfast.core.policy import Retention
from holdfast.protocol import frames
from holdfast.protocol.codec import HoldfastV1
from holdfast.protocol.frames import Position

CODEC = HoldfastV1()
KEPT = Retention(size=4, seconds=1e9)
CHANNELS = ("a", "b")
channel_names = st.sampled_from(CHANNELS)
units = st.floats(0, 0.999)


class Server:
    """What the other end does: a faithful one but for `moods`, and for what the test does to its frames."""

    def __init__(self) -> None:
        self.lives = 0
        self.streams: dict[str, Stream] = {}
        self.subscribed: set[str] = set()
        self.grace = False
        self.moods: deque[str] = deque()
        """How the next subscribes are answered."""
        self.taken: list[str] = []
        """The ids of the publishes that were done."""
        self.out: deque[frames.ServerFrame] = deque()

    def stream(self, channel: str) -> Stream:
        if channel not in self.streams:
            self.lives += 1
            self.streams[channel] = Stream(f"e{self.lives}")
        return self.streams[channel]

    def publish(self, channel: str) -> Position:
        stream = self.stream(channel)
        data = f'"{channel} {stream.epoch} {stream.offset + 1}"'
        done = stream.publish(data, retention=KEPT, now=0.0)
        if channel in self.subscribed:
            self.out.append(frames.Event(channel, stream.offset, data))
        return done.position

    def take(self, text: str) -> None:
        frame = CODEC.decode(text)
        assert isinstance(frame, frames.ChannelRequest)
        channel = frame.channel
        if self.grace:
            self.out.append(frames.Error("auth_required", "", frame.id))
            return
        match frame:
            case frames.Subscribe():
                self._subscribe(frame)
            case frames.Unsubscribe():
                self.subscribed.discard(channel)
                self.out.append(frames.Ok(frame.id, {}))
            case frames.Publish():
                self.taken.append(str(frame.id))
                self.out.append(frames.Published(frame.id, self.publish(channel)))

    def _subscribe(self, frame: frames.Subscribe) -> None:
        mood = self.moods.popleft() if self.moods else ""
        if frame.channel in self.subscribed:
            mood = "already_subscribed"
        if mood:
            self.out.append(frames.Error(mood, "", frame.id))
            return
        self.subscribed.add(frame.channel)
        found = self.stream(frame.channel).recover(frame.since, now=0.0)
        self.out.append(
            frames.Subscribed(frame.channel, found.position, found.recovered, True, None, frame.id)
        )
        for missed in found.publications:
            self.out.append(frames.Event(frame.channel, missed.offset, missed.data))


class Whatever(RuleBasedStateMachine):
    """A client, a server, and a link between them on which everything may happen."""

    def __init__(self) -> None:
        super().__init__()
        self.server = Server()
        self.client = ChannelMachine(3)
        self.connected = False
        self.token = 1
        self.time = 0.0
        self.in_flight: deque[str] = deque()
        self.at: dict[str, Position] = {}
        """How far the app has been told, by channel."""
        self.open: set[str] = set()
        self.settled: dict[str, str] = {}
        """The app's requests, and what came of them."""

    @property
    def now(self) -> Now:
        return Now(self.time, self.time)

    def do(self, effects: list[channels.Effect]) -> None:
        for effect in effects:
            match effect:
                case channels.Send(text):
                    assert self.connected, "nothing is sent without a socket"
                    self.in_flight.append(text)
                case channels.Answer(request):
                    self._settle(request, "done")
                case channels.Fail(request, code):
                    self._settle(request, code)
                case channels.Subscribed(channel, recovered, position):
                    if recovered:
                        assert self.at[channel] == position, "it goes on from where the app is"
                    self.at[channel] = position
                case wire.Event(channel, offset, data):
                    at = self.at[channel]
                    assert offset == at.offset + 1, "none twice, none out of order, none left out"
                    assert data == f"{channel} {at.epoch} {offset}", "of this life of the channel"
                    self.at[channel] = Position(at.epoch, offset)

    def _settle(self, request: str, how: str) -> None:
        assert request in self.open, "each request is settled once"
        self.open.discard(request)
        self.settled[request] = how

    # The app

    @initialize()
    def begin(self) -> None:
        self.do(self.client.user("u1"))
        for channel in CHANNELS:
            self.subscribe(channel)
        self.connect()

    @rule(channel=channel_names)
    def subscribe(self, channel: str) -> None:
        self.do(self.client.subscribe(channel, self.now))

    @rule(channel=channel_names)
    def unsubscribe(self, channel: str) -> None:
        self.do(self.client.unsubscribe(channel, self.now))
        self.at.pop(channel, None)

    @rule(channel=channel_names)
    def ask(self, channel: str) -> None:
        request = self.client.next_id()
        self.open.add(request)
        self.do(self.client.request(request, wire.publish(request, channel, 1, None), self.now))

    @rule(user=st.sampled_from(["u1", "u2"]))
    def sign_in(self, user: str) -> None:
        self.do(self.client.user(user))

    @rule(seconds=st.floats(0, 100))
    def wait(self, seconds: float) -> None:
        self.time += seconds
        self.do(self.client.tick(self.now))

    # The link

    @precondition(lambda self: not self.connected)
    @rule()
    def connect(self) -> None:
        self.connected = True
        self.do(self.client.ready(self.token, 65_536, self.now))

    @precondition(lambda self: self.connected)
    @rule()
    def cut(self) -> None:
        self.connected = self.server.grace = False
        self.in_flight.clear()
        self.server.out.clear()
        self.server.subscribed.clear()
        self.do(self.client.lost())

    @precondition(lambda self: self.in_flight)
    @rule()
    def arrive(self) -> None:
        self.server.take(self.in_flight.popleft())

    @precondition(lambda self: self.server.out)
    @rule(unit=units)
    def hear(self, unit: float) -> None:
        match self.server.out.popleft():
            case frames.AuthGrace():
                self.client.hold()
            case frames.AuthOk():
                self.do(self.client.ready(self.token, 65_536, self.now))
            case frame:
                text = CODEC.encode(frame)
                assert text is not None
                self.do(self.client.received(wire.read(text), self.now, unit))

    @rule(steps=st.integers(1, 30))
    def flow(self, steps: int) -> None:
        """Let the link do its work for a while."""
        for _ in range(steps):
            if self.in_flight:
                self.arrive()
            if self.server.out:
                self.hear(0.5)

    # The server

    @rule(channel=channel_names, count=st.integers(1, 6), steps=st.integers(0, 20))
    def publish(self, channel: str, count: int, steps: int) -> None:
        for _ in range(count):
            self.server.publish(channel)
        self.flow(steps)

    @rule(mood=st.sampled_from(["forbidden", "try_later", "too_many_channels"]))
    def be_moody(self, mood: str) -> None:
        self.server.moods.append(mood)

    @precondition(lambda self: self.connected and not self.server.grace)
    @rule()
    def begin_grace(self) -> None:
        self.server.grace = True
        self.server.out.append(frames.AuthGrace(30.0))

    @precondition(lambda self: self.connected)
    @rule()
    def renew(self) -> None:
        self.token += 1
        self.server.grace = False
        self.server.out.append(frames.AuthOk(900.0, 600.0))

    @precondition(lambda self: self.server.subscribed)
    @rule(reason=st.sampled_from(["revoked", "channel_closed"]))
    def end_one(self, reason: str) -> None:
        channel = sorted(self.server.subscribed)[0]
        self.server.subscribed.discard(channel)
        self.server.out.append(frames.Unsubscribed(channel, reason))

    @rule(channel=channel_names)
    def lose_its_place(self, channel: str) -> None:
        self.server.streams.pop(channel, None)
        if channel in self.server.subscribed:
            position = self.server.stream(channel).position
            self.server.out.append(frames.Subscribed(channel, position, False, True))

    @precondition(lambda self: self.connected)
    @rule()
    def start_again(self) -> None:
        self.server.streams.clear()
        self.cut()

    # What no faithful server does

    @precondition(lambda self: any(isinstance(frame, frames.Event) for frame in self.server.out))
    @rule(which=st.integers(0, 20), times=st.sampled_from([0, 2]))
    def swallow_or_double_an_event(self, which: int, times: int) -> None:
        places = [place for place, frame in enumerate(self.server.out) if isinstance(frame, frames.Event)]
        place = places[which % len(places)]
        frame = self.server.out[place]
        del self.server.out[place]
        for _ in range(times):
            self.server.out.insert(place, frame)

    @invariant()
    def nothing_is_done_twice(self) -> None:
        assert len(self.server.taken) == len(set(self.server.taken))
        for request, how in self.settled.items():
            if how == "done":
                assert request in self.server.taken
            elif how != "lost":
                assert request not in self.server.taken

    def teardown(self) -> None:
        """When peace returns, everybody is where the channel is, and every request is settled."""
        self.server.moods.clear()
        if not self.connected:
            self.connect()
        self.renew()
        self._settle_down()
        for channel in CHANNELS:
            self.subscribe(channel)
        for _ in range(60):
            self._settle_down()
            for channel in CHANNELS:
                self.server.publish(channel)
            self._settle_down()
            self.wait(100.0)
        assert not self.open
        for channel in CHANNELS:
            assert self.at[channel] == self.server.stream(channel).position

    def _settle_down(self) -> None:
        while self.in_flight or self.server.out:
            self.flow(10)


TestWhatever = Whatever.TestCase
TestWhatever.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)

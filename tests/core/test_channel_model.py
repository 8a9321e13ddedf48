"""A channel and its subscribers against a model that keeps everything for ever and looks it all up."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from holdfast.core.channel import KEY_SECONDS, Stream
from holdfast.core.policy import Retention
from holdfast.protocol.frames import Position, Publication

KEYS = st.sampled_from(["a", "b", "c"])


@dataclass
class Life:
    """Everything that was ever published in one life of the channel."""

    epoch: str
    published: list[tuple[str, float]] = field(default_factory=list)
    keys: dict[str, tuple[int, float]] = field(default_factory=dict)

    def kept(self, retention: Retention, now: float) -> list[int]:
        """Offsets of what must still be there."""
        newest = range(1, len(self.published) + 1)[-retention.size :] if retention.size else range(0)
        return [offset for offset in newest if self.published[offset - 1][1] + retention.seconds > now]

    def publications(self, offsets: list[int]) -> tuple[Publication, ...]:
        return tuple(Publication(offset, self.published[offset - 1][0]) for offset in offsets)


@dataclass
class Subscriber:
    """A client: what it was given, and since when it knows of no gap."""

    position: Position | None = None
    connected: bool = False
    record: list[tuple[str, int]] = field(default_factory=list)
    """Epoch and offset of every event, in the order in which they came."""
    whole_since: tuple[str, int] = ("", 0)


class ChannelMachine(RuleBasedStateMachine):
    positions = Bundle("positions")
    subscribers = Bundle("subscribers")

    @initialize(
        size=st.integers(0, 4),
        seconds=st.sampled_from([0.0, 10.0, 50.0, 2 * KEY_SECONDS]),
        at=st.just(1000.0),
    )
    def start(self, size: int, seconds: float, at: float) -> None:
        self.retention = Retention(size=size, seconds=seconds)
        self.now = at
        self.lives = 0
        self.all: list[Subscriber] = []
        self.new_life()

    def new_life(self) -> None:
        self.lives += 1
        self.life = Life(f"e{self.lives}")
        self.stream = Stream(self.life.epoch)

    # What happens

    @rule(seconds=st.sampled_from([0.0, 1.0, 9.0, 10.0, 49.0, 50.0, KEY_SECONDS - 1, KEY_SECONDS]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(target=positions, key=st.none() | KEYS)
    def publish(self, key: str | None) -> Position:
        data = f'"{self.life.epoch}/{len(self.life.published) + 1}"'
        offset, at = self.life.keys.get(key or "", (0, -KEY_SECONDS))
        known = at + KEY_SECONDS > self.now and key is not None
        appended = self.stream.publish(data, retention=self.retention, now=self.now, key=key)
        if known:
            assert appended.publication is None
            assert appended.position == Position(self.life.epoch, offset)
            return appended.position
        self.life.published.append((data, self.now))
        newest = len(self.life.published)
        if key is not None:
            self.life.keys[key] = (newest, self.now)
        assert appended.publication == Publication(newest, data)
        assert appended.position == Position(self.life.epoch, newest)
        for subscriber in self.all:
            if subscriber.connected:
                self.tell(subscriber, appended.publication)
        return appended.position

    @rule(target=subscribers)
    def somebody_comes(self) -> Subscriber:
        subscriber = Subscriber()
        self.all.append(subscriber)
        return subscriber

    @rule(subscriber=subscribers)
    def subscribe(self, subscriber: Subscriber) -> None:
        """The client comes (back) with what position it has."""
        if subscriber.connected:
            return
        answer = self.stream.recover(subscriber.position, now=self.now)
        subscriber.connected = True
        if answer.recovered:
            for publication in answer.publications:
                self.tell(subscriber, publication)
        else:
            assert answer.publications == ()
            subscriber.whole_since = (answer.position.epoch, answer.position.offset)
        assert subscriber.position == answer.position or not answer.recovered
        subscriber.position = answer.position

    @rule(subscriber=subscribers)
    def the_socket_is_cut(self, subscriber: Subscriber) -> None:
        subscriber.connected = False

    @rule()
    def the_server_is_killed(self) -> None:
        for subscriber in self.all:
            subscriber.connected = False
        self.new_life()

    # What is read

    @rule(position=positions, limit=st.integers(1, 5), ahead=st.integers(-1, 2))
    def read_after(self, position: Position, limit: int, ahead: int) -> None:
        since = Position(position.epoch, max(0, position.offset + ahead))
        kept = self.life.kept(self.retention, self.now)
        missed = self.missed(since)
        page = self.stream.read(since, limit=limit, now=self.now)
        assert page.recovered == (missed is not None)
        assert page.publications == self.life.publications((kept if missed is None else missed)[:limit])
        answer = self.stream.recover(since, now=self.now)
        assert answer.recovered == (missed is not None)
        assert answer.publications == self.life.publications(missed or [])

    @rule(limit=st.integers(1, 5))
    def read_the_newest(self, limit: int) -> None:
        kept = self.life.kept(self.retention, self.now)
        page = self.stream.read(None, limit=limit, now=self.now)
        assert page.publications == self.life.publications(kept[-limit:])
        assert not page.recovered

    def missed(self, since: Position) -> list[int] | None:
        """All that came after a position; `None` if it cannot be had whole."""
        newest = len(self.life.published)
        if since.epoch != self.life.epoch or since.offset > newest:
            return None
        missed = list(range(since.offset + 1, newest + 1))
        return missed if set(missed) <= set(self.life.kept(self.retention, self.now)) else None

    def tell(self, subscriber: Subscriber, publication: Publication) -> None:
        assert publication.data == f'"{self.life.epoch}/{publication.offset}"'
        subscriber.record.append((self.life.epoch, publication.offset))
        subscriber.position = Position(self.life.epoch, publication.offset)

    # What a client may rely on

    @invariant()
    def a_connected_subscriber_has_everything_since_it_was_last_told_of_a_gap(self) -> None:
        for subscriber in self.all:
            if subscriber.connected:
                epoch, offset = subscriber.whole_since
                assert epoch == self.life.epoch
                wanted = [(epoch, number) for number in range(offset + 1, len(self.life.published) + 1)]
                assert subscriber.record[len(subscriber.record) - len(wanted) :] == wanted

    @invariant()
    def nobody_was_given_anything_twice_or_out_of_order(self) -> None:
        for subscriber in self.all:
            told = [(int(epoch[1:]), offset) for epoch, offset in subscriber.record]
            assert told == sorted(set(told))

    @invariant()
    def what_is_kept_is_what_must_be(self) -> None:
        assert self.stream.position == Position(self.life.epoch, len(self.life.published))
        kept = self.stream.read(None, limit=1_000, now=self.now).publications
        assert kept == self.life.publications(self.life.kept(self.retention, self.now))


TestChannel = ChannelMachine.TestCase

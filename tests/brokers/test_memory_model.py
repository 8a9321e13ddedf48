"""Channels that are forgotten and come back, against a log of everything that ever happened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Coroutine
from typing import Any, NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from holdfast.brokers import Memory, MemoryBroker
from holdfast.brokers.bound import SMALL
from holdfast.brokers.memory import FORGET_SECONDS, MOST_BYTES
from holdfast.core.channel import KEY_SECONDS, History
from holdfast.core.policy import Retention
from holdfast.protocol.frames import Position, Publication

CHANNELS = st.sampled_from(["a", "b", "c", "d", "e"])
KEYS = st.none() | st.sampled_from(["k", "l"])
TIGHT = 4 * SMALL
"""So little that a few large publications do not fit."""


class CountingRandom:
    """Every token is another."""

    drawn = 0

    def token(self, nbytes: int) -> bytes:
        self.drawn += 1
        return self.drawn.to_bytes(nbytes, "big")

    def unit(self) -> float:
        return 0.5


def run(verb: Coroutine[Any, Any, Any]) -> Any:
    """What a verb that never waits returns."""
    try:
        verb.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")


class Given(NamedTuple):
    """A position as a client may have kept it, and what the world was like when it got it."""

    channel: str
    position: Position
    count: int
    held: int | None


class MemoryMachine(RuleBasedStateMachine):
    seen = Bundle("seen")

    @initialize(
        size=st.integers(0, 3),
        seconds=st.sampled_from([0.0, 10.0, 2 * FORGET_SECONDS]),
        most=st.sampled_from([MOST_BYTES, TIGHT]),
    )
    def start(self, size: int, seconds: float, most: int) -> None:
        self.retention = Retention(size=size, seconds=seconds)
        self.now = 1000.0
        self.log: dict[str, list[tuple[Position, str]]] = defaultdict(list)
        self.told: dict[str, list[tuple[Position, str]]] = defaultdict(list)
        self.subscribed: dict[str, int] = {}
        self.subscriptions = 0
        self.held: dict[str, int] = {}
        """The number of the subscription that holds a channel just now."""
        self.keys: dict[tuple[str, str], list[tuple[Position, float]]] = defaultdict(list)
        self.most = most
        self.memory = Memory(CountingRandom(), most_bytes=most)
        self.broker = MemoryBroker(CountingRandom(), self.memory)
        run(self.broker.start(self))

    # As a listener

    def published(self, channel: str, publication: Publication, epoch: str) -> None:
        self.told[channel].append((Position(epoch, publication.offset), publication.data))

    def lost(self, *_: object) -> None:
        raise AssertionError("memory loses nothing")

    joined = left = lost

    # What happens

    @rule(seconds=st.sampled_from([1.0, 10.0, KEY_SECONDS - 1, FORGET_SECONDS]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    def given(self, channel: str, position: Position) -> Given:
        return Given(channel, position, len(self.log[channel]), self.held.get(channel))

    @rule(target=seen, channel=CHANNELS, key=KEYS, size=st.sampled_from([0, 2_000, SMALL, 3 * SMALL]))
    def publish(self, channel: str, key: str | None, size: int) -> Given:
        data = str(sum(map(len, self.log.values()))) + " " * size
        position = run(self.broker.publish(channel, data, retention=self.retention, now=self.now, key=key))
        known = self.keys[channel, key or ""] if key else []
        if position in [before for before, _ in self.log[channel]]:
            before, at = known[-1]
            assert before == position
            assert at + KEY_SECONDS > self.now
            count = [place for place, _ in self.log[channel]].index(position) + 1
            return Given(channel, position, count, None)
        if known and self.most == MOST_BYTES:
            assert known[-1][1] + KEY_SECONDS <= self.now, "published twice with room for its key"
        known.append((position, self.now))
        self.log[channel].append((position, data))
        return self.given(channel, position)

    @rule(target=seen, channel=CHANNELS)
    def look(self, channel: str) -> Given:
        position = run(self.broker.recover(channel, None, now=self.now)).position
        return self.given(channel, position)

    @rule(channel=CHANNELS)
    def subscribe(self, channel: str) -> None:
        run(self.broker.subscribe(channel, now=self.now))
        self.subscribed.setdefault(channel, len(self.log[channel]))
        self.subscriptions += 1
        self.held.setdefault(channel, self.subscriptions)
        self.told[channel] = self.log[channel][self.subscribed[channel] :]

    @rule(channel=CHANNELS)
    def unsubscribe(self, channel: str) -> None:
        run(self.broker.unsubscribe(channel, now=self.now))
        self.subscribed.pop(channel, None)
        self.held.pop(channel, None)
        self.told[channel] = []

    @rule(seen=seen)
    def recover(self, seen: Given) -> None:
        answer: History = run(self.broker.recover(seen.channel, seen.position, now=self.now))
        missed = self.log[seen.channel][seen.count :]
        if answer.recovered:
            recovered = [(Position(seen.position.epoch, it.offset), it.data) for it in answer.publications]
            assert recovered == missed
        else:
            held_all_the_while = seen.held is not None and seen.held == self.held.get(seen.channel)
            assert missed or not held_all_the_while

    @invariant()
    def what_is_kept_is_counted_and_within_the_bound(self) -> None:
        bound, streams = self.memory._bound, self.memory._streams
        for kind in (bound.new, bound.left, bound.followed):
            mine = {channel: stream for channel, stream in streams.items() if stream.kind is kind}
            assert kind.weight == sum(stream.weight + kind.base for stream in mine.values())
            placed = {channel for level in (*kind.levels, kind.empty or {}) for channel in level}
            assert placed == {channel for channel in mine if mine[channel].weight + kind.base}
            for channel, stream in mine.items():
                assert stream.at_least <= stream.weight < stream.below
                assert stream.level is None or channel in stream.level
                assert (channel in self.subscribed) is (kind is bound.followed)
        assert bound.weight == bound.new.weight + bound.left.weight + bound.followed.weight <= self.most

    # What a node may rely on

    @invariant()
    def a_subscribed_node_was_told_everything_once_and_in_order(self) -> None:
        for channel, count in self.subscribed.items():
            assert self.told[channel] == self.log[channel][count:]

    @invariant()
    def the_epoch_of_a_subscribed_channel_stays(self) -> None:
        for channel in self.subscribed:
            assert len({position.epoch for position, _ in self.told[channel]}) <= 1


TestMemory = MemoryMachine.TestCase

from __future__ import annotations

import ctypes

import pytest

from holdfast.core import channel
from holdfast.core.channel import KEY_SECONDS, Appended, Stream
from holdfast.core.policy import Retention
from holdfast.protocol.frames import Position, Publication

T0 = 1_000_000.0
KEPT = Retention(size=3, seconds=60.0)
EVERYTHING = Retention(size=1_000, seconds=1_000_000.0)


def a_stream(publications: int = 0, *, retention: Retention = EVERYTHING, at: float = T0) -> Stream:
    stream = Stream("e1")
    for number in range(1, publications + 1):
        stream.publish(f'"p{number}"', retention=retention, now=at)
    return stream


def offsets(history: channel.History) -> list[int]:
    return [publication.offset for publication in history.publications]


def test_offsets_begin_at_1_and_rise_by_1():
    stream = a_stream()
    assert stream.position == Position("e1", 0)
    for offset in (1, 2, 3):
        appended = stream.publish(f"{offset}", retention=KEPT, now=T0)
        assert appended == Appended(Position("e1", offset), Publication(offset, f"{offset}"))
    assert stream.position == Position("e1", 3)


def test_offsets_rise_where_nothing_is_kept():
    stream = a_stream(2, retention=Retention())
    assert stream.position == Position("e1", 2)
    assert offsets(stream.read(None, limit=10, now=T0)) == []


def test_all_that_was_missed_is_recovered_as_it_was_published():
    recovered = a_stream(4).recover(Position("e1", 2), now=T0)
    assert recovered.recovered
    assert recovered.position == Position("e1", 4)
    assert recovered.publications == (Publication(3, '"p3"'), Publication(4, '"p4"'))


def test_who_has_missed_nothing_has_recovered():
    recovered = a_stream(4, retention=Retention()).recover(Position("e1", 4), now=T0)
    assert (recovered.recovered, recovered.publications) == (True, ())


def test_a_subscriber_from_before_the_first_publication_recovers():
    assert offsets(a_stream(2).recover(Position("e1", 0), now=T0)) == [1, 2]


@pytest.mark.parametrize(("since", "recovered"), [(1, False), (2, True), (3, True)])
def test_recovery_is_of_all_that_was_missed_or_of_nothing(since: int, recovered: bool):
    """Of five, the last three are kept."""
    answer = a_stream(5, retention=KEPT).recover(Position("e1", since), now=T0)
    assert answer.recovered is recovered
    assert offsets(answer) == ([*range(since + 1, 6)] if recovered else [])


@pytest.mark.parametrize(
    "since",
    [None, Position("e0", 3), Position("e1", 6), Position("e0", 0)],
    ids=["none", "another life", "the future", "the start of another life"],
)
def test_a_position_that_means_nothing_recovers_nothing(since: Position | None):
    answer = a_stream(5).recover(since, now=T0)
    assert (answer.recovered, answer.publications) == (False, ())
    assert answer.position == Position("e1", 5)


@pytest.mark.parametrize(("after", "kept"), [(59.0, [1, 2]), (60.0, [2]), (61.0, [2])])
def test_a_publication_is_too_old_on_the_second(after: float, kept: list[int]):
    stream = a_stream(1, retention=KEPT)
    stream.publish("2", retention=KEPT, now=T0 + 30)
    assert offsets(stream.read(None, limit=10, now=T0 + after)) == kept


@pytest.mark.parametrize(("after", "recovered"), [(59.0, True), (60.0, False), (61.0, False)])
def test_what_is_too_old_is_not_recovered(after: float, recovered: bool):
    assert a_stream(2, retention=KEPT).recover(Position("e1", 1), now=T0 + after).recovered is recovered


def test_what_is_kept_goes_by_the_newest_retention():
    stream = a_stream(5)
    stream.publish("6", retention=Retention(size=2, seconds=60.0), now=T0)
    assert offsets(stream.read(None, limit=10, now=T0)) == [5, 6]


def test_history_is_the_newest_oldest_first():
    history = a_stream(5).read(None, limit=2, now=T0)
    assert offsets(history) == [4, 5]
    assert not history.recovered


def test_history_is_no_longer_than_there_is():
    assert offsets(a_stream(2).read(None, limit=10, now=T0)) == [1, 2]
    assert offsets(a_stream(0).read(None, limit=10, now=T0)) == []


def test_history_can_be_read_page_by_page():
    stream, since, pages = a_stream(5), Position("e1", 0), []
    while page := stream.read(since, limit=2, now=T0).publications:
        pages.append([publication.offset for publication in page])
        since = Position("e1", page[-1].offset)
    assert pages == [[1, 2], [3, 4], [5]]


def test_a_page_without_a_gap_is_recovered():
    page = a_stream(5, retention=KEPT).read(Position("e1", 2), limit=2, now=T0)
    assert (page.recovered, offsets(page), page.position.offset) == (True, [3, 4], 5)


@pytest.mark.parametrize("since", [Position("e1", 1), Position("e0", 4), Position("e1", 9)])
def test_a_page_after_a_gap_begins_with_the_oldest_that_is_kept(since: Position):
    page = a_stream(5, retention=KEPT).read(since, limit=2, now=T0)
    assert (page.recovered, offsets(page)) == (False, [3, 4])


def test_a_key_publishes_once():
    stream = a_stream(1)
    first = stream.publish("1", retention=KEPT, now=T0, key="k")
    stream.publish("2", retention=KEPT, now=T0)
    assert stream.publish("3", retention=KEPT, now=T0, key="k") == Appended(first.position, None)
    assert stream.position.offset == 3


@pytest.mark.parametrize(("after", "known"), [(-1.0, True), (0.0, False), (1.0, False)])
def test_a_key_is_forgotten_on_the_second(after: float, known: bool):
    stream = a_stream()
    stream.publish("1", retention=KEPT, now=T0, key="k")
    again = stream.publish("2", retention=KEPT, now=T0 + KEY_SECONDS + after, key="k")
    assert (again.publication is None) is known


def test_a_key_outlives_the_publication_that_it_came_with():
    stream = a_stream()
    stream.publish("1", retention=Retention(), now=T0, key="k")
    assert stream.publish("1", retention=Retention(), now=T0, key="k") == Appended(Position("e1", 1), None)


def test_only_so_many_keys_are_remembered(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(channel, "KEYS_KEPT", 2)
    stream = a_stream()
    for key in ("a", "b", "c"):
        stream.publish("1", retention=KEPT, now=T0, key=key)
    known = [stream.publish("1", retention=KEPT, now=T0, key=key).publication is None for key in "cba"]
    assert known == [True, True, False]


def test_a_stream_is_idle_once_nothing_is_kept():
    stream = a_stream(2, retention=KEPT)
    assert stream.idle_since(T0 + 59) is None
    assert stream.idle_since(T0 + 60) == T0


def test_a_retention_keeps_only_with_a_size_and_a_time():
    assert Retention(size=1, seconds=1.0).keeps
    assert not Retention(size=1).keeps
    assert not Retention(seconds=1.0).keeps


@pytest.mark.parametrize(
    ("size", "oldest", "newest"),
    [(100, [1, 2, 3], [1, 2, 3]), (7, [1, 2], [3]), (6, [1, 2], [3]), (3, [1], [3]), (0, [1], [3])],
)
def test_a_page_is_cut_to_what_fits_but_never_to_nothing(size: int, oldest: list[int], newest: list[int]):
    stream = Stream("e1")
    for data in ("111", "222", "3333333"):
        stream.publish(data, retention=EVERYTHING, now=T0)
    page = stream.read(Position("e1", 0), limit=10, now=T0)
    assert offsets(page.within(size, newest=False)) == oldest
    assert offsets(page.within(size, newest=True)) == newest
    assert page.within(size, newest=True).position == page.position


def test_an_empty_page_stays_empty():
    assert offsets(a_stream().read(None, limit=1, now=T0).within(10, newest=True)) == []


def test_a_page_is_cut_by_the_bytes_that_are_sent():
    stream = a_stream()
    for _ in range(3):
        stream.publish('"ыы"', retention=Retention(size=10, seconds=60), now=T0)  # 6 bytes
    page = stream.read(None, limit=3, now=T0)
    assert offsets(page.within(12, newest=True)) == [2, 3]
    assert offsets(page.within(11, newest=True)) == [3]


def test_who_comes_back_for_what_was_shed_recovers_nothing_and_the_others_all():
    stream = a_stream(4)
    stream.shed(stream.weight // 2, T0)
    assert not stream.recover(Position("e1", 1), now=T0).recovered
    assert offsets(stream.recover(Position("e1", 2), now=T0)) == [3, 4]
    stream.shed(stream.weight, T0)
    assert not stream.recover(Position("e1", 3), now=T0).recovered
    assert stream.recover(Position("e1", 4), now=T0).recovered
    stream.publish('"p5"', retention=EVERYTHING, now=T0)
    assert offsets(stream.recover(Position("e1", 4), now=T0)) == [5]


def test_what_is_shed_is_no_more_than_it_must_be():
    stream = a_stream(4)
    stream.shed(1, T0)
    assert offsets(stream.read(None, limit=10, now=T0)) == [2, 3, 4]
    stream.shed(10 * stream.weight, T0)
    assert stream.weight == 0


def test_what_is_too_old_is_shed_before_anything_else():
    stream = a_stream()
    stream.publish("1", retention=EVERYTHING, now=T0, key="old")
    stream.publish("2", retention=EVERYTHING, now=T0 + 1, key="young")
    stream.shed(1, T0 + KEY_SECONDS)
    assert offsets(stream.read(None, limit=10, now=T0 + KEY_SECONDS)) == [1, 2]
    assert stream.publish("2", retention=EVERYTHING, now=T0 + KEY_SECONDS, key="young").publication is None


def test_keys_are_shed_after_all_publications_and_the_oldest_first():
    stream = a_stream()
    for key in ("a", "b", "c"):
        stream.publish("1", retention=EVERYTHING, now=T0, key=key)
    stream.shed(3 * (channel.PUBLICATION_WEIGHT + 1), T0)
    assert offsets(stream.read(None, limit=10, now=T0)) == []
    assert stream.publish("1", retention=EVERYTHING, now=T0, key="a").publication is None
    stream.shed(1, T0)
    known = [stream.publish("1", retention=EVERYTHING, now=T0, key=key).publication is None for key in "cba"]
    assert known == [True, True, False]


def test_what_is_forgotten_weighs_nothing():
    """Publications by number, by age and all at once, and keys by age and by number."""
    stream = a_stream()
    empty = stream.weight
    for number in range(10):
        stream.publish('"xyz"', retention=KEPT, now=T0, key=f"k{number}")
    assert stream.weight > empty
    stream.publish('"xyz"', retention=KEPT, now=T0 + KEY_SECONDS, key="last")
    stream.publish("", retention=Retention(), now=T0 + KEY_SECONDS)
    with_one_key = stream.weight
    stream.publish('"xyz"', retention=Retention(), now=T0 + 2 * KEY_SECONDS, key="last")
    assert stream.weight == with_one_key > empty
    stream.shed(stream.weight, T0 + 2 * KEY_SECONDS)
    assert stream.weight == empty


@pytest.mark.parametrize(("after", "gone"), [(-1.0, False), (0.0, True), (1.0, True)])
@pytest.mark.parametrize("verb", ["publish", "recover", "read", "idle_since"])
def test_whatever_happens_to_a_channel_takes_its_old_keys_away(verb: str, after: float, gone: bool):
    stream = a_stream()
    empty = stream.weight
    stream.publish("1", retention=Retention(), now=T0, key="k")
    now = T0 + KEY_SECONDS + after
    {
        "publish": lambda: stream.publish("2", retention=Retention(), now=now),
        "recover": lambda: stream.recover(None, now=now),
        "read": lambda: stream.read(None, limit=1, now=now),
        "idle_since": lambda: stream.idle_since(now),
    }[verb]()
    assert (stream.weight == empty) is gone


@pytest.mark.parametrize(("letter", "width"), [("a", 1), ("é", 1), ("ж", 2), ("漢", 2), ("😀", 4)])
def test_a_text_weighs_what_its_widest_character_makes_of_it(letter: str, width: int):
    stream = a_stream()
    empty = stream.weight
    stream.publish(f'"{"a" * 9_998}{letter}"', retention=EVERYTHING, now=T0)
    assert stream.weight - empty == pytest.approx(10_000 * width, abs=500)
    stream.publish("1", retention=Retention(), now=T0, key=letter * 1_000)
    assert stream.weight - empty == pytest.approx(1_000 * width, abs=500)


def test_a_text_weighs_the_same_when_it_goes():
    """C code asks for a text's UTF-8, which Python then keeps with it."""
    stream = a_stream()
    empty = stream.weight
    data = f'"{"ж" * 1_000}"'
    stream.publish(data, retention=EVERYTHING, now=T0)
    before = data.__sizeof__()
    ctypes.pythonapi.PyUnicode_AsUTF8AndSize(ctypes.py_object(data), None)
    assert data.__sizeof__() > before
    stream.shed(1, T0)
    assert stream.weight == empty

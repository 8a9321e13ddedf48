from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.client.machine import FINAL, Effect, Grant, Refresh, SessionMachine, State
from holdfast.client.timing import TICK, Now

GRANT = Grant("s1", 1, expires_in=900.0, refresh_in=600.0)


def at(seconds: float) -> Now:
    return Now(seconds, seconds)


@pytest.mark.parametrize(
    ("seconds", "usable"), [(899, True), (899.999, True), (900, False), (900.001, False)]
)
def test_a_token_is_usable_until_the_moment_it_expires(seconds: float, usable: bool) -> None:
    session = SessionMachine()
    assert not session.usable(at(0))
    session.signed_in(GRANT, at(0), 0.5)
    assert session.usable(at(seconds)) is usable


def test_what_the_token_has_left_is_told() -> None:
    session = SessionMachine()
    assert session.expires_in(at(0)) is None
    session.signed_in(GRANT, at(0), 0.5)
    assert session.expires_in(at(100)) == 800
    assert session.expires_in(at(1000)) == 0
    session.signed_out()
    assert session.expires_in(at(1000)) is None


def test_only_the_refresh_under_way_is_wanted() -> None:
    session = SessionMachine()
    session.signed_in(GRANT, at(0), 0.5)
    assert not session.wants(1)
    session.tick(at(600))
    assert session.wants(1)
    assert not session.wants(0)
    session.adopted(Grant("s1", 2, expires_in=900.0), at(601), 0.5)
    assert not session.wants(1)


def test_why_it_is_over_is_known_until_the_next_sign_in() -> None:
    session = SessionMachine()
    assert session.over()
    session.signed_in(GRANT, at(0), 0.5)
    session.due(at(1))
    session.refused(1, "token_reused", at(2), 0.5)
    assert (session.over(), session.reason) == (True, "token_reused")
    session.signed_in(GRANT, at(3), 0.5)
    assert (session.over(), session.reason) == (False, "")


GRANTS = st.builds(
    Grant,
    st.sampled_from(["s1", "s2"]),
    st.integers(0, 5),
    st.floats(0, 1e5),
    st.none() | st.floats(0, 1e5),
    st.floats(0, 5),
)
EVENTS = st.one_of(
    st.tuples(st.just("resume")),
    st.tuples(st.just("signed_out")),
    st.tuples(st.sampled_from(["tick", "wake"])),
    st.tuples(st.just("due"), st.integers(0, 5)),
    st.tuples(st.sampled_from(["signed_in", "adopted"]), GRANTS),
    st.tuples(st.just("refreshed"), st.integers(0, 5), GRANTS),
    st.tuples(st.just("refused"), st.integers(0, 5), st.sampled_from([*FINAL, "throttled", ""])),
    st.tuples(st.just("failed"), st.integers(0, 5), st.none() | st.floats(0, 1e6)),
)
STEPS = st.lists(
    st.tuples(EVENTS, st.floats(-3600, 1e5), st.floats(0, 1e5), st.floats(0, 0.999999)), max_size=40
)


@given(STEPS)
@settings(max_examples=300, deadline=None)
def test_whatever_happens_the_rules_hold(steps: list[tuple[tuple[object, ...], float, float, float]]) -> None:
    """Single flight, bounded waits, and no end that nobody has ordered; the wall clock may jump back."""
    session = SessionMachine()
    wall = mono = 0.0
    for event, wall_moves, mono_moves, unit in steps:
        wall, mono = wall + wall_moves, mono + mono_moves
        now = Now(wall, mono)
        was, attempts, tokens = session.state, session.attempt, session.token
        effects = _happen(session, event, now, unit)

        started = [effect for effect in effects if isinstance(effect, Refresh)]
        assert len(started) <= 1
        assert session.attempt == attempts + len(started)
        assert not (started and was is State.REFRESHING)
        assert (session.state is State.REFRESHING) == session.wants(session.attempt)
        assert tokens <= session.token <= tokens + 1

        wait = session.wake_in(now)
        assert wait is None or 0 <= wait <= TICK
        assert (wait is not None) == (session.state in (State.ACTIVE, State.DEGRADED))

        if session.over() and was not in (State.SIGNED_OUT, State.ENDED):
            assert event[0] == "signed_out" or (event[0] == "refused" and event[-1] in FINAL)


def _happen(session: SessionMachine, event: tuple[object, ...], now: Now, unit: float) -> list[Effect]:
    match event:
        case ("resume",):
            return session.resume()
        case ("signed_out",):
            return session.signed_out()
        case ("tick",):
            return session.tick(now)
        case ("wake",):
            return session.wake(now)
        case ("due", int(token)):
            return session.due(now, token)
        case ("signed_in", Grant() as grant):
            return session.signed_in(grant, now, unit)
        case ("adopted", Grant() as grant):
            return session.adopted(grant, now, unit)
        case ("refreshed", int(attempt), Grant() as grant):
            return session.refreshed(attempt, grant, now, unit)
        case ("refused", int(attempt), str(code)):
            return session.refused(attempt, code, now, unit)
        case ("failed", int(attempt), (None | float()) as retry_after):
            return session.failed(attempt, now, unit, retry_after)
        case _:
            raise AssertionError(event)

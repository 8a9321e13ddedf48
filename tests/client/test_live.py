from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.client import live_effects as live
from holdfast.client.live import LiveMachine, LiveState
from holdfast.client.live_effects import Denial
from holdfast.client.timing import TICK, Now
from holdfast.client.wire import Farewell
from holdfast.protocol.endings import TABLE, Action
from holdfast.protocol.frames import AuthDue, AuthGrace, AuthOk, Error, Limits, Message, Ping, Pong, Welcome

WELCOME = Welcome("c1", "s1", "u1", 900, 600, 30, 25, Limits(65536, 100))
OWN_IDS = st.none() | st.integers(1, 6).map(lambda number: f"holdfast:{number}")
FRAMES = st.one_of(
    st.just(WELCOME),
    st.just(AuthDue(300)),
    st.just(AuthGrace(30)),
    st.builds(AuthOk, st.just(900.0), st.just(600.0), OWN_IDS),
    st.builds(
        Error,
        st.sampled_from(["try_later", "invalid_token", "token_expired", "bad_frame"]),
        st.just("m"),
        OWN_IDS,
        st.none() | st.integers(0, 10_000),
    ),
    st.builds(
        Farewell, st.just(4999), st.just("r"), st.sampled_from(Action), st.none() | st.integers(0, 10_000)
    ),
    st.builds(Pong, OWN_IDS),
    st.just(Ping()),
    st.just(Message(1)),
)
SOCKETS = st.integers(-1, 1)
"""From the present one: an older one, this one, one that never was."""
EVENTS = st.one_of(
    st.tuples(st.sampled_from(["connect", "wake", "tick", "session_over"])),
    st.tuples(st.just("token_available"), st.integers(1, 6)),
    st.tuples(st.just("opened"), SOCKETS, st.integers(1, 6)),
    st.tuples(st.just("received"), SOCKETS, FRAMES),
    st.tuples(
        st.just("closed"), SOCKETS, st.sampled_from([(ending.code, ending.reason) for ending in TABLE])
    ),
    st.tuples(st.just("denied"), SOCKETS, st.sampled_from([200, 302, 401, 404, 429, 503])),
)
STEPS = st.lists(
    st.tuples(EVENTS, st.floats(-3600, 100), st.floats(0, 100), st.floats(0, 0.999999)), max_size=60
)


@given(STEPS)
@settings(max_examples=400, deadline=None)
def test_whatever_happens_the_rules_hold(steps: list[tuple[tuple[Any, ...], float, float, float]]) -> None:
    """One socket at a time, each closed before the next; only the ready one sends; never without an end in sight."""
    machine = LiveMachine()
    wall = mono = 0.0
    closed: set[int] = set()
    for event, wall_moves, mono_moves, unit in steps:
        wall, mono = wall + wall_moves, mono + mono_moves
        now = Now(wall, mono)
        was, present = machine.state, machine.socket
        effects = _happen(machine, event, now, unit)
        # An HTTP answer to a handshake that has been through is not of this world, and the machine ignores it.
        over = event[0] == "closed" or (event[0] == "denied" and was is LiveState.CONNECTING)
        if over and event[1] == 0:
            closed.add(present)

        for effect in effects:
            match effect:
                case live.Open(socket):
                    assert socket == 1 or socket - 1 in closed, "the last socket was not closed"
                case live.Close(socket):
                    assert socket == present
                    assert socket not in closed
                    closed.add(socket)
                case live.SendAuth(socket) | live.SendPing(socket) | live.SendPong(socket):
                    assert socket == machine.socket
                    assert machine.state in (LiveState.PROVING, LiveState.READY, LiveState.GRACE)
                case live.Deliver():
                    assert was in (LiveState.READY, LiveState.GRACE)

        wait = machine.wake_in(now)
        assert wait is None or 0 <= wait <= TICK
        if machine.state in (LiveState.CONNECTING, LiveState.PROVING, LiveState.READY, LiveState.GRACE):
            assert wait is not None, "nothing would ever find out that this socket is dead"
        assert machine.may_send() == (machine.state is LiveState.READY)
        if was is LiveState.STOPPED:
            assert effects == []


def _happen(machine: LiveMachine, event: tuple[Any, ...], now: Now, unit: float) -> list[live.Effect]:
    match event:
        case ("connect",):
            return machine.connect(now)
        case ("wake",):
            return machine.wake(now)
        case ("tick",):
            return machine.tick(now, unit)
        case ("session_over",):
            return machine.session_over("session_ended")
        case ("token_available", token):
            return machine.token_available(token, now)
        case ("opened", offset, token):
            return machine.opened(machine.socket + offset, token, now)
        case ("received", offset, frame):
            return machine.received(machine.socket + offset, frame, now, unit)
        case ("closed", offset, (code, reason)):
            return machine.closed(machine.socket + offset, code, reason, now, unit)
        case ("denied", offset, status):
            return machine.denied(machine.socket + offset, 1, Denial(status), now, unit)
        case _:
            raise AssertionError(event)


def test_closing_twice_says_nothing_twice() -> None:
    machine = LiveMachine()
    machine.connect(Now(0, 0))
    assert live.Close(1) in machine.close()
    assert machine.close() == []

"""What real sockets do seldom: stall, vanish at a bad moment, arrive as the server leaves."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

import pytest

from holdfast.asgi.burst import Burst
from holdfast.asgi.driver import HELD_BYTES, INBOX_MESSAGES, Driver
from holdfast.asgi.lane import EXTENSION
from holdfast.asgi.live import live_dependency
from holdfast.core.policy import LivePolicy
from holdfast.errors import ConnectionEnded, MisuseError
from holdfast.ports import AuditEvent
from holdfast.protocol import endings

DEADLINE = 20.0


async def test_a_peer_that_stopped_reading_is_closed_all_the_same_and_the_app_is_told(
    node, live, fake_socket
):
    socket = fake_socket()
    async with live(node, socket) as connection:
        socket.flowing.clear()
        sending = asyncio.ensure_future(connection.send_json({"n": 1}))
        await asyncio.sleep(0)
        (driver,) = node.connections
        driver.end(endings.REVOKED)
        async with asyncio.timeout(DEADLINE):
            await driver.closed()
            with pytest.raises(ConnectionEnded):
                await sending
    assert socket.sent[-1] == {"type": "websocket.close", "code": 4001, "reason": "Session ended: revoked."}


async def test_one_stalled_peer_does_not_keep_another_from_being_revoked(node, live, fake_socket):
    stalled, healthy = fake_socket(), fake_socket()
    async with live(node, stalled) as one, live(node, healthy):
        stalled.flowing.clear()
        sending = asyncio.ensure_future(one.send_json({"n": 1}))
        await asyncio.sleep(0)
        node.hear(AuditEvent(kind="session.revoked", at=0, session_id="s", data={"reason": "signed_out"}))
        await healthy.until(lambda: healthy.sent[-1]["type"] == "websocket.close")
        assert stalled.sent[-1]["type"] != "websocket.close"
        await asyncio.gather(sending, return_exceptions=True)


async def test_of_many_revoked_at_once_all_are_closed_before_any_is_logged(
    node, monkeypatch, live, fake_socket, caplog
):
    caplog.set_level(logging.INFO, "holdfast.live")
    sockets = [fake_socket() for _ in range(50)]
    closed_by_then: list[int] = []

    class Log:
        def info(self, event: str, **_: Any) -> None:
            if event == "connection ended":
                closed_by_then.append(sum(each.sent[-1]["type"] == "websocket.close" for each in sockets))

    async with contextlib.AsyncExitStack() as stack:
        for socket in sockets:
            await stack.enter_async_context(live(node, socket))
        monkeypatch.setattr("holdfast.asgi.timeline.log", Log())
        node.hear(AuditEvent(kind="session.revoked", at=0, session_id="s", data={"reason": "signed_out"}))
        await sockets[0].until(lambda: len(closed_by_then) == 50)
    assert set(closed_by_then) == {50}


async def test_the_first_token_is_not_kept(node, live, fake_socket):
    socket = fake_socket(query="token=ann:kept-by-nobody")
    async with live(node, socket) as connection:
        driver = node.connections.get(connection.id)
        values = [getattr(driver, name, None) for name in driver.__slots__]
        kept = [value for value in values if "ann:kept-by-nobody" in str(value)]
        assert kept == []


async def test_a_session_revoked_while_its_token_was_being_checked_gets_no_connection(
    node, live, fake_socket
):
    node.prover.revoked.add("s")
    socket = fake_socket()
    with pytest.raises(ConnectionEnded):
        async with live(node, socket):
            pytest.fail("the block must not begin")
    assert socket.sent[-1]["reason"] == "Session ended: signed out."
    assert len(node.connections) == 0


async def test_keys_that_cannot_be_fetched_say_try_later_and_not_that_the_token_is_bad(
    node, live, fake_socket
):
    node.prover.down = True
    socket = fake_socket()
    with pytest.raises(ConnectionEnded):
        async with live(node, socket):
            pytest.fail("the block must not begin")
    assert (socket.sent[-1]["code"], socket.frames()[-1]["action"]) == (1013, "reconnect")


async def test_an_outage_of_the_keys_leaves_a_lease_in_hand_alone(node, live, fake_socket):
    socket = fake_socket()
    async with live(node, socket) as connection:
        node.prover.down = True
        socket.say({"type": "auth", "id": 1, "token": "ann"})
        await socket.until(lambda: socket.frames()[-1]["type"] == "error")
        assert socket.frames()[-1]["code"] == "try_later"
        assert connection.state == "ready"


async def test_a_server_that_is_leaving_takes_nobody_new(node, live, fake_socket):
    await node.drain()
    socket = fake_socket()
    with pytest.raises(ConnectionEnded):
        async with live(node, socket):
            pytest.fail("the block must not begin")
    assert socket.sent[-1]["code"] == 1012


async def test_hours_pass_and_renewals_keep_the_connection(node, clock, live, fake_socket):
    socket = fake_socket()
    async with live(node, socket) as connection:
        for hour in range(8):
            for _ in range(60):
                socket.say({"type": "pong"})
                await clock.advance(20)
                socket.say({"type": "pong"})
                await clock.advance(20)
                socket.say({"type": "auth", "id": hour, "token": "ann"})
                await clock.advance(20)
        assert connection.state == "ready"
        assert not any(m["type"] == "websocket.close" for m in socket.sent)
    assert socket.sent[-1]["code"] == 1000


async def test_an_app_that_does_not_read_makes_its_client_wait_and_not_the_server(node, live, fake_socket):
    socket = fake_socket()
    async with live(node, socket) as connection:
        for number in range(INBOX_MESSAGES):
            node.connections.get(connection.id).inbox.put({"n": number})
        socket.say({"id": "late", "n": 0})
        await socket.until(lambda: socket.frames()[-1]["type"] == "error")
        busy = socket.frames()[-1]
        assert (busy["code"], busy["id"], busy["retry_after_ms"]) == ("busy", "late", 1000)
        socket.say({"type": "auth", "id": 1, "token": "ann"})
        await socket.until(lambda: socket.frames()[-1]["type"] == "auth.ok")
        assert await connection.receive_json() == {"n": 0}


async def test_an_app_that_does_not_read_is_kept_few_large_messages(node, live, fake_socket):
    """Their JSON may take 25 times as much once it is read."""
    socket = fake_socket()
    async with live(node, socket) as connection:
        for number in range(6):
            socket.say({"id": number, "text": "x" * 60_000})
        await socket.until(lambda: socket.frames()[-1].get("id") == 5)
        busy = [frame["id"] for frame in socket.frames() if frame.get("code") == "busy"]
        assert busy == [4, 5]
        assert [(await connection.receive_json())["id"] for _ in range(4)] == [0, 1, 2, 3]


async def test_messages_from_before_the_end_are_still_handed_to_the_app(node, live, fake_socket):
    socket = fake_socket()
    async with live(node, socket) as connection:
        for number in range(3):
            socket.say({"n": number})
        socket.incoming.put_nowait({"type": "websocket.disconnect", "code": 1001})
        assert [message["n"] async for message in connection] == [0, 1, 2]
        assert connection.state == "ended"
        with pytest.raises(ConnectionEnded):
            await connection.send_json({"too": "late"})


async def test_a_connection_leaves_every_index_with_its_end(node, live, fake_socket):
    socket = fake_socket(query="token=ann:s1")
    async with live(node, socket):
        assert len(node.connections.of_session("s1")) == len(node.connections.of_user("ann")) == 1
        socket.say({"type": "auth", "token": "ann:s2"})
        await socket.until(lambda: node.connections.of_session("s2"))
        assert node.connections.of_session("s1") == []
    assert len(node.connections) == 0
    assert node.connections.of_session("s2") == node.connections.of_user("ann") == []


async def test_without_the_extension_for_answers_a_refusal_before_the_accept_is_a_bare_close(
    make_node, fake_socket, monkeypatch
):
    logged: list[dict[str, Any]] = []
    monkeypatch.setattr(
        "holdfast.asgi.handshake.log.info", lambda event, **said: logged.append({"event": event, **said})
    )
    node = make_node(refuse_over_http=True)
    socket = fake_socket(query="token=bad")
    with pytest.raises(ConnectionEnded):
        await Driver(node, socket.scope).open(socket.receive, socket.send)
    assert [message["type"] for message in socket.sent] == ["websocket.close"]
    assert [(line["event"], line["carrier"]) for line in logged] == [("token refused", "query")]


async def test_a_message_that_would_pass_for_a_frame_of_the_protocol_is_refused_to_the_app(
    node, live, fake_socket
):
    from holdfast.errors import ReservedFrameError

    socket = fake_socket()
    async with live(node, socket) as connection:
        with pytest.raises(ReservedFrameError, match=r"app\.bye"):
            await connection.send_json({"type": "bye", "code": 4001})
        await connection.send_json({"type": "app.bye"})


async def test_the_timeline_tells_what_happened_in_order(node, clock, live, fake_socket):
    socket = fake_socket()
    async with live(node, socket):
        (driver,) = node.connections
        await clock.advance(60)
        socket.say({"type": "auth", "token": "ann"})
        await socket.until(lambda: len(driver.timeline) > 2)
    assert [moment.what for moment in driver.timeline] == ["proven", "due", "renewed", "ended"]


async def test_a_peer_that_stopped_reading_does_not_outlive_its_lease(make_node, clock, live, fake_socket):
    """Nothing that is sent to it comes through, its own warnings of expiry included."""
    node = make_node(policy=LivePolicy(grace=0, ping_interval=1000))
    await node.start()
    socket = fake_socket()
    async with live(node, socket) as connection:
        socket.flowing.clear()
        await clock.advance(99)
        assert connection.state == "due"
        await clock.advance(1)
        assert connection.state == "ended"
        (driver,) = [*node.connections] or [None]
        assert driver is None
        await socket.until(lambda: socket.sent[-1]["type"] == "websocket.close")
    assert socket.sent[-1]["code"] == 4003
    await node.aclose()


async def test_a_peer_that_does_not_read_is_ended_once_too_much_waits_for_it(make_node, live, fake_socket):
    node = make_node(policy=LivePolicy(max_backlog_bytes=1000))
    await node.start()
    socket = fake_socket()
    async with live(node, socket) as connection:
        (driver,) = node.connections
        socket.flowing.clear()
        for _ in range(10):
            driver.outlet.push("x" * 100)
        assert connection.state == "ready"
        for _ in range(2):
            driver.outlet.push("x" * 100)
        assert connection.state == "ended"
        await socket.until(lambda: socket.sent[-1]["type"] == "websocket.close")
    assert socket.sent[-1]["code"] == 4008
    await node.aclose()


async def test_a_server_that_fails_to_read_is_taken_for_a_peer_that_has_gone(node, live, fake_socket):
    socket = fake_socket()

    async def broken() -> dict[str, Any]:
        if socket.incoming.empty():
            raise RuntimeError("the transport is gone")
        return await socket.incoming.get()

    socket.receive = broken
    async with live(node, socket) as connection:
        with pytest.raises(ConnectionEnded):
            await connection.receive_json()
    assert len(node.connections) == 0


async def test_frames_behind_a_token_that_is_being_checked_are_taken_after_it(node, live, fake_socket):
    """Or a message right behind a renewal would be refused, or overtake it."""
    checked = asyncio.Event()
    known = node.prover.authenticate

    async def slowly(token: str) -> Any:
        await checked.wait()
        return await known(token)

    socket = fake_socket()
    async with live(node, socket) as connection:
        node.prover.authenticate = slowly
        socket.say({"type": "auth", "id": 1, "token": "ann"})
        socket.say({"n": 1})
        reading = asyncio.ensure_future(connection.receive_json())
        await asyncio.sleep(0)
        assert not reading.done()
        checked.set()
        assert await reading == {"n": 1}
        assert [frame["type"] for frame in socket.frames()] == ["welcome", "auth.ok"]


async def test_a_text_that_is_no_unicode_is_the_callers_mistake(node, live, fake_socket):
    socket = fake_socket()
    async with live(node, socket) as connection:
        with pytest.raises(ValueError, match="surrogate"):
            await connection.send_json({"text": "\ud800"})
        await connection.send_json({"text": "fine"})
    assert socket.frames()[1] == {"text": "fine"}


async def test_the_host_that_a_trusted_proxy_forwards_is_the_servers_own(make_node, live, fake_socket):
    node = make_node(host_of=lambda _: "app.example")
    await node.start()
    socket = fake_socket()
    socket.scope["headers"] = [(b"host", b"10.0.0.7:8000"), (b"origin", b"https://app.example")]
    async with live(node, socket) as connection:
        assert connection.state == "ready"
    await node.aclose()


async def test_what_comes_while_a_token_is_checked_is_bounded_in_bytes_too(node, fake_socket):
    """Nobody is proven yet, and to wait for an outside issuer's keys may take seconds."""
    socket = fake_socket(query="")
    lane = FakeLane()
    socket.scope["extensions"] = {EXTENSION: {"lane": lane}}
    checked = asyncio.Event()

    async def slowly(_token: str) -> Any:
        await checked.wait()

    node.prover.authenticate = slowly
    driver = Driver(node, socket.scope)
    opening = asyncio.ensure_future(driver.open(socket.receive, socket.send))
    await socket.until(lambda: lane.receiver is not None)
    lane.receiver.received('{"type":"auth","token":"ann"}')
    large = "x" * node.policy.max_frame_bytes
    for _ in range(HELD_BYTES // len(large)):
        lane.receiver.received(large)
    assert lane.closed_with is None
    lane.receiver.received(large)
    assert lane.closed_with == 4009
    with pytest.raises(ConnectionEnded):
        await opening
    checked.set()


class FakeLane:
    """A lane that goes nowhere."""

    compressed = False
    closed = False

    def __init__(self) -> None:
        self.receiver: Any = None
        self.closed_with: int | None = None
        self.waiting = 0

    def adopt(self, receiver: Any) -> None:
        self.receiver = receiver

    def write(self, frames: bytes) -> None: ...

    def write_now(self, frames: bytes) -> int:
        self.waiting += len(frames)
        return self.waiting

    def backlog(self) -> int:
        return self.waiting

    def close(self, code: int, reason: str = "") -> None:  # noqa: ARG002  # a lane's own signature
        self.closed_with = code


async def test_over_a_lane_a_peer_that_does_not_read_is_ended_by_what_others_publish(make_node, fake_socket):
    node = make_node(policy=LivePolicy(max_backlog_bytes=1000))
    await node.start()
    socket, lane = fake_socket(), FakeLane()
    socket.scope["extensions"] = {EXTENSION: {"lane": lane}}
    driver = Driver(node, socket.scope)
    await driver.open(socket.receive, socket.send)
    driver.outlet.push_burst(Burst(["x" * 500]))
    assert lane.closed_with is None
    driver.outlet.push_burst(Burst(["x" * 500]))
    assert lane.closed_with == 4008
    await node.aclose()


async def test_connections_have_names_of_their_own_whatever_chance_there_is(
    node, monkeypatch, live, fake_socket
):
    """An app may seed `random`, and a `Random` of its own may always say the same."""
    monkeypatch.setattr(node.random, "unit", lambda: 0.5)
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(live(node, fake_socket()))
        assert len(node.connections) == len({driver.id for driver in node.connections}) == 3
    assert len(node.connections) == 0


async def test_a_dependency_ends_with_whatever_stack_its_framework_has(node, fake_socket):
    socket = fake_socket()
    async with contextlib.AsyncExitStack() as outer, contextlib.AsyncExitStack() as inner:
        socket.scope.update(outer=outer, inner=inner)
        await live_dependency(node)(socket)
        assert len(node.connections) == 1
        await inner.aclose()
        assert len(node.connections) == 0
    assert socket.sent[-1]["type"] == "websocket.close"


async def test_a_dependency_without_a_stack_to_end_with_is_not_begun(node, fake_socket):
    socket = fake_socket()
    with pytest.raises(MisuseError, match=r"hold\.websocket"):
        await live_dependency(node)(socket)
    assert (socket.sent, len(node.connections)) == ([], 0)


async def test_no_connection_is_made_before_its_node_has_started(node, monkeypatch, live, fake_socket):
    """Servers without a lifespan start it with their first connection, and until then it has no name of its own."""
    order: list[str] = []
    named = node.new_id

    async def be_started() -> None:
        order.append("started")

    monkeypatch.setattr(node, "be_started", be_started)
    monkeypatch.setattr(node, "new_id", lambda: order.append("named") or named())
    async with live(node, fake_socket()):
        assert order == ["started", "named"]

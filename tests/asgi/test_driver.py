"""What real sockets do seldom: stall, vanish at a bad moment, arrive as the server leaves."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from holdfast.asgi.clock import SystemRandom
from holdfast.asgi.driver import INBOX_MESSAGES, Driver
from holdfast.asgi.live import connected
from holdfast.asgi.node import Node
from holdfast.asgi.rules import Rules
from holdfast.brokers.memory import MemoryBroker
from holdfast.core.connection import Proof
from holdfast.core.policy import LivePolicy, Retention
from holdfast.errors import ConnectionEnded, SessionEnded, TokenInvalid, Unavailable
from holdfast.ports import AuditEvent
from holdfast.protocol import endings
from holdfast.testing.clock import ManualClock

DEADLINE = 20.0


@dataclass
class FakeProver:
    """Takes `user` or `user:session` as a token; anything that begins with `bad` is none."""

    clock: ManualClock
    lifetime: float = 100.0
    revoked: set[str] = field(default_factory=set)
    down: bool = False

    async def authenticate(self, token: str) -> Proof:
        if self.down:
            raise Unavailable("the keys cannot be fetched")
        if token.startswith("bad"):
            raise TokenInvalid(detail="it is bad")
        user, _, session = token.partition(":")
        expires_at = self.clock.now() + self.lifetime
        return Proof(user=user, name=user, issuer="x", expires_at=expires_at, session=session or "s")

    async def redeem_ticket(self, text: str, *, origin: str | None) -> Proof:
        raise TokenInvalid(detail=f"no ticket of {len(text)} characters from {origin}")

    def check_revoked(self, proof: Proof) -> None:
        if proof.session in self.revoked:
            raise SessionEnded(reason="signed_out")


class FakeSocket:
    """The server's side of ASGI, by hand."""

    def __init__(self, *, query: str = "token=ann", v1: bool = True, extensions: dict | None = None) -> None:
        self.scope: dict[str, Any] = {
            "type": "websocket",
            "path": "/ws",
            "query_string": query.encode(),
            "headers": [(b"host", b"testserver")],
            "subprotocols": ["holdfast.v1"] if v1 else [],
            "extensions": extensions or {},
            "client": ("192.0.2.1", 1),
        }
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: list[dict[str, Any]] = []
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.incoming.put_nowait({"type": "websocket.connect"})

    async def receive(self) -> dict[str, Any]:
        return await self.incoming.get()

    async def send(self, message: Any) -> None:
        if message["type"] == "websocket.send":
            await self.flowing.wait()
        self.sent.append(message)

    def say(self, message: Any) -> None:
        self.incoming.put_nowait({"type": "websocket.receive", "text": json.dumps(message)})

    def frames(self) -> list[dict[str, Any]]:
        return [json.loads(m["text"]) for m in self.sent if m["type"] == "websocket.send"]

    async def until(self, what) -> None:
        async with asyncio.timeout(DEADLINE):
            while not what():  # noqa: ASYNC110  # what is waited for is a list of the fake's
                await asyncio.sleep(0)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def node(clock):
    node = Node(
        prover=FakeProver(clock),
        clock=clock,
        random=SystemRandom(),
        policy=LivePolicy(),
        broker=MemoryBroker(SystemRandom()),
        rules=Rules(Retention()),
        drain_window=5,
    )
    await node.start()
    yield node
    await node.aclose()


def live(node: Node, socket: FakeSocket):
    return connected(node, socket.scope, socket.receive, socket.send)


async def test_a_peer_that_stopped_reading_is_closed_all_the_same_and_the_app_is_told(node):
    socket = FakeSocket()
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


async def test_one_stalled_peer_does_not_keep_another_from_being_revoked(node):
    stalled, healthy = FakeSocket(), FakeSocket()
    async with live(node, stalled) as one, live(node, healthy):
        stalled.flowing.clear()
        sending = asyncio.ensure_future(one.send_json({"n": 1}))
        await asyncio.sleep(0)
        node.hear(AuditEvent(kind="session.revoked", at=0, session_id="s", data={"reason": "signed_out"}))
        await healthy.until(lambda: healthy.sent[-1]["type"] == "websocket.close")
        assert stalled.sent[-1]["type"] != "websocket.close"
        await asyncio.gather(sending, return_exceptions=True)


async def test_of_many_revoked_at_once_all_are_closed_before_any_is_logged(node, monkeypatch):
    sockets = [FakeSocket() for _ in range(50)]
    closed_by_then: list[int] = []

    class Log:
        def info(self, event: str, **_: Any) -> None:
            if event == "connection ended":
                closed_by_then.append(sum(each.sent[-1]["type"] == "websocket.close" for each in sockets))

    async with contextlib.AsyncExitStack() as stack:
        for socket in sockets:
            await stack.enter_async_context(live(node, socket))
        monkeypatch.setattr("holdfast.asgi.driver.log", Log())
        node.hear(AuditEvent(kind="session.revoked", at=0, session_id="s", data={"reason": "signed_out"}))
        await sockets[0].until(lambda: len(closed_by_then) == 50)
    assert set(closed_by_then) == {50}


async def test_the_first_token_is_not_kept(node):
    socket = FakeSocket(query="token=ann:kept-by-nobody")
    async with live(node, socket) as connection:
        driver = node.connections.get(connection.id)
        kept = [value for value in vars(driver).values() if "ann:kept-by-nobody" in str(value)]
        assert kept == []


async def test_a_session_revoked_while_its_token_was_being_checked_gets_no_connection(node):
    node.prover.revoked.add("s")
    socket = FakeSocket()
    with pytest.raises(ConnectionEnded):
        async with live(node, socket):
            pytest.fail("the block must not begin")
    assert socket.sent[-1]["reason"] == "Session ended: signed out."
    assert len(node.connections) == 0


async def test_keys_that_cannot_be_fetched_say_try_later_and_not_that_the_token_is_bad(node):
    node.prover.down = True
    socket = FakeSocket()
    with pytest.raises(ConnectionEnded):
        async with live(node, socket):
            pytest.fail("the block must not begin")
    assert (socket.sent[-1]["code"], socket.frames()[-1]["action"]) == (1013, "reconnect")


async def test_an_outage_of_the_keys_leaves_a_lease_in_hand_alone(node):
    socket = FakeSocket()
    async with live(node, socket) as connection:
        node.prover.down = True
        socket.say({"type": "auth", "id": 1, "token": "ann"})
        await socket.until(lambda: socket.frames()[-1]["type"] == "error")
        assert socket.frames()[-1]["code"] == "try_later"
        assert connection.state == "ready"


async def test_a_server_that_is_leaving_takes_nobody_new(node):
    await node.drain()
    socket = FakeSocket()
    with pytest.raises(ConnectionEnded):
        async with live(node, socket):
            pytest.fail("the block must not begin")
    assert socket.sent[-1]["code"] == 1012


async def test_hours_pass_and_renewals_keep_the_connection(node, clock):
    socket = FakeSocket()
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


async def test_an_app_that_does_not_read_makes_its_client_wait_and_not_the_server(node):
    socket = FakeSocket()
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


async def test_messages_from_before_the_end_are_still_handed_to_the_app(node):
    socket = FakeSocket()
    async with live(node, socket) as connection:
        for number in range(3):
            socket.say({"n": number})
        socket.incoming.put_nowait({"type": "websocket.disconnect", "code": 1001})
        assert [message["n"] async for message in connection] == [0, 1, 2]
        assert connection.state == "ended"
        with pytest.raises(ConnectionEnded):
            await connection.send_json({"too": "late"})


async def test_a_connection_leaves_every_index_with_its_end(node):
    socket = FakeSocket(query="token=ann:s1")
    async with live(node, socket):
        assert len(node.connections.of_session("s1")) == len(node.connections.of_user("ann")) == 1
        socket.say({"type": "auth", "token": "ann:s2"})
        await socket.until(lambda: node.connections.of_session("s2"))
        assert node.connections.of_session("s1") == []
    assert len(node.connections) == 0
    assert node.connections.of_session("s2") == node.connections.of_user("ann") == []


async def test_without_the_extension_for_answers_a_refusal_before_the_accept_is_a_bare_close(clock):
    node = Node(
        prover=FakeProver(clock),
        clock=clock,
        random=SystemRandom(),
        policy=LivePolicy(),
        broker=MemoryBroker(SystemRandom()),
        rules=Rules(Retention()),
        refuse_over_http=True,
    )
    socket = FakeSocket(query="token=bad")
    with pytest.raises(ConnectionEnded):
        await Driver(node, socket.scope, socket.receive, socket.send).open()
    assert [message["type"] for message in socket.sent] == ["websocket.close"]


async def test_a_message_that_would_pass_for_a_frame_of_the_protocol_is_refused_to_the_app(node):
    from holdfast.errors import ReservedFrameError

    socket = FakeSocket()
    async with live(node, socket) as connection:
        with pytest.raises(ReservedFrameError, match=r"app\.bye"):
            await connection.send_json({"type": "bye", "code": 4001})
        await connection.send_json({"type": "app.bye"})


async def test_the_timeline_tells_what_happened_in_order(node, clock):
    socket = FakeSocket()
    async with live(node, socket):
        (driver,) = node.connections
        await clock.advance(60)
        socket.say({"type": "auth", "token": "ann"})
        await socket.until(lambda: len(driver.timeline) > 2)
    assert [moment.what for moment in driver.timeline] == ["proven", "due", "renewed", "ended"]

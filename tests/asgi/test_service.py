"""What becomes of an app's handlers: one for the messages of `/ws`, and one that is a live socket's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from holdfast import Holdfast, LiveSocket
from holdfast.asgi import service
from holdfast.asgi.fastlane import HttpProtocol, Protocol
from holdfast.errors import MisuseError
from holdfast.server.front import Front
from holdfast.testing.clock import ManualClock
from holdfast.testing.peer import Peer
from holdfast.testing.server import TEST_SECRET

OPTIONS: dict[str, dict[str, Any]] = {
    "fast lane": {"http": HttpProtocol, "ws": Protocol},
    "uvicorn's own": {"ws": "websockets-sansio"},
}
FRONTED = {"http": HttpProtocol, "ws": Protocol, "proxy_headers": False}
"""Of a server whose built-in endpoint is in front, where connections are taken without a call."""
PATHS = ("/ws", "/live")
DEADLINE = 20.0


class Site:
    """An app whose one handler is the test's own, for the messages of `/ws` and those of a live socket alike."""

    def __init__(self, hold: Holdfast, clock: ManualClock) -> None:
        self.hold = hold
        self.clock = clock
        self.url = ""
        self.handler: Callable[[LiveSocket, Any], Awaitable[None]] | None = None
        self.live: set[LiveSocket] = set()
        """Live sockets whose endpoint has not returned."""
        self._peers = AsyncExitStack()
        hold.on_message(self._handle)
        routes = [*hold.routes, hold.websocket("/live", self._live)]
        self.app = Starlette(routes=routes, lifespan=hold.lifespan)

    async def connect(self, path: str = "/ws", name: str = "ann") -> Peer:
        """A peer that is ready; it goes with the test."""
        grant = await self.hold.sign_in(name, name=name, client="program")
        peer = await Peer.connect(f"{self.url}{path}", token=grant.access_token)
        await self._peers.enter_async_context(peer)
        await peer.expect("welcome")
        return peer

    async def aclose(self) -> None:
        await self._peers.aclose()

    async def _live(self, socket: LiveSocket) -> None:
        self.live.add(socket)
        try:
            async for message in socket:
                await self._handle(socket, message)
        finally:
            self.live.discard(socket)

    async def _handle(self, socket: LiveSocket, message: Any) -> None:
        assert self.handler is not None
        await self.handler(socket, message)


async def until(what: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not what():  # noqa: ASYNC110  # what is waited for is told by nobody
            await asyncio.sleep(0.005)


def site_in(tmp_path: Path) -> Site:
    clock = ManualClock()
    hold = Holdfast(secret_key=TEST_SECRET, data_dir=tmp_path, clock=clock, access_token_expire_minutes=1)
    return Site(hold, clock)


@pytest.fixture(params=[*OPTIONS, "ready server"])
async def site(request: pytest.FixtureRequest, serving: Any, tmp_path: Path) -> AsyncIterator[Site]:
    site = site_in(tmp_path)
    if request.param == "ready server":
        server = serving(Front(site.app, site.hold.ws), **FRONTED)
    else:
        server = serving(site.app, **OPTIONS[request.param])
    async with server as site.url:
        yield site
        await site.aclose()


# Taking

HANDSHAKE = (
    "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: holdfast.v1\r\n"
    "Authorization: Bearer {token}\r\n\r\n"
)


async def test_one_that_cannot_be_begun_is_closed_and_counts_for_nothing(
    serving: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    site = site_in(tmp_path)
    async with serving(Front(site.app, site.hold.ws), **FRONTED) as site.url:
        grant = await site.hold.sign_in("ann", name="ann", client="program")
        with monkeypatch.context() as patch:
            patch.setattr("holdfast.protocol.codec._welcome", lambda _: 1 / 0)
            host, port = site.url.removeprefix("ws://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(HANDSHAKE.format(token=grant.access_token).encode())
            await asyncio.wait_for(reader.readuntil(b"\x88\x02\x03\xf3"), DEADLINE)
            assert list(site.hold.connections) == [], "until its peer answers the close"
            writer.close()
        assert "ZeroDivisionError" in caplog.text
        await site.connect()
        await site.aclose()


async def test_before_it_was_started_a_call_is_made_which_starts_it(serving: Any, tmp_path: Path) -> None:
    site = site_in(tmp_path)
    async with serving(Front(site.app, site.hold.ws), lifespan="off", **FRONTED) as site.url:
        peer = await Peer.connect(f"{site.url}/ws", token="no token")
        assert (await peer.closed()).code == 4003
        assert site.hold._node.is_running()
        await site.hold.aclose()
        assert not site.hold._node.is_running()


# Closing


@pytest.mark.parametrize("path", PATHS)
async def test_a_code_that_may_not_be_sent_closes_nothing_and_the_app_is_told(site: Site, path: str) -> None:
    async def close(socket: LiveSocket, message: Any) -> None:
        with pytest.raises(MisuseError, match="4000 to 4999"):
            await socket.close(message["code"], "for a reason")
        await socket.send_json({"still": str(socket.state), "ending": socket.ending})

    site.handler = close
    peer = await site.connect(path)
    for code in (400, 1004, 1005, 1006, 1015, 2999, 5000, 70_000, -1, 4000.0, "4000", None):
        await peer.send({"code": code})
        assert await peer.message() == {"still": "ready", "ending": None}


@pytest.mark.parametrize("path", PATHS)
async def test_an_app_that_does_not_look_is_closed_as_one_that_has_failed(site: Site, path: str) -> None:
    async def close(socket: LiveSocket, message: Any) -> None:
        await socket.close(message["code"])

    site.handler = close
    peer = await site.connect(path)
    await peer.send({"code": 1006})
    closed = await peer.closed()
    assert (closed.code, (closed.bye or {}).get("action")) == (1011, "reconnect")


@pytest.mark.parametrize("path", PATHS)
async def test_a_reason_that_is_too_long_is_cut(site: Site, path: str) -> None:
    async def close(socket: LiveSocket, message: Any) -> None:
        await socket.close(4400, message["why"])

    site.handler = close
    peer = await site.connect(path)
    await peer.send({"why": "н" * 200})
    closed = await peer.closed()
    assert (closed.code, closed.reason, (closed.bye or {}).get("reason")) == (4400, "н" * 61, "н" * 61)


# Failing


@pytest.mark.parametrize("path", PATHS)
async def test_the_end_of_another_socket_is_a_failure_of_the_handler_that_sends_to_it(
    site: Site, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    gone: list[LiveSocket] = []

    async def forward(socket: LiveSocket, message: Any) -> None:
        if message["n"] == 0:
            gone.append(socket)
        else:
            await gone[0].send_json(message)

    site.handler = forward
    other, peer = await site.connect(path), await site.connect(path)
    await other.send({"n": 0})
    await until(lambda: gone)
    await other.close()
    await until(lambda: gone[0].state == "ended")
    for number in (1, 2, 3):
        await peer.send({"n": number})
    assert (await peer.closed()).code == 1011
    assert "ConnectionEnded" in caplog.text


@pytest.mark.parametrize("path", PATHS)
async def test_the_end_of_its_own_is_none(site: Site, path: str, caplog: pytest.LogCaptureFixture) -> None:
    began: list[LiveSocket] = []

    async def answer(socket: LiveSocket, message: Any) -> None:
        began.append(socket)
        await until(lambda: socket.state == "ended")
        await socket.send_json(message)

    site.handler = answer
    leaving, banned = await site.connect(path), await site.connect(path, "bob")
    for peer in (leaving, banned):
        await peer.send({"n": 1})
    await until(lambda: len(began) == 2)
    await leaving.close()
    await site.hold.revoke(user="bob", reason="banned")
    assert (await banned.closed()).code == 4001
    await until(lambda: not site.hold._service._serving)
    assert not [record for record in caplog.records if record.exc_info]


async def test_something_cancelled_inside_a_handler_is_a_failure_like_any_other(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """Such as a look-up that two share, and the other one gave up."""

    async def look_up(_socket: LiveSocket, _message: Any) -> None:
        shared = asyncio.get_running_loop().create_future()
        shared.cancel()
        await shared

    site.handler = look_up
    peer = await site.connect()
    await peer.send({"n": 1})
    await peer.send({"n": 2})
    assert (await peer.closed()).code == 1011
    assert "handler failed" in caplog.text


# Ending with messages that wait


class Queue:
    """A handler that takes its time with the first message, and remembers all that it was given."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.go = asyncio.Event()
        self.socket: LiveSocket | None = None

    async def __call__(self, socket: LiveSocket, message: Any) -> None:
        self.socket = socket
        self.taken.append(message["n"])
        await self.go.wait()

    async def fill(self, peer: Peer, site: Site) -> None:
        """Return once the first of five messages is being answered, and the others wait."""
        site.handler = self
        for number in range(5):
            await peer.send({"n": number})
        await peer.send({"type": "ping", "id": "all are there"})
        await peer.expect("pong")
        await until(lambda: self.taken)

    async def empty(self, site: Site) -> None:
        """Let everything that is still to be done be done."""
        self.go.set()
        assert self.socket is not None
        assert self.socket.state == "ended"
        await until(lambda: not site.hold._service._serving and not site.live)


@pytest.mark.parametrize("path", PATHS)
async def test_nothing_that_waits_is_done_for_somebody_who_was_banned(site: Site, path: str) -> None:
    queue, peer = Queue(), await site.connect(path)
    await queue.fill(peer, site)
    await site.hold.revoke(user="ann", reason="banned")
    assert (await peer.closed()).code == 4001
    await queue.empty(site)
    assert queue.taken == [0]


@pytest.mark.parametrize("path", PATHS)
async def test_what_waits_is_done_for_somebody_whose_token_was_good_when_it_was_said(
    site: Site, path: str
) -> None:
    queue, peer = Queue(), await site.connect(path)
    await queue.fill(peer, site)
    await site.clock.advance(120)
    assert (await peer.closed()).code == 4003
    await queue.empty(site)
    assert queue.taken == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("path", PATHS)
async def test_what_waits_is_done_for_somebody_who_has_said_it_and_left(site: Site, path: str) -> None:
    queue, peer = Queue(), await site.connect(path)
    await queue.fill(peer, site)
    await peer.close(1001)
    await until(lambda: queue.socket is not None and queue.socket.state == "ended")
    await queue.empty(site)
    assert queue.taken == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("path", PATHS)
async def test_few_large_messages_wait_for_a_handler(site: Site, path: str) -> None:
    queue, peer = Queue(), await site.connect(path)
    site.handler = queue
    await peer.send({"n": 0})
    await until(lambda: queue.taken)
    for number in range(1, 7):
        await peer.send({"n": number, "id": number, "text": "x" * 60_000})
    busy = [await peer.expect("error") for _ in range(2)]
    assert [(error["code"], error["id"]) for error in busy] == [("busy", 5), ("busy", 6)]
    queue.go.set()
    await until(lambda: queue.taken == [0, 1, 2, 3, 4])


# Going down


async def test_a_handler_that_runs_when_the_server_goes_down_may_finish_and_use_it(site: Site) -> None:
    go, done = asyncio.Event(), []

    async def slow(socket: LiveSocket, message: Any) -> None:
        await go.wait()
        done.append((message, (await site.hold.publish("job:1", "done")).offset))

    site.handler = slow
    peer = await site.connect()
    await peer.send({"n": 1})
    await until(lambda: site.hold._service._serving)
    closing = asyncio.ensure_future(site.hold.aclose())
    assert (await peer.closed()).code == 1012
    assert not closing.done()
    go.set()
    await closing
    assert done == [({"n": 1}, 1)]


async def test_a_handler_that_comes_to_no_end_does_not_keep_the_server_up(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "PATIENCE", 0.0)
    cut = []

    async def endless(socket: LiveSocket, message: Any) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cut.append(message)
            raise

    site.handler = endless
    peer = await site.connect()
    await peer.send({"n": 1})
    await until(lambda: site.hold._service._serving)
    async with asyncio.timeout(DEADLINE):
        await site.hold.aclose()
    assert cut == [{"n": 1}]

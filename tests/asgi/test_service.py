"""What becomes of an app's handlers: one for the messages of `/ws`, and one that is a live socket's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from holdfast import Holdfast, LiveSocket
from holdfast.asgi.fastlane import HttpProtocol, Protocol
from holdfast.errors import MisuseError
from holdfast.testing.clock import ManualClock
from holdfast.testing.peer import Peer
from holdfast.testing.server import TEST_SECRET

OPTIONS: dict[str, dict[str, Any]] = {
    "fast lane": {"http": HttpProtocol, "ws": Protocol},
    "uvicorn's own": {"ws": "websockets-sansio"},
}
PATHS = ("/ws", "/live")


class Site:
    """An app whose one handler is the test's own, for the messages of `/ws` and those of a live socket alike."""

    def __init__(self, hold: Holdfast) -> None:
        self.hold = hold
        self.url = ""
        self.handler: Callable[[LiveSocket, Any], Awaitable[None]] | None = None
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
        async for message in socket:
            await self._handle(socket, message)

    async def _handle(self, socket: LiveSocket, message: Any) -> None:
        assert self.handler is not None
        await self.handler(socket, message)


@pytest.fixture(params=OPTIONS)
async def site(request: pytest.FixtureRequest, serving: Any, tmp_path: Path) -> AsyncIterator[Site]:
    site = Site(Holdfast(secret_key=TEST_SECRET, data_dir=tmp_path, clock=ManualClock()))
    async with serving(site.app, **OPTIONS[request.param]) as site.url:
        yield site
        await site.aclose()


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

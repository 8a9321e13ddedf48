from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2.profiles import CHEAPEST

from holdfast.server import runner
from holdfast.server.app import Parts, build_app
from holdfast.server.front import Front
from holdfast.sessions.passwords import Passwords
from holdfast.settings import load

ADMIN_PASSWORD = "an administrator of tests"
DEADLINE = 20.0


@dataclass
class Running:
    """The ready server on a real socket, in the test's own event loop."""

    url: str
    parts: Parts
    http: httpx.AsyncClient
    server: runner.Server

    @property
    def ws_url(self) -> str:
        return self.url.replace("http", "ws", 1)

    async def token(self, name: str, password: str = ADMIN_PASSWORD) -> str:
        """An access token, got as a program gets it."""
        form = {"username": name, "password": password, "client": "program"}
        answer = await self.http.post("/token", data=form)
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["access_token"]
        return token

    async def as_admin(self) -> httpx.AsyncClient:
        """A client that is signed in as administrator and says that it means its changes."""
        headers = {"Authorization": f"Bearer {await self.token('admin')}", "X-Holdfast": "1"}
        return httpx.AsyncClient(base_url=self.url, headers=headers)


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The price of argon2id is tested in tests/sessions; here it is only waited for."""
    monkeypatch.setattr("holdfast.sessions.service.Passwords", partial(Passwords, profile=CHEAPEST))


StartServer = Callable[..., Awaitable[Running]]


@pytest.fixture
async def start_server(tmp_path: Path) -> AsyncIterator[StartServer]:
    """Start a server with settings of your own."""
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> Running:
            given = {"data_dir": tmp_path / "data", "admin_password": ADMIN_PASSWORD, "drain_seconds": 0}
            loaded = load(**{**given, **settings})
            app = build_app(loaded)
            parts: Parts = app.state.parts
            listener = runner.bind("127.0.0.1", 0)
            ready = asyncio.Event()
            server = runner.Server(
                runner.configuration(Front(app, parts.hold.ws), loaded),
                drain=parts.hold.drain,
                ready=ready.set,
            )
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            waiting = asyncio.create_task(ready.wait())
            await asyncio.wait({serving, waiting}, timeout=DEADLINE, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            assert ready.is_set(), "the server did not start"

            async def stop() -> None:
                server.should_exit = True
                await asyncio.wait_for(serving, DEADLINE)
                listener.close()

            stack.push_async_callback(stop)
            http = await stack.enter_async_context(
                httpx.AsyncClient(base_url=runner.url("127.0.0.1", listener))
            )
            return Running(str(http.base_url), parts, http, server)

        yield start


@pytest.fixture
async def running(start_server: StartServer) -> Running:
    """A server with default settings."""
    return await start_server()

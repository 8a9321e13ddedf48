"""`hold.router` beside an app's own sockets, wherever it is put."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
import websockets
from fastapi import FastAPI, WebSocketException

from holdfast import Holdfast, LiveSocket
from holdfast.testing.server import RunningHoldfast

DEADLINE = 20.0


def app_of(hold: Holdfast) -> FastAPI:
    app = FastAPI(lifespan=hold.lifespan)
    app.include_router(hold.router, prefix="/api")

    @app.websocket("/own/live")
    async def live(socket: LiveSocket = hold.live) -> None:
        async for message in socket:
            if message == {"say": "fail"}:
                raise RuntimeError("on purpose")
            if message == {"say": "refuse"}:
                raise WebSocketException(4400, "not this")
            await socket.send_json({"echo": message})

    return app


@pytest.fixture
def server(tmp_path: Path) -> Any:
    with RunningHoldfast(app_of, data_dir=tmp_path) as running:
        yield running


async def talk(server: RunningHoldfast, path: str, message: Any) -> list[Any]:
    """All that the server says until a message is answered, or it is done."""
    url = f"{server.ws_url}{path}?token={await asyncio.to_thread(server.token)}"
    said: list[Any] = []
    async with asyncio.timeout(DEADLINE), websockets.connect(url, subprotocols=["holdfast.v1"]) as socket:
        await socket.send(json.dumps(message))
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                said.append(json.loads(await socket.recv()))
                if said[-1].get("type") not in ("welcome", "bye"):
                    return said
    return [*said, socket.close_code]


async def test_the_built_in_socket_is_under_the_prefix(server: RunningHoldfast) -> None:
    welcome, pong = await talk(server, "/api/ws", {"type": "ping", "id": 1})
    assert (welcome["type"], pong) == ("welcome", {"type": "pong", "id": 1})


async def test_the_apps_own_socket_is_not_taken_for_it(server: RunningHoldfast) -> None:
    welcome, answer = await talk(server, "/own/live", {"say": "hello"})
    assert (welcome["type"], answer) == ("welcome", {"echo": {"say": "hello"}})


async def test_an_endpoint_that_fails_tells_its_client_to_come_back(server: RunningHoldfast) -> None:
    welcome, bye, code = await talk(server, "/own/live", {"say": "fail"})
    assert (welcome["type"], bye["type"], bye["code"], code) == ("welcome", "bye", 1011, 1011)
    assert bye["action"] == "reconnect"


async def test_an_endpoint_that_refuses_closes_with_the_code_it_names(
    server: RunningHoldfast, caplog: pytest.LogCaptureFixture
) -> None:
    welcome, bye, code = await talk(server, "/own/live", {"say": "refuse"})
    assert (welcome["type"], bye["reason"], bye["action"], code) == ("welcome", "not this", "stop", 4400)
    assert "Traceback" not in caplog.text

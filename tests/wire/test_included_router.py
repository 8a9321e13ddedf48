"""`hold.router` beside an app's own sockets, wherever it is put."""

from __future__ import annotations

import asyncio
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
        async for text in socket:
            said.append(json.loads(text))
            if said[-1].get("type") != "welcome" and said[-1].get("type") != "bye":
                return said
        said.append(socket.close_code)
    return said


async def test_the_built_in_socket_is_under_the_prefix(server: RunningHoldfast) -> None:
    welcome, pong = await talk(server, "/api/ws", {"type": "ping", "id": 1})
    assert (welcome["type"], pong) == ("welcome", {"type": "pong", "id": 1})


async def test_the_apps_own_socket_is_not_taken_for_it(server: RunningHoldfast) -> None:
    welcome, answer = await talk(server, "/own/live", {"say": "hello"})
    assert (welcome["type"], answer) == ("welcome", {"echo": {"say": "hello"}})


@pytest.mark.parametrize("message", ["fail", "refuse"])
async def test_an_endpoint_that_fails_tells_its_client_to_come_back(
    server: RunningHoldfast, message: str
) -> None:
    welcome, bye, code = await talk(server, "/own/live", {"say": message})
    assert (welcome["type"], bye["type"], bye["code"], code) == ("welcome", "bye", 1011, 1011)
    assert bye["action"] == "reconnect"

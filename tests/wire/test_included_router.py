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
from holdfast.protocol.endings import SERVER_ERROR
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
            if isinstance(message, dict) and "refuse" in message:
                raise WebSocketException(message["refuse"], message["why"])
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


@pytest.mark.parametrize(
    ("asked", "why", "code", "reason", "action"),
    [
        (4400, "not this", 4400, "not this", "stop"),
        (1008, "x" * 200, 1008, "x" * 123, "stop"),
        (4400, "\u043d" * 80, 4400, "\u043d" * 61, "stop"),
        (1013, "the database is down", 1013, "the database is down", "reconnect"),
        (1006, "may not be sent", 1011, SERVER_ERROR.reason, "reconnect"),
    ],
)
async def test_an_endpoint_that_refuses_closes_as_it_says(
    server: RunningHoldfast,
    caplog: pytest.LogCaptureFixture,
    asked: int,
    why: str,
    code: int,
    reason: str,
    action: str,
) -> None:
    welcome, bye, closed_with = await talk(server, "/own/live", {"refuse": asked, "why": why})
    assert (welcome["type"], bye["reason"], bye["action"], closed_with) == ("welcome", reason, action, code)
    assert "Traceback" not in caplog.text
    assert len(server.hold.connections) == 0


async def test_a_socket_that_an_app_puts_beside_the_built_in_one_is_found(tmp_path: Path) -> None:
    def with_another(hold: Holdfast) -> FastAPI:
        @hold.router.websocket("/beside")
        async def beside(socket: LiveSocket = hold.live) -> None:
            async for message in socket:
                await socket.send_json({"echo": message})

        return app_of(hold)

    with RunningHoldfast(with_another, data_dir=tmp_path) as running:
        welcome, answer = await talk(running, "/api/beside", {"say": "hello"})
        assert (welcome["type"], answer) == ("welcome", {"echo": {"say": "hello"}})

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from holdfast.testing.peer import Closed, HandshakeRefused, Peer

Scripted = Callable[[ServerConnection], Any]


class Stage:
    """A server that plays what the test wrote."""

    def __init__(self) -> None:
        self.url = ""
        self.play: Scripted = _wait
        self.refuse: Callable[[ServerConnection, Request], Response | None] = lambda *_: None
        self.requests: list[Request] = []
        self.heard: list[str | bytes] = []
        self.seen_close: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()


async def _wait(socket: ServerConnection) -> None:
    await socket.wait_closed()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()

    async def handle(socket: ServerConnection) -> None:
        assert socket.request is not None
        stage.requests.append(socket.request)
        await stage.play(socket)
        if not stage.seen_close.done() and socket.close_code is not None:
            stage.seen_close.set_result(socket.close_code)

    def refuse(socket: ServerConnection, request: Request) -> Response | None:
        return stage.refuse(socket, request)

    def choose(_: ServerConnection, offered: Any) -> Subprotocol | None:
        return Subprotocol("holdfast.v1") if "holdfast.v1" in offered else None

    async with serve(
        handle,
        "127.0.0.1",
        0,
        process_request=refuse,
        select_subprotocol=choose,
        close_timeout=1,
    ) as server:
        stage.url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/ws"
        yield stage


def says(*frames: Any, close: tuple[int, str] | None = None) -> Scripted:
    async def play(socket: ServerConnection) -> None:
        for frame in frames:
            await socket.send(json.dumps(frame))
        if close is not None:
            await socket.close(*close)
        await socket.wait_closed()

    return play


@pytest.mark.parametrize(
    ("carrier", "path", "authorization", "offered"),
    [
        ("bearer", "/ws", "Bearer a.b.c", "holdfast.v1"),
        ("subprotocol", "/ws", None, "holdfast.v1, holdfast.bearer.a.b.c"),
        ("token", "/ws?token=a.b.c", None, "holdfast.v1"),
        ("ticket", "/ws?ticket=a.b.c", None, "holdfast.v1"),
        ("frame", "/ws", None, "holdfast.v1"),
        ("plain", "/ws?token=a.b.c", None, None),
    ],
)
async def test_each_carrier_puts_the_token_in_its_place(
    stage: Stage, carrier: Any, path: str, authorization: str | None, offered: str | None
) -> None:
    async with await Peer.connect(stage.url, carrier=carrier, token="a.b.c") as peer:
        request = stage.requests[0]
        assert request.path == path
        assert request.headers.get("Authorization") == authorization
        assert request.headers.get("Sec-WebSocket-Protocol") == offered
        assert peer.subprotocol == (None if carrier == "plain" else "holdfast.v1")


async def test_a_token_in_the_first_frame(stage: Stage) -> None:
    async def play(socket: ServerConnection) -> None:
        await socket.send(await socket.recv())

    stage.play = play
    async with await Peer.connect(stage.url, carrier="frame", token="t") as peer:
        assert await peer.message() == {"type": "auth", "token": "t"}


async def test_an_origin_and_headers_of_ones_own(stage: Stage) -> None:
    headers = {"Cookie": "a=b"}
    async with await Peer.connect(
        stage.url, origin="https://evil.example", headers=headers, controlled=False
    ):
        assert stage.requests[0].headers["Origin"] == "https://evil.example"
        assert stage.requests[0].headers["Cookie"] == "a=b"
        assert "Sec-WebSocket-Protocol" not in stage.requests[0].headers


async def test_frames_are_expected_in_order(stage: Stage) -> None:
    stage.play = says(
        {"type": "welcome", "user": "u1"}, {"type": "ping"}, {"n": 1}, {"type": "auth.due"}, [2]
    )
    async with await Peer.connect(stage.url) as peer:
        assert (await peer.expect("welcome"))["user"] == "u1"
        assert await peer.message() == {"n": 1}
        await peer.expect("auth.due")
        assert await peer.message() == [2]
        assert [arrival.type for arrival in peer.arrivals] == ["welcome", "ping", None, "auth.due", None]
        assert len(peer.frames) == 4
        times = [arrival.at for arrival in peer.arrivals]
        assert times == sorted(times)


async def test_another_frame_than_expected_fails_and_says_which(stage: Stage) -> None:
    stage.play = says({"type": "auth.due"}, {"secret": "of the app's"}, {"type": "welcome"})
    async with await Peer.connect(stage.url) as peer:
        with pytest.raises(AssertionError, match=r"'welcome'.*'auth\.due'"):
            await peer.expect("welcome")
        with pytest.raises(AssertionError) as raised:
            await peer.expect("welcome")
        assert "secret" not in str(raised.value)
        with pytest.raises(AssertionError, match="expected a message"):
            await peer.message()


async def test_silence_fails_and_says_what_was_heard(stage: Stage) -> None:
    stage.play = says({"type": "welcome"})
    async with await Peer.connect(stage.url) as peer:
        await peer.expect("welcome")
        with pytest.raises(AssertionError, match=r"'bye' frame within 0\.02 s; it heard 'welcome'"):
            await peer.expect("bye", timeout=0.02)
        with pytest.raises(AssertionError, match="not closed"):
            await peer.closed(timeout=0.02)


async def test_a_close_tells_code_reason_and_bye(stage: Stage) -> None:
    bye = {"type": "bye", "code": 4003, "reason": "Token expired.", "action": "refresh"}
    stage.play = says(bye, close=(4003, "Token expired."))
    async with await Peer.connect(stage.url) as peer:
        assert await peer.closed() == Closed(4003, "Token expired.", bye)
        await peer.expect("bye")
        with pytest.raises(AssertionError, match="closed with 4003"):
            await peer.expect("welcome")


async def test_pings_are_answered_unless_the_test_says_no(stage: Stage) -> None:
    async def play(socket: ServerConnection) -> None:
        await socket.send('{"type": "ping", "id": 7}')
        stage.heard.append(await socket.recv())
        await socket.send('{"type": "ping"}')
        stage.heard.append(await socket.recv())

    stage.play = play
    async with await Peer.connect(stage.url) as peer:
        await peer.closed()
    async with await Peer.connect(stage.url, pongs=False) as peer:
        await peer.send_raw(b"\x00")
        await peer.send_raw("not JSON")
        await peer.closed()
    assert [json.loads(heard) for heard in stage.heard[:2]] == [{"type": "pong", "id": 7}, {"type": "pong"}]
    assert stage.heard[2:] == [b"\x00", "not JSON"]


async def test_a_handshake_answered_over_http_says_so(stage: Stage) -> None:
    stage.refuse = lambda socket, _: socket.respond(403, '{"code": "foreign_origin"}')
    with pytest.raises(HandshakeRefused) as raised:
        await Peer.connect(stage.url, token="a.b.c")
    assert (raised.value.status, raised.value.body) == (403, {"code": "foreign_origin"})
    assert "a.b.c" not in str(raised.value)


async def test_closing_is_seen_by_the_server(stage: Stage) -> None:
    peer = await Peer.connect(stage.url)
    await peer.close(4999, "enough")
    assert await asyncio.wait_for(stage.seen_close, 5) == 4999


async def test_vanishing_is_no_close(stage: Stage) -> None:
    peer = await Peer.connect(stage.url)
    peer.vanish()
    assert (await peer.closed()).code == 1006
    assert await asyncio.wait_for(stage.seen_close, 5) == 1006

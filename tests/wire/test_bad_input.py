"""Wrong frames get a clear answer, and neither the connection nor the server suffers more than it must."""

from __future__ import annotations

import asyncio
import json
import socket as sockets

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

DEADLINE = 20.0


def speaking(served, path: str = "/jobs"):
    bearer = {"Authorization": f"Bearer {served.token(60)}"}
    return connect(
        served.ws + path, subprotocols=["holdfast.v1"], additional_headers=bearer, proxy=None, max_size=None
    )


def plain(served, path: str = "/jobs"):
    return connect(f"{served.ws}{path}?token={served.token(60)}", proxy=None, max_size=None)


async def answer(socket: ClientConnection) -> dict:
    async with asyncio.timeout(DEADLINE):
        while (found := json.loads(await socket.recv())).get("type") in ("welcome", "bye"):
            pass
        return found


BAD = {
    "not JSON": "hello",
    "half of JSON": '{"n": ',
    "NaN": '{"n": NaN}',
    "a number too large": '{"n": 1e999}',
    "10,000 levels": "[" * 10_000 + "]" * 10_000,
    "10,000 objects": '{"a":' * 10_000 + "1" + "}" * 10_000,
    "a number of 10,000 digits": '{"n": ' + "9" * 10_000 + "}",
    "empty": "",
    "binary": b"\x00\x01\x02",
    "JSON in a binary frame": b'{"n": 1}',
}

BAD_IN_V1 = {
    "not an object": ("[1, 2]", "bad_frame"),
    "a string": ('"hello"', "bad_frame"),
    "null": ("null", "bad_frame"),
    "auth without a token": ('{"type": "auth", "id": 1}', "bad_frame"),
    "auth with a number": ('{"type": "auth", "token": 7}', "bad_frame"),
    "an id that is an object": ('{"type": "ping", "id": {}}', "bad_id"),
    "an id that is true": ('{"type": "ping", "id": true}', "bad_id"),
    "a long id": (json.dumps({"type": "ping", "id": "x" * 65}), "bad_id"),
    "a channel without a rule": ('{"type": "subscribe", "id": 1, "channel": "c"}', "forbidden"),
}


@pytest.mark.parametrize("open_with", [speaking, plain])
@pytest.mark.parametrize("what", list(BAD))
async def test_a_frame_that_cannot_be_read_is_answered_and_the_connection_goes_on(shared, open_with, what):
    async with open_with(shared) as socket:
        await socket.send(BAD[what])
        refused = await answer(socket)
        assert refused["type"] == "error"
        assert refused["code"] in ("bad_frame", "binary_frame")
        await socket.send('{"n": 1}')
        assert await answer(socket) == {"echo": {"n": 1}}


@pytest.mark.parametrize("open_with", [speaking, plain])
async def test_no_depth_of_json_is_read_that_an_app_cannot_write_back(shared, open_with):
    """Python's own limit is on what is on the stack, so what the decoder still took the app's echo could not write."""
    async with open_with(shared) as socket:
        for depth in (1, 63, 64, 65, 500, *range(900, 1020, 10), 5_000):
            nested = '{"n": ' + "[" * (depth - 1) + "]" * (depth - 1) + "}" if depth > 1 else '{"n": 1}'
            await socket.send(nested)
            got = await answer(socket)
            if depth <= 64:
                assert got == {"echo": json.loads(nested)}
            else:
                assert got["code"] == "bad_frame", f"{depth} levels"


@pytest.mark.parametrize("what", list(BAD_IN_V1))
async def test_a_frame_against_holdfast_v1_is_answered_with_its_own_code(shared, what):
    text, code = BAD_IN_V1[what]
    async with speaking(shared) as socket:
        await socket.send(text)
        refused = await answer(socket)
        assert (refused["type"], refused["code"]) == ("error", code)
        await socket.send('{"n": 1}')
        assert await answer(socket) == {"echo": {"n": 1}}


async def test_a_frame_over_the_limit_closes_with_4009_and_only_that_connection(shared):
    async with speaking(shared) as bystander, speaking(shared) as socket:
        await socket.send(json.dumps({"n": "x" * 70_000}))
        with pytest.raises(ConnectionClosed) as closed:
            await answer(socket)
        assert closed.value.rcvd.code == 4009
        await bystander.send('{"n": 1}')
        assert await answer(bystander) == {"echo": {"n": 1}}


async def test_invalid_utf_8_closes_that_connection_and_the_server_goes_on(shared):
    async with plain(shared) as socket:
        async with socket.send_context():
            socket.protocol.send_frame(Frame(Opcode.TEXT, b"\xff\xfe\xff"))
        with pytest.raises(ConnectionClosed):
            await answer(socket)
    async with plain(shared) as socket:
        await socket.send('{"n": 1}')
        assert await answer(socket) == {"echo": {"n": 1}}


async def test_a_client_that_vanishes_without_a_close_leaves_the_server_serving(shared):
    for _ in range(20):
        socket = await plain(shared)
        raw = socket.transport.get_extra_info("socket")
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        socket.transport.abort()
    async with plain(shared) as socket:
        await socket.send('{"n": 1}')
        assert await answer(socket) == {"echo": {"n": 1}}

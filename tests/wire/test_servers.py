"""What docs/servers.md says of each server: endings that come from outside, limits, refusals over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

DEADLINE = 20.0
MEGABYTE = 1024 * 1024
SIGNED_OUT = (4001, "Session ended: signed out.")


def plain(served, token: str):
    return connect(f"{served.ws}/ws?token={token}", proxy=None)


def speaking(served, token: str):
    offered = ["holdfast.v1", f"holdfast.bearer.{token}"]
    # hypercorn says 1009 only when it reads something more, such as a ping.
    return connect(
        f"{served.ws}/jobs",
        subprotocols=offered,
        proxy=None,
        compression=None,
        ping_interval=1,
        close_timeout=1,
    )


async def ending(socket: ClientConnection) -> tuple[int, str, list[dict]]:
    """Code, reason and frames; 1006 where there was no close frame."""
    frames = []
    try:
        async with asyncio.timeout(DEADLINE):
            while True:
                frames.append(json.loads(await socket.recv()))
    except ConnectionClosed as closed:
        close = closed.rcvd
        return (close.code, close.reason, frames) if close else (1006, "", frames)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "X-Holdfast": "1"}


@pytest.mark.parametrize("open_with", [plain, speaking])
async def test_logging_out_closes_an_idle_connection_on_every_server(shared, open_with):
    """While a connection waits for a message: granian closes nothing that is still being received from."""
    tokens = shared.sign_in()
    async with open_with(shared, tokens["access_token"]) as socket:
        await asyncio.sleep(0)
        url = f"{shared.url}/auth/logout"
        answer = await asyncio.to_thread(shared.http.post, url, headers=bearer(tokens["access_token"]))
        assert answer.status_code == 204
        code, reason, frames = await ending(socket)
    assert (code, reason) == (SIGNED_OUT if shared.kind != "daphne" else (4001, ""))
    if open_with is speaking:
        assert frames[-1]["reason"] == SIGNED_OUT[1]


async def test_up_to_the_servers_own_limit_a_large_frame_is_told_4009(shared):
    size = MEGABYTE - 100 if shared.kind == "daphne" else 15 * MEGABYTE
    async with speaking(shared, shared.token(60)) as socket:
        await socket.send("x" * size)
        code, _, frames = await ending(socket)
    assert (code, frames[-1]["code"]) == (4009, 4009)


async def test_beyond_it_the_server_closes_in_its_own_way(shared):
    size = 2 * MEGABYTE if shared.kind == "daphne" else 17 * MEGABYTE
    async with speaking(shared, shared.token(60)) as socket:
        with contextlib.suppress(ConnectionClosed):  # it may close while this is still on its way
            await socket.send("x" * size)
        code, _, frames = await ending(socket)
    assert code == {"granian": 1005, "daphne": 1006}.get(shared.kind, 1009)
    assert frames[-1]["type"] == "welcome"


async def test_a_foreign_origin_is_told_why_where_the_server_can_answer(shared):
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{shared.ws}/ws", origin="https://evil.example", proxy=None)
    answer = refused.value.response
    assert answer.status_code == 403
    assert answer.body == b"" if shared.kind == "daphne" else b"foreign_origin" in answer.body


@pytest.mark.parametrize(
    ("kind", "status"), [("uvicorn-fastlane", 401), ("hypercorn", 401), ("granian", 401), ("daphne", 403)]
)
async def test_handshakes_answered_over_http(serve, kind, status):
    served = serve(kind, HOLDFAST_HANDSHAKE="http")
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{served.ws}/ws?token=nonsense", proxy=None)
    assert refused.value.response.status_code == status


async def test_two_workers_of_one_server_hear_of_each_others_revocations(serve):
    served = serve("uvicorn-process", WEB_CONCURRENCY=2)
    tokens = served.sign_in()
    sockets = [await speaking(served, tokens["access_token"]) for _ in range(8)]
    url = f"{served.url}/auth/logout"
    await asyncio.to_thread(served.http.post, url, headers=bearer(tokens["access_token"]))
    endings = [await ending(socket) for socket in sockets]
    assert {(code, reason) for code, reason, _ in endings} == {SIGNED_OUT}


@pytest.mark.parametrize("kind", ["hypercorn", "granian", "daphne"])
async def test_sigterm_where_the_server_has_its_own_way(serve, kind):
    served = serve(kind, HOLDFAST_DRAIN_SECONDS=1)
    async with speaking(served, served.token(60)) as socket:
        await socket.recv()
        stopping = asyncio.ensure_future(asyncio.to_thread(served.stop))
        code, _, frames = await ending(socket)
        await stopping
    byes = [(frame["code"], "retry_after_ms" in frame) for frame in frames]
    match kind:
        case "hypercorn":
            assert (code, byes) == (1012, [(1012, False)])
        case "granian":  # it may stop before either is on its way
            assert code in (1012, 1006)
            assert byes in ([(1012, True)], [])
        case "daphne":
            assert (code, byes) == (1006, [])

"""A thousand connections, thrown out by one request: every one is told why, on whichever process it was asked."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

DEADLINE = 60.0
AT_ONCE = 32
MANY = 1_000
FILES = MANY + 300
"""What this process, and the server that it starts, need at once; many systems give 1,024."""


@pytest.fixture(autouse=True)
def enough_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FILES:
        pytest.skip(
            f"{MANY} connections need {FILES} open files, and this machine allows {hard} (ulimit -Hn)"
        )
    if soft != resource.RLIM_INFINITY and soft < FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def crowd(served, token: str, size: int) -> list[ClientConnection]:
    """Live connections, plain and holdfast.v1 by turns, each of which has had an answer."""
    few = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> ClientConnection:
        async with few:
            protocols = {"subprotocols": ["holdfast.v1"]} if number % 2 else {}
            socket = await connect(
                f"{served.ws}/ws?token={token}", proxy=None, compression=None, ping_interval=None, **protocols
            )
            await socket.send(json.dumps({"n": number}))
            while "echo" not in json.loads(await socket.recv()):
                pass  # `welcome` comes first
            return socket

    async with asyncio.timeout(DEADLINE):
        return await asyncio.gather(*(one(number) for number in range(size)))


async def closing(socket: ClientConnection) -> tuple[int, str]:
    try:
        while True:
            await socket.recv()
    except ConnectionClosed as closed:
        return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "no close frame came")


async def ended(
    sockets: list[ClientConnection],
    what: str,
    by: Awaitable[object],
    record_property,
    since: Callable[[], float] | None = None,
) -> Counter[tuple[int, str]]:
    """What the close frames said, counted; how long the last of them took is told, from the request or from `since`."""
    listening = [asyncio.ensure_future(closing(socket)) for socket in sockets]
    started = time.time()
    await by
    async with asyncio.timeout(DEADLINE):
        endings = Counter(await asyncio.gather(*listening))
    seconds = time.time() - (started if since is None else since())
    record_property(
        "measured", f"{what}: the last of {len(sockets):,} connections was closed after {seconds:.2f} s"
    )
    return endings


async def still_answers(socket: ClientConnection) -> bool:
    async with asyncio.timeout(DEADLINE):
        await socket.send(json.dumps({"n": "last"}))
        return "last" in str(await socket.recv())


async def test_a_logout_closes_a_thousand_connections_of_its_session_and_no_other(serve, record_property):
    served = serve("uvicorn-process", HOLDFAST_MAX_CONNECTIONS_PER_USER=MANY + 1)
    mine, other = served.sign_in(), served.sign_in()
    sockets = await crowd(served, mine["access_token"], MANY)
    (untouched,) = await crowd(served, other["access_token"], 1)
    leaving = asyncio.to_thread(
        served.http.post,
        f"{served.url}/auth/logout",
        headers={"Authorization": f"Bearer {mine['access_token']}", "X-Holdfast": "1"},
    )
    endings = await ended(sockets, "logging out", leaving, record_property)
    assert endings == {(4001, "Session ended: signed out."): MANY}
    assert await still_answers(untouched)
    await untouched.close()


async def test_disabling_a_user_from_another_process_closes_every_connection_they_have(
    serve, record_property
):
    served = serve("uvicorn-process")
    sessions = [served.sign_in() for _ in range(4)]
    sockets = [
        socket
        for session in sessions
        for socket in await crowd(served, session["access_token"], MANY // len(sessions))
    ]
    command = [sys.executable, "-m", "holdfast.cli", "users", "disable", "ann"]
    command += ["--data-dir", str(served.log_file.parent)]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    disabling = asyncio.to_thread(
        subprocess.run, command, env=plain, check=True, capture_output=True, timeout=DEADLINE
    )

    def written() -> float:
        """When the command had started and written it down; in between, only Python itself was at work."""
        with contextlib.closing(sqlite3.connect(served.log_file.parent / "holdfast.db")) as database:
            found = database.execute("SELECT at FROM holdfast_event WHERE kind = 'user.disabled'")
            return found.fetchone()[0]

    what = "disabling a user in another process"
    endings = await ended(sockets, what, disabling, record_property, written)
    assert endings == {(4001, "Session ended: revoked (disabled)."): MANY}


async def test_a_refresh_token_used_again_closes_every_connection_of_its_session(serve, record_property):
    served = serve(
        "uvicorn-process",
        HOLDFAST_ROTATION_WINDOW_SECONDS=0,
        HOLDFAST_MAX_CONNECTIONS_PER_USER=MANY,
    )
    tokens = served.sign_in()
    stolen = tokens["refresh_token"]
    for _ in range(2):
        tokens = (await asyncio.to_thread(served.refresh, tokens["refresh_token"])).json()
    sockets = await crowd(served, tokens["access_token"], MANY)
    reusing = asyncio.to_thread(served.refresh, stolen)
    endings = await ended(sockets, "a refresh token used again", reusing, record_property)
    assert endings == {(4001, "Session ended: revoked (used from two places)."): MANY}

"""A network that cannot be trusted, and a server that keeps falling over, in front of clients that must not notice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from holdfast.settings import Settings, env_name

PASSWORD = "a password of the storm's own"
DEADLINE = 60.0


class Storm:
    """Passes bytes on between clients and a server: cuts connections at random, and holds all back for a while."""

    def __init__(self, server_port: int, chance: random.Random) -> None:
        self._server_port = server_port
        self._chance = chance
        self._links: set[asyncio.Task[None]] = set()
        self._calm = asyncio.Event()
        self._calm.set()
        self._door: asyncio.Server | None = None
        self.cuts = 0
        self.holds = 0

    async def open(self) -> int:
        """Begin; the port that clients use."""
        self._door = await asyncio.start_server(self._link, "127.0.0.1", 0, backlog=1024)
        port: int = self._door.sockets[0].getsockname()[1]
        return port

    def cut(self, most: int) -> None:
        """Cut some connections, without a word to either side."""
        for link in self._chance.sample(sorted(self._links, key=id), min(most, len(self._links))):
            link.cancel()
            self.cuts += 1

    @contextlib.asynccontextmanager
    async def hold(self):
        """Nothing gets through, and nothing is lost, for as long as this lasts."""
        self.holds += 1
        self._calm.clear()
        try:
            yield
        finally:
            self._calm.set()

    async def close(self) -> None:
        if self._door is not None:
            self._door.close()
        for link in list(self._links):
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        ends = [writer]
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._server_port)
            ends.append(back)
            _, pending = await asyncio.wait(
                (
                    asyncio.ensure_future(self._pass(reader, back)),
                    asyncio.ensure_future(self._pass(there, writer)),
                ),
                return_when=asyncio.FIRST_COMPLETED,
            )
            for other in pending:
                other.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass  # nobody is there just now, or it was cut
        finally:
            for end in ends:
                end.transport.abort()
            self._links.discard(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                await self._calm.wait()
                writer.write(data)
                await writer.drain()


class Phoenix:
    """`holdfast serve` on one port, in process after process."""

    def __init__(self, home: Path, port: int, **environment: str) -> None:
        self.port = port
        self.log = home / "log.txt"
        ours = {env_name(field) for field in Settings.model_fields}
        kept = {name: value for name, value in os.environ.items() if name not in ours}
        self._environment = {
            **kept,
            "HOLDFAST_DATA_DIR": str(home / "data"),
            "HOLDFAST_ADMIN_PASSWORD": PASSWORD,
            **environment,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.lives = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def rise(self) -> None:
        """Start, and return once it is ready."""
        self.lives += 1
        command = [sys.executable, "-m", "holdfast.cli", "serve", "--port", str(self.port)]
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(  # noqa: ASYNC220  # it is begun at once
                command, env=self._environment, stdout=out, stderr=out
            )
        deadline = time.monotonic() + DEADLINE
        async with httpx.AsyncClient(trust_env=False) as http:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if (await http.get(f"{self.url}/readyz")).status_code == 200:
                        return
                assert self._process.poll() is None, self.log.read_text(errors="replace")[-3000:]
                assert time.monotonic() < deadline, "the server does not become ready"
                await asyncio.sleep(0.05)  # between two looks, under the deadline above

    async def fall(self, how: signal.Signals) -> None:
        """End it, gently or not."""
        assert self._process is not None
        self._process.send_signal(how)
        await asyncio.to_thread(self._process.wait, DEADLINE)

    def put_out(self) -> None:
        """Whatever has happened: no process is left."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(DEADLINE)


def free_port() -> int:
    """A port that is free again after each death of the server: outgoing connections get those above 32,767."""
    while True:
        port = 15_000 + secrets.randbelow(17_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@pytest.fixture
def phoenix(tmp_path: Path) -> Iterator[Phoenix]:
    server = Phoenix(
        tmp_path,
        free_port(),
        ACCESS_TOKEN_EXPIRE_MINUTES="0.1",
        HOLDFAST_LIVE_GRACE_SECONDS="2",
        HOLDFAST_DRAIN_SECONDS="1",
        HOLDFAST_LOG_LEVEL="warning",
        HOLDFAST_HISTORY_SIZE="5000",
    )
    yield server
    server.put_out()


@pytest.fixture
def storm_over() -> type[Storm]:
    return Storm

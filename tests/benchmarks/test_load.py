"""The load generator in C, before a server that can be made to lose, repeat, and refuse."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from install import build_tools
from loader import Load, LoadError
from servers import Cores, Server
from subjects import Subject

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("gcc") is None,
    reason="the load generator is compiled with gcc, and waits with epoll",
)

ACCEPTED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
SUBSCRIBERS = 20

Fault = Callable[[int], int]
"""How often the message of a number is sent."""


class Peer:
    """A plain fan-out server in a thread; `fault` says how often each message goes out."""

    def __init__(self, answer: bytes = ACCEPTED, fault: Fault = lambda _: 1) -> None:
        self.requests: list[str] = []
        self._answer = answer
        self._fault = fault
        self._count = 0
        self._subscribers: list[asyncio.StreamWriter] = []
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopped.wait()
        server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.requests.append(request)
            writer.write(self._answer)
            publishes = request.startswith("GET /publish")
            if not publishes:
                self._subscribers.append(writer)
            while True:
                text = await self._message(reader)
                if not publishes:
                    writer.write(framed(text))
                    continue
                for subscriber in self._subscribers:
                    subscriber.write(framed(text) * self._fault(self._count))
                self._count += 1
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    @staticmethod
    async def _message(reader: asyncio.StreamReader) -> bytes:
        head = await reader.readexactly(2)
        size = head[1] & 127
        if size == 126:
            size = int.from_bytes(await reader.readexactly(2), "big")
        mask = await reader.readexactly(4)
        assert mask == b"\0\0\0\0"
        return await reader.readexactly(size)


def framed(text: bytes) -> bytes:
    size = len(text)
    length = bytes((size,)) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
    return b"\x81" + length + text


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    build: Path = tmp_path_factory.mktemp("bench")
    build_tools(build)
    return build / "load"


Facing = Callable[[Peer], Load]


@pytest.fixture
def facing(program: Path, tmp_path: Path) -> Iterator[Facing]:
    """Start a load generator before a peer; both are gone after the test."""
    (tmp_path / "tokens").write_text("one\ntwo\n")
    (tmp_path / "publisher").write_text("three\n")
    started: list[Any] = []

    def face(peer: Peer) -> Load:
        subject = Subject("peer", "a peer", (), publisher_path="/publish")
        server = Server(peer.port, SimpleNamespace(pid=os.getpid()))  # type: ignore[arg-type]  # its pid is all
        made = Load(
            subject,
            server,
            program=program,
            tokens=tmp_path / "tokens",
            publisher=tmp_path / "publisher",
            cores=Cores(None, None),
        )
        started.extend((made.close, peer.stop))
        return made

    yield face
    for end in started:
        end()


def opened(load: Load) -> Load:
    assert load.ask(f"connect {SUBSCRIBERS} 4 5")["done"] == SUBSCRIBERS
    assert load.ask("join")["joined"] == SUBSCRIBERS
    load.ask("publisher")
    return load


def test_every_connection_brings_a_token_and_all_messages_are_counted(facing: Facing) -> None:
    peer = Peer()
    answer = opened(facing(peer)).ask("fanout 1 0.05")
    assert answer["delivered"] > 0
    assert answer["delivered"] % SUBSCRIBERS == 0
    assert (answer["missing"], answer["disordered"], answer["stuck"]) == (0, 0, False)
    tokens = [line for request in peer.requests for line in request.split("\r\n") if "Authorization" in line]
    assert (
        tokens.count("Authorization: Bearer one")
        == tokens.count("Authorization: Bearer two")
        == SUBSCRIBERS / 2
    )
    assert tokens.count("Authorization: Bearer three") == 1


def test_bursts_arrive_whole(facing: Facing) -> None:
    answer = opened(facing(Peer())).ask("fanout 32 0.05")
    assert answer["delivered"] % (32 * SUBSCRIBERS) == 0
    assert (answer["missing"], answer["disordered"]) == (0, 0)


def test_a_lost_message_is_noticed(facing: Facing) -> None:
    load = opened(facing(Peer(fault=lambda number: 0 if number == 5 else 1)))
    answer = load.ask("fanout 32 0.05")
    assert answer["missing"] == SUBSCRIBERS
    assert answer["stuck"] is False


def test_a_repeated_message_is_noticed(facing: Facing) -> None:
    load = opened(facing(Peer(fault=lambda number: 2 if number == 5 else 1)))
    assert load.ask("fanout 32 0.05")["disordered"] == SUBSCRIBERS


def test_a_fixed_rate_gives_latencies(facing: Facing) -> None:
    answer = opened(facing(Peer())).ask("rate 100 0.1 128 0")
    assert answer["delivered"] == 10 * SUBSCRIBERS
    assert 0 < answer["p50_ms"] <= answer["p90_ms"] <= answer["p99_ms"] <= answer["max_ms"]


def test_who_does_not_read_is_not_counted(facing: Facing) -> None:
    answer = opened(facing(Peer())).ask("rate 100 0.1 128 5")
    assert answer["delivered"] == 10 * (SUBSCRIBERS - 5)
    assert answer["missing"] == 0


def test_echoes_are_counted_and_leave_nothing_behind(facing: Facing) -> None:
    load = opened(facing(Peer()))
    assert load.ask("echo 10 0.05")["delivered"] > 10
    after = load.ask("fanout 1 0.05")
    assert (after["missing"], after["disordered"], after["stuck"]) == (0, 0, False)


def test_a_refusal_is_told_with_the_servers_words(facing: Facing) -> None:
    answer = facing(Peer(answer=b"HTTP/1.1 401 Unauthorized\r\n\r\n")).ask("connect 3 1 1")
    assert answer["done"] == 0
    assert answer["failed"] == 3
    assert "HTTP/1.1 401 Unauthorized" in answer["first_failure"]


def test_an_accept_that_is_not_the_keys_is_no_upgrade(facing: Facing) -> None:
    peer = Peer(answer=ACCEPTED.replace(b"s3pP", b"AAAA"))
    assert facing(peer).ask("connect 1 1 1")["failed"] == 1


def test_a_command_that_is_not_there_ends_it_with_an_error(facing: Facing) -> None:
    with pytest.raises(LoadError, match="no such command"):
        facing(Peer()).ask("dance")

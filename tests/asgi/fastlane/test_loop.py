"""The event loop: uvicorn's servers on it, and all that it makes as ever."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import select
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from websockets.asyncio.client import connect, unix_connect

from holdfast.asgi.fastlane import listener as module
from holdfast.asgi.fastlane import loop, new_event_loop
from holdfast.asgi.fastlane.descriptors import accept_in_python
from holdfast.asgi.fastlane.listener import Listener, Server
from holdfast.asgi.fastlane.poller import Poller

Scene = Callable[[], Awaitable[None]]
Run = Callable[[Scene], None]


@pytest.fixture(params=["uvloop", "asyncio"])
def run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs a scene in a new loop, with uvloop and where there is none."""
    if request.param == "asyncio":
        monkeypatch.setitem(sys.modules, "uvloop", None)
    loop._kind.cache_clear()

    def run_it(scene: Scene) -> None:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            assert isinstance(runner.get_loop(), asyncio.SelectorEventLoop) == (request.param == "asyncio")
            runner.run(asyncio.wait_for(scene(), 30))

    yield run_it
    loop._kind.cache_clear()


async def who_is_there(scope: dict, receive: Any, send: Any) -> None:
    """Says which addresses the two ends have."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": f"{scope['client']} {scope['server']}"})
        await receive()
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@asynccontextmanager
async def served(sockets: list[socket.socket] | None = None, **options: Any) -> AsyncIterator[Any]:
    """A uvicorn with the fast lane, and its server."""
    lane = {"ws": "holdfast.asgi.fastlane:Protocol", "http": "holdfast.asgi.fastlane:HttpProtocol"}
    config = uvicorn.Config(who_is_there, lifespan="off", log_config=None, **lane, **options)
    server = uvicorn.Server(config)
    running = asyncio.ensure_future(server._serve(sockets))
    while not server.started:
        assert not running.done()
        await asyncio.sleep(0)
    try:
        yield server.servers[0]
    finally:
        server.should_exit = True
        await running


async def answered(port: int, host: str = "127.0.0.1") -> bytes:
    """What plain HTTP is answered with, and how it ends."""
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer


# uvicorn's servers


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0", "::", "localhost"])  # of a test
def test_a_host_and_a_port(run: Run, host: str) -> None:
    async def scene() -> None:
        async with served(host=host, port=0) as server:
            assert isinstance(server, Server)
            assert server.is_serving()
            assert server.get_loop() is asyncio.get_running_loop()
            for listening in server.sockets:
                there = {"0.0.0.0": "127.0.0.1", "::": "::1"}
                here, port = listening.getsockname()[:2]
                name = there.get(here, here)
                url = f"ws://[{name}]:{port}" if ":" in name else f"ws://{name}:{port}"
                async with connect(url, proxy=None) as client:
                    mine = client.local_address[:2]
                    assert await client.recv() == f"{mine} {(name, port)}"
                assert (await answered(port, name)).startswith(b"HTTP/1.1 200 OK")
        assert not server.is_serving()
        assert server.sockets == ()

    run(scene)


def test_a_socket_that_it_is_given(run: Run) -> None:
    async def scene() -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        async with served([listening]) as server:
            assert isinstance(server, Server)
            assert (await answered(port)).endswith(b"ok")
        with pytest.raises(ConnectionRefusedError):
            await answered(port)

    run(scene)


def test_more_than_are_let_in_at_once(run: Run) -> None:
    async def scene() -> None:
        async with served(host="127.0.0.1", port=0) as server:
            port = server.sockets[0].getsockname()[1]
            answers = await asyncio.gather(*(answered(port) for _ in range(3 * module.MOST_AT_ONCE)))
            assert {answer[-2:] for answer in answers} == {b"ok"}

    run(scene)


def test_what_goes_out_does_not_wait_to_become_more(run: Run) -> None:
    """Nagle's algorithm would hold each small message back until the one before it is acknowledged."""

    async def scene() -> None:
        no_delay: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        class Ear(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                ours = transport.get_extra_info("socket")
                no_delay.set_result(ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
                transport.close()

        Ear.__module__ = "uvicorn.server"
        listening = socket.create_server(("127.0.0.1", 0))
        server = await asyncio.get_running_loop().create_server(Ear, sock=listening)
        _, writer = await asyncio.open_connection(*listening.getsockname())
        assert await no_delay
        writer.close()
        server.close()
        await server.wait_closed()

    run(scene)


# What is made as ever


def test_a_unix_socket(run: Run, tmp_path: Path) -> None:
    async def scene() -> None:
        path = str(tmp_path / "s")
        async with served(uds=path) as server:
            assert not isinstance(server, Server)
            async with unix_connect(path, "ws://localhost/") as client:
                assert "None" in await client.recv()

    run(scene)


def test_the_descriptor_of_a_unix_socket(run: Run, tmp_path: Path) -> None:
    async def scene() -> None:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(tmp_path / "s"))
            async with served(fd=listening.fileno()) as server:
                assert not isinstance(server, Server)
                async with unix_connect(str(tmp_path / "s"), "ws://localhost/") as client:
                    assert "None" in await client.recv()

    run(scene)


def test_the_servers_of_an_app(run: Run) -> None:
    async def scene() -> None:
        async def upper(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write((await reader.readline()).upper())
            writer.close()

        async with await asyncio.start_server(upper, "127.0.0.1", 0) as server:
            assert not isinstance(server, Server)
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"hello\n")
            assert await reader.read() == b"HELLO\n"
            writer.close()

    run(scene)


def test_without_epoll_it_is_the_usual_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(select, "epoll")
    loop._kind.cache_clear()
    try:
        usual = new_event_loop()
        usual.close()
        assert not isinstance(usual, loop._Polled)
    finally:
        loop._kind.cache_clear()


def test_a_loop_that_is_closed_leaves_nothing_open(run: Run) -> None:
    pollers: list[Poller] = []

    async def scene() -> None:
        async with served(host="127.0.0.1", port=0):
            pollers.append(asyncio.get_running_loop()._poller)  # type: ignore[attr-defined]

    run(scene)
    assert pollers[0]._epoll.closed


# Letting in


class Full(socket.socket):
    """Of a system that has no descriptors left, while it is `full`; accepts in Python."""

    full = True
    refused = 0

    def accept(self) -> Any:
        if self.full:
            self.refused += 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


class Greeter(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(b"hello")
        transport.close()


@pytest.fixture
async def told() -> list[str]:
    """What the loop's handler is told."""
    said: list[str] = []
    running = asyncio.get_running_loop()
    running.set_exception_handler(lambda _, context: said.append(context["message"]))
    return said


@pytest.fixture
async def later(poller: Poller, monkeypatch: pytest.MonkeyPatch) -> asyncio.Future[Callable[[], None]]:
    """What is to be done after `RETRY_SECONDS`, as soon as that is known."""
    monkeypatch.setattr(module, "accept_each", accept_in_python)
    known: asyncio.Future[Callable[[], None]] = poller.loop.create_future()
    real = poller.loop.call_later

    def call_later(delay: float, call: Callable[..., Any], *arguments: Any) -> Any:
        if delay != module.RETRY_SECONDS:
            return real(delay, call, *arguments)
        return known.set_result(call)

    monkeypatch.setattr(poller.loop, "call_later", call_later)
    return known


async def greeted(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return await asyncio.wait_for(reader.read(), 20)
    finally:
        writer.close()


async def test_without_descriptors_it_tries_again_later_and_not_all_the_time(
    poller: Poller, told: list[str], later: asyncio.Future[Callable[[], None]]
) -> None:
    full = Full()
    full.bind(("127.0.0.1", 0))
    port = full.getsockname()[1]
    server = Server(poller, [full], Greeter, backlog=5)
    waiting = asyncio.ensure_future(greeted(port))
    again = await later
    for _ in range(20):
        await asyncio.sleep(0)
    assert (full.refused, len(told)) == (1, 1)
    full.full = False
    again()
    assert await waiting == b"hello"
    server.close()


async def test_one_that_is_closed_meanwhile_is_not_opened_again(
    poller: Poller, told: list[str], later: asyncio.Future[Callable[[], None]]
) -> None:
    full = Full()
    full.bind(("127.0.0.1", 0))
    server = Server(poller, [full], Greeter, backlog=5)
    _, writer = await asyncio.open_connection(*full.getsockname())
    again = await later
    server.close()
    again()
    assert len(told) == 1
    writer.close()


@pytest.mark.parametrize("where", ["factory", "connection_made"])
async def test_a_connection_that_fails_keeps_nobody_out(poller: Poller, told: list[str], where: str) -> None:
    failing = [True]

    class Failing(Greeter):
        def __init__(self) -> None:
            if failing and where == "factory":
                failing.pop()
                raise ZeroDivisionError

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            if failing:
                failing.pop()
                raise ZeroDivisionError
            super().connection_made(transport)

    listening = socket.create_server(("127.0.0.1", 0))
    server = Server(poller, [listening], Failing, backlog=5)
    port = listening.getsockname()[1]
    assert await greeted(port) == b""
    assert await greeted(port) == b"hello"
    assert told == ["a connection could not be begun"]
    server.close()


async def test_the_descriptor_of_one_that_cannot_be_watched_is_closed_once(
    poller: Poller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number may be another's by the time that what is left of it is thrown away."""
    others: list[int] = []
    kept: list[Exception] = []

    def told(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        others.append(os.dup(0))
        kept.append(context["exception"])

    poller.loop.set_exception_handler(told)
    listening = socket.create_server(("127.0.0.1", 0))
    server = Server(poller, [listening], Greeter, backlog=5)
    with monkeypatch.context() as patch:

        def full(*_: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr(Poller, "watch", full)
        assert await greeted(listening.getsockname()[1]) == b""
    kept.clear()
    gc.collect()
    assert len(others) == 1
    os.fstat(others[0])
    os.close(others[0])
    assert await greeted(listening.getsockname()[1]) == b"hello"
    server.close()


async def test_it_serves_until_it_is_cancelled(poller: Poller) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    server = Server(poller, [listening], Greeter, backlog=5)
    await server.start_serving()
    serving = asyncio.ensure_future(server.serve_forever())
    assert await greeted(port) == b"hello"
    serving.cancel()
    await asyncio.wait((serving,))
    assert not server.is_serving()
    with pytest.raises(ConnectionRefusedError):
        await greeted(port)


async def test_nobody_is_let_in_by_one_that_is_closed(poller: Poller) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    door = Listener(poller, listening, Greeter)
    door.close()
    door.open()
    door.close()
    assert poller._watched == {}

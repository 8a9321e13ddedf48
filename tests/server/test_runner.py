from __future__ import annotations

import asyncio
import signal
import socket
from typing import Any

import pytest

from holdfast.errors import ConfigurationError
from holdfast.server import runner
from holdfast.settings import load

DEADLINE = 20.0


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Starts and stops, and answers nothing."""
    if scope["type"] == "lifespan":
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})


class Draining:
    """A server whose connections take their time to leave."""

    def __init__(self) -> None:
        self.listener = runner.bind("127.0.0.1", 0)
        self.address = self.listener.getsockname()
        self.ready = asyncio.Event()
        self.began = asyncio.Event()
        self.left = asyncio.Event()
        config = runner.configuration(app, load())
        self.server = runner.Server(config, drain=self.drain, ready=self.ready.set)

    async def drain(self) -> None:
        self.began.set()
        await self.left.wait()

    async def begin(self) -> asyncio.Task[None]:
        """Serve, and send the first signal."""
        serving = asyncio.create_task(self.server.serve(sockets=[self.listener]))
        await asyncio.wait_for(self.ready.wait(), DEADLINE)
        signal.raise_signal(signal.SIGTERM)
        await asyncio.wait_for(self.began.wait(), DEADLINE)
        return serving


async def test_the_door_is_closed_before_connections_are_sent_away() -> None:
    """Or those who come back at once would come back to the same process."""
    draining = Draining()
    serving = await draining.begin()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*draining.address)
    assert not serving.done()
    draining.left.set()
    await asyncio.wait_for(serving, DEADLINE)
    assert not draining.server.force_exit


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_does_not_wait_for_anybody(second: signal.Signals) -> None:
    draining = Draining()
    serving = await draining.begin()
    signal.raise_signal(second)
    await asyncio.wait_for(serving, DEADLINE)
    assert not draining.left.is_set()
    assert draining.server.force_exit


async def test_signals_are_given_back_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    draining = Draining()
    draining.left.set()
    serving = await draining.begin()
    await asyncio.wait_for(serving, DEADLINE)
    assert signal.getsignal(signal.SIGTERM) is before


def test_port_0_takes_a_free_one_and_the_url_names_it() -> None:
    listener = runner.bind("127.0.0.1", 0)
    try:
        port = listener.getsockname()[1]
        assert port > 0
        assert runner.url("127.0.0.1", listener) == f"http://127.0.0.1:{port}"
    finally:
        listener.close()


def test_an_ipv6_address_is_bracketed_in_the_url() -> None:
    listener = runner.bind("127.0.0.1", 0)
    try:
        assert runner.url("::1", listener).startswith("http://[::1]:")
    finally:
        listener.close()


def test_a_taken_port_is_told_with_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"port {port} .* taken; .*--port 0"):
            runner.bind("127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host"])
def test_an_address_that_is_not_ours_is_told(host: str) -> None:
    with pytest.raises(ConfigurationError, match="no address of this machine; choose one with --host"):
        runner.bind(host, 0)


def test_sockets_are_not_compressed_and_bounded_past_our_own_limit() -> None:
    config = runner.configuration(app, load(max_frame_bytes=2048))
    assert config.ws_per_message_deflate is False
    assert config.ws_max_size == 8192


def test_uvicorn_leaves_logging_and_forwarded_headers_to_us() -> None:
    config = runner.configuration(app, load(trusted_proxies="10.0.0.0/8"))
    assert config.log_config is None
    assert config.proxy_headers is False

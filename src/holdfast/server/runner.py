"""Runs the app under uvicorn: says when it listens, and goes down gently.

The first SIGTERM or SIGINT closes the door, tells every live connection to come back (1012, each in its own slot) and
lets running requests finish. The second one quits at once.
"""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from holdfast.asgi.fastlane import HttpProtocol, Protocol
from holdfast.errors import ConfigurationError
from holdfast.settings import Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp

SIGNALS = (signal.SIGINT, signal.SIGTERM)
REQUEST_PATIENCE = 5
"""Seconds that requests which are still running get after the connections have left."""


class Server(uvicorn.Server):
    """A uvicorn server that drains its live connections before it stops."""

    def __init__(
        self, config: uvicorn.Config, *, drain: Callable[[], Awaitable[None]], ready: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._drain = drain
        self._ready = ready
        self._loop: asyncio.AbstractEventLoop | None = None
        self._quit = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell that the server listens."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        for sig in SIGNALS:
            # The app's lifespan may have put a drain of its own in front; here it is ours to do, once.
            signal.signal(sig, self.handle_exit)
        if self.started and not self.should_exit:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the door, let the live connections go, then stop."""
        for server in self.servers:
            server.close()
        leaving = asyncio.ensure_future(self._drain())
        quitting = asyncio.ensure_future(self._quit.wait())
        await asyncio.wait((leaving, quitting), return_when=asyncio.FIRST_COMPLETED)
        quitting.cancel()
        if not leaving.done():
            leaving.cancel()
        await asyncio.gather(leaving, quitting, return_exceptions=True)
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # uvicorn's signature
        """Stop gently on the first signal, at once on the second."""
        if self.should_exit:
            self.force_exit = True
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._quit.set)
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals while serving; unlike uvicorn's own, do not die of them again after a clean stop."""
        before = {sig: signal.signal(sig, self.handle_exit) for sig in SIGNALS}
        try:
            yield
        finally:
            for sig, handler in before.items():
                signal.signal(sig, handler)


def bind(host: str, port: int) -> socket.socket:
    """A bound socket, before anything else is begun.

    Raises:
        ConfigurationError: the address or port cannot be had; says what to choose instead.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror:
        raise ConfigurationError(f"{host!r} is no address of this machine; choose one with --host") from None
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise ConfigurationError(_bind_hint(error, host, port)) from None
    return listener


def url(host: str, listener: socket.socket) -> str:
    """Where the socket is reached with a browser."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listener.getsockname()[1]}"


def configuration(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """How uvicorn runs the app."""
    return uvicorn.Config(
        app,
        log_config=None,
        lifespan="on",
        http=HttpProtocol,
        ws=Protocol,
        # Past our own limit a client is told 4009 and why; this one only bounds memory.
        ws_max_size=4 * settings.max_frame_bytes,
        # Compression beside secrets invites CRIME, and costs 40 KB for each connection.
        ws_per_message_deflate=False,
        server_header=False,
        # `asgi.proxy` reads them itself, on every server alike; with uvicorn's rewriting it could not tell the proxy.
        proxy_headers=False,
        timeout_graceful_shutdown=REQUEST_PATIENCE,
    )


def _bind_hint(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"port {port} on {host} is taken; choose another with --port, or --port 0 for any that is free"
        case errno.EACCES:
            return f"port {port} is for root only; choose one from 1024 on with --port"
        case errno.EADDRNOTAVAIL:
            return f"{host!r} is no address of this machine; choose one with --host"
        case _:
            return f"cannot listen on {host}:{port}: {error.strerror}"

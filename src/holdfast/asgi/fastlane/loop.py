"""An event loop for uvicorn of which the connections are watched by a `Poller`.

It is uvloop's, or asyncio's where there is none, and differs in one thing: a server that uvicorn makes for plain TCP
has our `Listener` and `Transport`. Servers with TLS, on Unix sockets and of an app's own are made as ever, and so are
all where the system has no `epoll` (macOS).
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
from functools import cache
from typing import Any

from holdfast.asgi.fastlane.listener import Factory, Server
from holdfast.asgi.fastlane.poller import Poller

_INTERNET = frozenset((socket.AF_INET, socket.AF_INET6))


def new_event_loop() -> asyncio.AbstractEventLoop:
    """A new loop; for `uvicorn --loop` (0.36 or newer), and for `asyncio.Runner(loop_factory=…)`."""
    return _kind()()


@cache
def _kind() -> type[asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        usual: type[asyncio.AbstractEventLoop] = asyncio.SelectorEventLoop
    else:
        usual = uvloop.Loop
    return type("Loop", (_Polled, usual), {}) if hasattr(select, "epoll") else usual


class _Polled:
    """What a loop has instead of its own."""

    _poller: Poller | None = None

    async def create_server(
        self,
        protocol_factory: Factory,
        host: Any = None,
        port: Any = None,
        *,
        ssl: Any = None,
        sock: socket.socket | None = None,
        backlog: int = 100,
        **options: Any,
    ) -> asyncio.AbstractServer:
        make: Any = super().create_server  # type: ignore[misc]  # of the class behind this one
        if ssl is not None or options or not _is_uvicorns(protocol_factory) or not _is_plain(sock):
            usual: asyncio.AbstractServer = await make(
                protocol_factory, host, port, ssl=ssl, sock=sock, backlog=backlog, **options
            )
            return usual
        if sock is None:
            # It knows all about names, families and addresses that are taken: it binds, and we listen.
            bound = await make(protocol_factory, host, port, backlog=backlog, start_serving=False)
            sockets = [socket.socket(fileno=os.dup(each.fileno())) for each in bound.sockets]
            bound.close()
        else:
            sockets = [sock]
        if self._poller is None:
            assert isinstance(self, asyncio.AbstractEventLoop)
            self._poller = Poller(self)
        return Server(self._poller, sockets, protocol_factory, backlog=backlog)

    def close(self) -> None:
        poller, self._poller = self._poller, None
        if poller is not None:
            poller.close()
        super().close()  # type: ignore[misc]  # the same


def _is_uvicorns(factory: Factory) -> bool:
    """Whether it makes uvicorn's protocols: others may want of a transport what this one has not (`start_tls`)."""
    return getattr(factory, "__module__", None) == "uvicorn.server"


def _is_plain(sock: socket.socket | None) -> bool:
    return sock is None or (sock.family in _INTERNET and sock.type == socket.SOCK_STREAM)

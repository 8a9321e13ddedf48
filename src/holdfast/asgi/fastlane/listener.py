"""A server's listening sockets: all who wait at one are let in together."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable, Iterable
from typing import Any

from holdfast.asgi.fastlane.descriptors import accept_each
from holdfast.asgi.fastlane.poller import MOST_AT_ONCE, READ, Poller
from holdfast.asgi.fastlane.transport import Transport

Factory = Callable[[], asyncio.BaseProtocol]

OUT_OF_ROOM = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
RETRY_SECONDS = 1.0
"""How long nobody is let in where there are no descriptors left; asyncio's own loops wait as long."""

_ANYWHERE = frozenset(("0.0.0.0", "::"))  # noqa: S104  # told apart, not bound to


class Listener:
    """One listening socket; whoever is let in gets a `Transport` and a protocol of the factory's."""

    __slots__ = ("_factory", "_local", "_poller", "socket")

    def __init__(self, poller: Poller, listening: socket.socket, factory: Factory) -> None:
        self.socket = listening
        self._poller = poller
        self._factory = factory
        name = listening.getsockname()
        self._local = None if name[0] in _ANYWHERE else name
        """Where all its connections have arrived, if that is one address."""

    def open(self) -> None:
        """Let them in from now on; harmless once closed."""
        if self.socket.fileno() >= 0:
            self._poller.watch(self.socket.fileno(), self, READ)

    def close(self) -> None:
        """Let nobody in any more."""
        if self.socket.fileno() >= 0:
            self._poller.unwatch(self.socket.fileno())
            self.socket.close()

    def ready(self, events: int) -> None:  # noqa: ARG002  # there is only one that it can be
        """The poller's call."""
        try:
            came = accept_each(self.socket, MOST_AT_ONCE)
        except OSError as error:
            self._refused(error)
            return
        for fd, peer in came:
            self._let_in(fd, peer)

    def _let_in(self, fd: int, peer: Any) -> None:
        try:
            protocol = self._factory()
            family = self.socket.family
            transport = Transport(
                self._poller, fd, family=family, peer=peer, local=self._local, protocol=protocol
            )
        except Exception as error:  # noqa: BLE001  # whatever it is, it is about this one, and the next is let in
            os.close(fd)
            self._tell("a connection could not be begun", error)
            return
        try:
            protocol.connection_made(transport)
        except Exception as error:  # noqa: BLE001  # the same
            self._tell("a connection could not be begun", error)
            transport.abort()

    def _refused(self, error: OSError) -> None:
        self._tell("no connection could be accepted", error)
        if error.errno in OUT_OF_ROOM:
            # They go on waiting, and would be told of in every turn.
            self._poller.unwatch(self.socket.fileno())
            self._poller.loop.call_later(RETRY_SECONDS, self.open)

    def _tell(self, message: str, error: Exception) -> None:
        self._poller.loop.call_exception_handler({"message": message, "exception": error})


class Server(asyncio.AbstractServer):
    """What `create_server` gives, as far as uvicorn has a use for it. Its connections outlive it."""

    def __init__(
        self, poller: Poller, sockets: Iterable[socket.socket], factory: Factory, *, backlog: int
    ) -> None:
        self._loop = poller.loop
        self._listeners = [Listener(poller, each, factory) for each in sockets]
        for listener in self._listeners:
            listener.socket.setblocking(False)
            # On Linux those whom it lets in have it too.
            listener.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            listener.socket.listen(backlog)
            listener.open()

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """Those that listen."""
        return tuple(listener.socket for listener in self._listeners)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def is_serving(self) -> bool:
        return bool(self._listeners)

    def close(self) -> None:
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener.close()

    async def wait_closed(self) -> None:
        """Nothing is left to wait for."""

    async def start_serving(self) -> None:
        """It serves from the first."""

    async def serve_forever(self) -> None:
        """Until this is cancelled."""
        try:
            await self._loop.create_future()
        finally:
            self.close()

"""The built-in endpoint: whoever answers the app's messages has a task only while there are any."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.types import Receive, Scope, Send

from holdfast.asgi import handshake
from holdfast.asgi.driver import Driver
from holdfast.asgi.lane import Lane
from holdfast.asgi.node import Node
from holdfast.asgi.socket import LiveSocket, is_own_end
from holdfast.errors import ConnectionEnded
from holdfast.logs import get_logger
from holdfast.protocol import endings, frames

log = get_logger("holdfast.live")

PATH = "/ws"
"""Where the built-in endpoint is."""

PATIENCE = 5.0
"""Seconds that a server which goes down waits for handlers; those of endpoints are the server's own affair."""

MessageHandler = Callable[[LiveSocket, Any], Awaitable[None]]


class Service:
    """Gives the messages of built-in connections to one handler, those of a connection one after the other."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._serving: dict[Driver, asyncio.Task[None]] = {}
        self.handler: MessageHandler | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI endpoint. Over a lane it returns once the connection is proven, and that lives on without it."""
        node = self._node
        if node.be_started is not None:
            await node.be_started()
        driver = Driver(node, scope, service=self)
        try:
            await driver.open(receive, send)
        except ConnectionEnded:
            return
        if driver.adopted:
            return
        try:
            await driver.closed()
        except asyncio.CancelledError:
            await driver.finish(endings.RESTARTING)
            raise
        finally:
            await driver.finish()

    def takes(self, scope: Scope, lane: Lane) -> bool:
        """Take a connection without an ASGI call, which would be a tenth of its handshake.

        Not where something has to wait before the accept, or be refused without one.
        """
        node = self._node
        if not node.is_running() or node.refuse_over_http or not handshake.may_enter(node, scope):
            return False
        driver = Driver(node, scope, service=self)
        try:
            driver.take(lane)
        except BaseException:
            node.connections.remove(driver)
            raise
        return True

    def deliver(self, driver: Driver, message: Any, size: int) -> None:
        """A message has come; never waits."""
        if self.handler is None:
            why = "this server takes no messages here"
            driver.tell(frames.Error("no_handler", why, frames.id_of(message)))
        elif not driver.inbox.put(message, size):
            driver.tell(frames.busy(message))
        elif driver not in self._serving:
            task = asyncio.get_running_loop().create_task(self._serve(driver, self.handler))
            self._serving[driver] = task

    async def aclose(self) -> None:
        """Let the handlers that run come to their end, for a while; their connections have been ended before."""
        running = tuple(self._serving.values())
        if not running:
            return
        _, late = await asyncio.wait(running, timeout=PATIENCE)
        if late:
            log.warning("handlers cut short", handlers=len(late))
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _serve(self, driver: Driver, handler: MessageHandler) -> None:
        socket = LiveSocket(driver)
        try:
            while driver.inbox:
                await handler(socket, await driver.inbox.take())
        except (Exception, asyncio.CancelledError) as error:
            if _is_cancelled(error):
                raise
            if isinstance(error, ConnectionEnded) and is_own_end(driver, error):
                return  # it ended under a handler that still had something to say
            log.exception("handler failed", connection=driver.id)
            driver.end(endings.SERVER_ERROR)
        finally:
            del self._serving[driver]


def _is_cancelled(error: BaseException) -> bool:
    """Whether it is this task that is being cancelled, and not something that a handler has waited for."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0

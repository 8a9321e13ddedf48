"""What all connections of one server share: its settings, one timer, and the writes of a loop tick."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Coroutine, MutableMapping
from random import getrandbits
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from holdfast.asgi.fastlane.handshake import Headers, written
from holdfast.asgi.fastlane.tuning import tune_gc
from holdfast.asgi.fastlane.wheel import Wheel
from holdfast.asgi.lane import TAKES, Lane

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

    from holdfast.asgi.fastlane.protocol import Protocol

Scope = MutableMapping[str, Any]
App = Callable[..., Coroutine[Any, Any, Any]]
Takes = Callable[[Scope, Lane], bool]

_KEY = "holdfast_lanes"


class Lanes:
    """Made once for a server, by its first connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.loop = loop
        self.wheel = Wheel(loop)
        self.app: App = config.loaded_app
        self.app_state = app_state
        self.root_path: str = config.root_path
        self.asgi_version: str = config.asgi_version
        self.largest_message: int = config.ws_max_size
        self.ping_interval = config.ws_ping_interval or None
        self.ping_timeout = config.ws_ping_timeout
        self.deflates: bool = config.ws_per_message_deflate
        self.log = logging.getLogger("uvicorn.error")
        self.logs_access: bool = config.access_log
        self.connections: set[Any] = server_state.connections
        self.tasks = server_state.tasks
        self._state = server_state
        self._fresh_context: bool = config.reset_contextvars
        self.takes: Takes | None = getattr(self.app, TAKES, None)
        self._written: list[Protocol] = []
        self._headers: Headers = []
        self._head = b""
        tune_gc()

    @property
    def headers(self) -> Headers:
        """What the server sends along with every answer; anew each second."""
        return self._state.default_headers

    @property
    def head(self) -> bytes:
        """The same as they are written. Raises `ValueError` for a header that would end its line."""
        headers = self._state.default_headers
        if headers is not self._headers:
            self._head = written(headers)
            self._headers = headers
        return self._head

    def ping_payload(self) -> bytes:
        """Something that a peer cannot have answered before it was asked."""
        return getrandbits(32).to_bytes(4)

    # Running the app

    def run(self, call: Coroutine[Any, Any, None]) -> None:
        """Run a call of the app, in a task and a context of its own."""
        context = contextvars.Context() if self._fresh_context else contextvars.copy_context()
        task = self.loop.create_task(call, context=context)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def log_handshake(self, scope: Scope, what: str) -> None:
        """A line of uvicorn's access log, as its own WebSocket protocols write it."""
        if not self.logs_access or not self.log.isEnabledFor(logging.INFO):
            return
        client, query = scope["client"], scope["query_string"].decode("latin-1")
        path = quote(scope["path"])
        self.log.info(
            '%s - "WebSocket %s" %s',
            f"{client[0]}:{client[1]}" if client else "",
            f"{path}?{query}" if query else path,
            what,
        )

    # Writing

    def will_write(self, lane: Protocol) -> None:
        """Flush the lane once this tick is over."""
        if not self._written:
            self.loop.call_soon(self._flush)
        self._written.append(lane)

    def _flush(self) -> None:
        written, self._written = self._written, []
        for lane in written:
            lane.flush()


def lanes_of(
    config: Config,
    server_state: ServerState,
    app_state: dict[str, Any],
    loop: asyncio.AbstractEventLoop | None,
) -> Lanes:
    """The server's lanes; kept with its state, so that they live as long. Without a `loop`, of the one that runs."""
    kept = vars(server_state)
    found: Lanes | None = kept.get(_KEY)
    if found is None:
        found = kept[_KEY] = Lanes(config, server_state, app_state, loop or asyncio.get_running_loop())
    return found

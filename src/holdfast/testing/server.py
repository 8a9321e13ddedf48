"""A real server for tests: uvicorn in a thread of its own, on a free port of the loopback."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, TypeVar

from holdfast.asgi.clock import SystemRandom
from holdfast.hold import Holdfast
from holdfast.ports import Session, User
from holdfast.sessions.grant import Grant
from holdfast.tokens.issuer import Issuer

T = TypeVar("T")

START_DEADLINE = 30.0
TEST_SECRET = "a secret for tests only, which is long enough"  # noqa: S105  # it protects nothing
TEST_PASSWORD = "correct horse battery staple"  # noqa: S105  # the same


class RunningHoldfast:
    """A Holdfast behind a real socket, for as long as the `with` block lasts; call it from any thread."""

    def __init__(self, app: Callable[[Holdfast], Any] | None = None, **settings: Any) -> None:
        settings.setdefault("secret_key", TEST_SECRET)
        self.hold = Holdfast(**settings)
        self._issuer = Issuer(
            self.hold.keys,
            issuer=self.hold.settings.issuer,
            audience=self.hold.settings.audience,
            random=SystemRandom(),
        )
        self._make_app = app or _own_routes
        self._thread = threading.Thread(target=self._serve, name="holdfast test server", daemon=True)
        self._ready: Future[asyncio.AbstractEventLoop] = Future()
        self._stop: asyncio.Event | None = None
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self.port: int = self._socket.getsockname()[1]

    @property
    def url(self) -> str:
        """The HTTP address, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        """The WebSocket address, without a slash at its end."""
        return f"ws://127.0.0.1:{self.port}"

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the server's own loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._ready.result()).result(START_DEADLINE)

    def user(self, name: str, *, roles: Sequence[str] = (), password: str = TEST_PASSWORD) -> User:
        """A user of this name, made if there is none."""

        async def find_or_add() -> User:
            known = await self.hold.store.user_named(name)
            return known or await self.hold.sessions.add_user(name, password, roles)

        return self.run(find_or_add())

    def sign_in(self, name: str, *, roles: Sequence[str] = ()) -> Grant:
        """A new session of a user who need not exist yet."""
        user = self.user(name, roles=roles)
        return self.run(
            self.hold.sessions.open(
                user.id,
                name=user.name,
                roles=user.roles,
                client="program",
                address="127.0.0.1",
                user_agent="tests",
            )
        )

    def token(
        self,
        name: str = "ann",
        *,
        roles: Sequence[str] = (),
        expires_in: float | None = None,
        age: float = 0.0,
    ) -> str:
        """An access token of a new session, `age` seconds old, with `expires_in` seconds to live.

        Without `expires_in` it has what its age leaves of the configured lifetime; negative ones have expired.
        """
        grant = self.sign_in(name, roles=roles)
        now = self.hold.clock.now()
        left = self.hold.settings.access_lifetime - age if expires_in is None else expires_in
        return self.token_for(grant.session, grant.user, issued_at=now - age, expires_at=now + left)

    def token_for(self, session: Session, user: User, *, issued_at: float, expires_at: float) -> str:
        """An access token of a session you have, with times of your own."""
        issued_at = min(issued_at, expires_at - 1)
        aged = replace(session, auth_time=min(session.auth_time, issued_at))
        return self._issuer.issue(aged, user, now=issued_at, expires_at=expires_at)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.result(START_DEADLINE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stop is not None:
            self._ready.result().call_soon_threadsafe(self._stop.set)
        self._thread.join(START_DEADLINE)
        self._socket.close()

    def _serve(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:  # noqa: BLE001  # handed to the thread that waits for the start
            if not self._ready.done():
                self._ready.set_exception(error)

    async def _main(self) -> None:
        import uvicorn

        self._stop = asyncio.Event()
        config = uvicorn.Config(
            self._make_app(self.hold),
            log_config=None,
            access_log=False,
            lifespan="on",
            ws_max_size=4 * self.hold.settings.max_frame_bytes,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=5,
        )
        server = uvicorn.Server(config)
        serving = asyncio.ensure_future(server.serve(sockets=[self._socket]))
        while not server.started and not serving.done():  # noqa: ASYNC110  # uvicorn has no event for it
            await asyncio.sleep(0.005)
        if serving.done():
            raise RuntimeError("the server did not start; its log says why")
        self._ready.set_result(asyncio.get_running_loop())
        await self._stop.wait()
        await self.hold.drain()
        server.should_exit = True
        await serving


def _own_routes(hold: Holdfast) -> Any:
    from starlette.applications import Starlette

    return Starlette(routes=list(hold.routes), lifespan=hold.lifespan)

"""`Holdfast`: the one object that an app makes, which puts the parts together."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import cached_property, partial
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal, Self

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.types import ASGIApp

from holdfast import logs, redaction
from holdfast.asgi.clock import SystemClock, SystemRandom
from holdfast.asgi.cookies import RefreshCookie
from holdfast.asgi.history import History
from holdfast.asgi.live import (
    Handler,
    live_dependency,
    need_fastapi,
    principal_of,
    principal_or_answer,
    route,
)
from holdfast.asgi.node import Node
from holdfast.asgi.observing import guarded
from holdfast.asgi.principal import Principal
from holdfast.asgi.proxy import client_address, host
from holdfast.asgi.registry import Registry
from holdfast.asgi.routes import build_router, build_routes, granted
from holdfast.asgi.rules import ChannelRule, Rule, Rules
from holdfast.asgi.service import PATH as WS_PATH
from holdfast.asgi.service import MessageHandler, Service
from holdfast.brokers.memory import Memory, MemoryBroker
from holdfast.core.policy import Retention
from holdfast.errors import ConfigurationError, MisuseError, RefusedError, Unavailable
from holdfast.logs import get_logger
from holdfast.ports import AuditEvent, Broker, Clock, Observer, Random, SessionStore, TokenVerifier
from holdfast.protocol import channels
from holdfast.protocol.frames import Member, Position
from holdfast.sessions.grant import Grant
from holdfast.sessions.service import Sessions
from holdfast.settings import Settings, load
from holdfast.stores.sql import SqlStore
from holdfast.tokens.issuer import Issuer
from holdfast.tokens.keys import KeyRing
from holdfast.tokens.outside import AnyVerifier, OutsideVerifier
from holdfast.tokens.refresh import RefreshTokenCodec
from holdfast.tokens.verifier import Verifier

if TYPE_CHECKING:
    from fastapi import APIRouter

log = get_logger("holdfast")


class Holdfast:
    """Sessions and live connections for one ASGI app.

    Settings come from keyword arguments, then the environment (docs/settings.md); the database defaults to SQLite
    in the data directory. Use `lifespan` in the app, or `start` and `aclose` around it.

    Raises:
        ConfigurationError: something needed is missing or wrong; the text says what to do.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        store: SessionStore | None = None,
        broker: Broker | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
        observer: Observer | None = None,
        create_secret: bool = False,
        **overrides: Any,
    ) -> None:
        if settings is not None and overrides:
            raise ConfigurationError(f"give settings or {', '.join(overrides)}, not both")
        self.settings = settings or load(**overrides)
        self.clock: Clock = clock or SystemClock()
        self.store: SessionStore = store or SqlStore(_database_url(self.settings))
        chance: Random = random or SystemRandom()
        watching = guarded(observer)
        self.keys = KeyRing.load(self.settings, now=self.clock.now(), create=create_secret)
        self.sessions = Sessions(
            store=self.store,
            issuer=Issuer(
                self.keys, issuer=self.settings.issuer, audience=self.settings.audience, random=chance
            ),
            verifier=_verifier(self.keys, self.settings),
            refresh_tokens=RefreshTokenCodec(self.keys),
            clock=self.clock,
            random=chance,
            policy=self.settings.session_policy,
            refresh_lead=self.settings.refresh_lead_seconds,
            observer=watching,
        )
        self._rules = Rules(self.settings.retention, issuer=self.settings.issuer, knows=self._knows)
        self._node = Node(
            prover=self.sessions,
            clock=self.clock,
            random=chance,
            policy=self.settings.live_policy,
            broker=broker or MemoryBroker(chance, Memory(chance, most_bytes=self.settings.history_bytes)),
            rules=self._rules,
            issuer=self.settings.issuer,
            observer=watching,
            allowed_origins=self.settings.allowed_origins,
            refuse_over_http=self.settings.handshake == "http",
            drain_window=self.settings.drain_seconds,
            address_of=partial(client_address, trusted=self.settings.trusted_proxies),
            host_of=partial(host, trusted=self.settings.trusted_proxies),
            be_started=self.start,
        )
        self._service = Service(self._node)
        self.sessions.log.subscribe(self._node.hear)
        self._loop: asyncio.AbstractEventLoop | None = None
        """The loop in which this was started."""
        self._turns: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None

    # Life

    async def start(self) -> None:
        """Open the store and begin to keep time; harmless when that has been done.

        Servers without a lifespan (daphne) and apps that forgot it get this with their first request.

        Raises:
            ConfigurationError, Unavailable: the store cannot be used; the text says what to do.
        """
        if self._is_running():
            return
        async with self._turn():
            if self._is_running():
                return
            redaction.install()
            logs.show(self.settings.log_level)
            # A loop that ended without `aclose` took its tasks with it, and left the store open.
            if self._loop is None:
                await self.store.start()
            await self.sessions.start()
            await self._node.start()
            self._loop = asyncio.get_running_loop()

    async def drain(self) -> None:
        """Send every live connection away, spread over the drain window; new ones are told to come back too."""
        await self._node.drain()

    async def aclose(self) -> None:
        """End every connection and give everything back."""
        async with self._turn():
            loop = self._loop
            if loop is None:
                return
            if not loop.is_closed():
                await self._node.drain()
                await self._service.aclose()  # of which each handler may still use this
            self._loop = None
            if not loop.is_closed():
                await self._node.aclose()
                await self.sessions.aclose()
            await self.store.aclose()

    def _is_running(self) -> bool:
        return self._loop is not None and not self._loop.is_closed()

    def _turn(self) -> asyncio.Lock:
        """Lets one after the other start and stop; a lock is one loop's own, and tests have a loop each."""
        loop = asyncio.get_running_loop()
        if self._turns is None or self._turns[0] is not loop:
            self._turns = (loop, asyncio.Lock())
        return self._turns[1]

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    @asynccontextmanager
    async def lifespan(self, _app: Any) -> AsyncIterator[None]:
        """For `FastAPI(lifespan=hold.lifespan)` or Starlette; drains on SIGTERM before the server closes sockets."""
        async with self:
            with _drain_first(self.drain):
                yield

    # For apps

    @property
    def connections(self) -> Registry:
        """The live connections of this process."""
        return self._node.connections

    @property
    def draining(self) -> bool:
        """Whether this process is sending its connections away."""
        return self._node.draining

    @cached_property
    def router(self) -> APIRouter:
        """Every route of Holdfast for `app.include_router`, with OpenAPI."""
        need_fastapi()
        router = build_router(self.sessions, self.settings, jwks=self._jwks, be_started=self.start)
        router.routes.append(self._ws)
        return router

    @cached_property
    def routes(self) -> Sequence[BaseRoute]:
        """The same routes for `Starlette(routes=[*hold.routes, …])`."""
        return [*build_routes(self.sessions, self.settings, jwks=self._jwks, be_started=self.start), self._ws]

    @property
    def ws(self) -> ASGIApp:
        """The built-in endpoint alone, as an ASGI app; `router` and `routes` have it at `/ws`."""
        return self._service

    @cached_property
    def live(self) -> Any:
        """For `socket: LiveSocket = hold.live` on a FastAPI WebSocket endpoint: proven, renewed and revoked for you."""
        return need_fastapi().Depends(live_dependency(self._node))

    @cached_property
    def user(self) -> Any:
        """For `user: Principal = hold.user` on a FastAPI endpoint, HTTP or WebSocket alike.

        On a WebSocket it checks the token of the handshake once and leaves the socket to the endpoint; for one that
        holds through its tokens use `live`, whose `socket.user` says the same.
        """
        from fastapi.security import OAuth2PasswordBearer

        node = self._node

        class Bearer(OAuth2PasswordBearer):
            """FastAPI's own scheme, for the docs page; it does not know WebSockets, so the token is read elsewhere."""

            async def __call__(self, connection: HTTPConnection) -> Principal:  # type: ignore[override]  # see above
                return await principal_or_answer(node, connection)

        return need_fastapi().Depends(Bearer(tokenUrl="token", auto_error=False))

    async def authenticate(self, request: HTTPConnection) -> Principal:
        """Who a Starlette request comes from. Raises Starlette's `HTTPException`: 401, or 503 to try again later."""
        try:
            return await principal_of(self._node, request)
        except RefusedError as error:
            raise HTTPException(error.status, str(error), {"WWW-Authenticate": "Bearer"}) from None
        except Unavailable as error:
            raise HTTPException(503, str(error)) from None

    def websocket(self, path: str, handler: Handler) -> WebSocketRoute:
        """A Starlette route whose handler gets a `LiveSocket`."""
        return route(self._node, path, handler)

    def on_message(self, handler: MessageHandler) -> MessageHandler:
        """Register who answers the app's own messages on the built-in `/ws`; usable as a decorator.

        A connection's messages are answered one after the other. Those that wait when the connection ends with 4001
        (signed out, revoked) are dropped.
        """
        self._service.handler = handler
        return handler

    def channel(
        self,
        pattern: str,
        *,
        history_size: int | None = None,
        history_seconds: float | None = None,
        presence: bool = False,
    ) -> Callable[[Rule], ChannelRule]:
        """Let those read the channels of a pattern for whom the decorated function says so; all others stay closed.

        The function, async or not, is called with the user (a `Principal`), then what the pattern's names stand for:
        `{id}` takes no ":", `{rest:path}` does. It is asked at every subscription, and again at every renewal: who
        loses the right gets `unsubscribed`. The rule's `publisher` lets clients publish too; the first rule that fits
        decides alone. With `presence`, readers may see who else reads.

        Raises:
            MisuseError: the pattern cannot match or has a rule already, or the function does not take these arguments.
        """
        usual = self._rules.retention

        def register(reader: Rule) -> ChannelRule:
            rule = ChannelRule(
                pattern,
                reader,
                retention=Retention(
                    size=usual.size if history_size is None else history_size,
                    seconds=usual.seconds if history_seconds is None else history_seconds,
                ),
                presence=presence,
            )
            self._rules.add(rule)
            return rule

        return register

    async def publish(self, channel: str, data: Any, *, key: str | None = None) -> Position:
        """Send JSON data to everybody who is subscribed to a channel, and keep it for those who come back.

        Rules are for clients: the app itself may publish anywhere. With a `key`, publishing the same thing again within
        five minutes changes nothing and returns the position of the first time.

        Raises:
            MisuseError: no channel may have such a name.
            TypeError, ValueError: the data is not JSON.
            TooLarge: as JSON it has more bytes than a quarter of `HOLDFAST_MAX_BACKLOG_BYTES`.
            Unavailable: it was not published, or the broker cannot tell; with a `key`, try again.
        """
        await self.start()
        _check_channel(channel)
        return await self._node.hub.publish(channel, channels.data_text(data), key=key)

    async def history(self, channel: str, *, since: Position | None = None, limit: int = 100) -> History:
        """The newest `limit` publications of a channel, or the first `limit` after `since`, oldest first.

        Raises:
            MisuseError: no channel may have such a name, or `limit` is not at least 1.
            Unavailable: the broker cannot tell just now.
        """
        await self.start()
        _check_channel(channel)
        if limit < 1:
            raise MisuseError(f"the limit of a history is at least 1, and not {limit}")
        return History.of(await self._node.hub.history(channel, since, limit=limit))

    async def presence(self, channel: str) -> list[Member]:
        """Who is subscribed to a channel whose rule has presence."""
        await self.start()
        _check_channel(channel)
        return await self._node.hub.presence(channel)

    async def recheck(self, user: str | None = None) -> None:
        """Ask the rules of channels again for every connection of a user (id or name), or of everybody: on every node.

        They are asked at subscriptions and renewals by themselves. This is for a right that is taken away in between,
        and is to end now.
        """
        await self.start()
        known = None
        if user is not None:
            known = await self.store.user(user) or await self.store.user_named(user)
        changed = AuditEvent(
            kind="channel.rights_changed", at=self.clock.now(), user_id=user if known is None else known.id
        )
        await self.sessions.log.catch_up((await self.store.record(changed)).id)

    async def revoke(
        self,
        *,
        user: str | None = None,
        session: str | None = None,
        issuer: str | None = None,
        reason: str = "",
    ) -> None:
        """End one session, or all of a user (id or name): on every node, with every live connection.

        `reason` is shown to the person and kept in the audit log. Somebody of an outside issuer is named by its `sub`
        and its `issuer`. Without an `issuer`, a user known here is meant, and where there is none, that `sub` at any.
        """
        await self.start()
        await self.sessions.revoke(user=user, session=session, issuer=issuer, reason=reason)

    async def sign_in(
        self,
        user_id: str,
        *,
        name: str,
        roles: Sequence[str] = (),
        client: Literal["browser", "program"] = "browser",
        address: str | None = None,
        user_agent: str | None = None,
    ) -> Grant:
        """A session for somebody whose sign-in the app has checked itself; `answer` tells the client of it.

        `user_id` and `name` are the app's own. Roles are kept as given here, each time.

        Raises:
            RefusedError: the user is disabled here, or the name belongs to another id.
        """
        await self.start()
        return await self.sessions.open(
            user_id, name=name, roles=roles, client=client, address=address, user_agent=user_agent
        )

    def answer(self, request: Request, grant: Grant) -> Response:
        """The response to a client that signed in: what `/token` answers, with the refresh cookie for a browser."""
        return granted(request, grant, cookie=self._cookie, now=self.clock.now())

    async def check(self) -> dict[str, str]:
        """What keeps this process from serving, by name; empty when it is ready."""
        problems = {}
        try:
            await self.store.ping()
        except Unavailable as error:
            problems["store"] = str(error)
        if not self.sessions.log.healthy:
            problems["log"] = "the audit log cannot be followed: revocations from other processes are late"
        if self.draining:
            problems["draining"] = "this process is going down"
        return problems

    @cached_property
    def _cookie(self) -> RefreshCookie:
        return RefreshCookie(self.settings)

    async def _knows(self, user_id: str) -> bool:
        return await self.store.user(user_id) is not None

    def _jwks(self) -> dict[str, Any]:
        return self.keys.jwks(self.clock.now())

    @cached_property
    def _ws(self) -> WebSocketRoute:
        return WebSocketRoute(WS_PATH, self._service, name="holdfast-ws")


def _verifier(keys: KeyRing, settings: Settings) -> TokenVerifier:
    own = Verifier(keys, issuer=settings.issuer, audience=settings.audience)
    if settings.oidc_issuer is None:
        return own
    assert settings.oidc_jwks_url is not None
    assert settings.oidc_audience is not None
    outside = OutsideVerifier(
        issuer=settings.oidc_issuer,
        jwks_url=settings.oidc_jwks_url,
        audience=settings.oidc_audience,
        algorithms=settings.oidc_algorithms,
        cache_seconds=settings.oidc_cache_seconds,
    )
    return AnyVerifier(own, outside)


def _check_channel(name: str) -> None:
    if not channels.is_channel(name):
        raise MisuseError(f"{name!r} is no channel: {channels.BAD_CHANNEL}")


def _database_url(settings: Settings) -> str:
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    return f"sqlite:///{settings.data_dir / 'holdfast.db'}"


@contextlib.contextmanager
def _drain_first(drain: Callable[[], Any]) -> Any:
    """Let SIGTERM drain before the server's own handler runs, where that handler can be found and called.

    uvicorn closes every socket as soon as it hears SIGTERM, before the app's shutdown. Servers that listen in another
    way (docs/servers.md) close first, and their clients see the server's own 1012 or 1006.
    """
    try:
        previous = signal.getsignal(signal.SIGTERM)
        loop = asyncio.get_running_loop()
    except (ValueError, RuntimeError):
        previous = None
    if not callable(previous):
        yield
        return
    goes_down = previous

    def on_sigterm(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, goes_down)

        async def down() -> None:
            try:
                await drain()
            finally:
                goes_down(number, frame)

        loop.call_soon_threadsafe(lambda: tasks.append(loop.create_task(down())))

    tasks: list[asyncio.Task[None]] = []
    try:
        signal.signal(signal.SIGTERM, on_sigterm)
    except ValueError:  # not the main thread, which is the only one that hears signals
        yield
        return
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is on_sigterm:
            signal.signal(signal.SIGTERM, goes_down)

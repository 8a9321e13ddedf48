"""The session routes over a real store and a clock that stands still, and ASGI sockets by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import httpx
import jwt
import pytest
from argon2.profiles import CHEAPEST
from fastapi import FastAPI
from starlette.applications import Starlette

from holdfast.asgi.clock import SystemRandom
from holdfast.asgi.live import Connected
from holdfast.asgi.node import Node
from holdfast.asgi.routes import build_router, build_routes
from holdfast.asgi.rules import Rules
from holdfast.brokers.memory import MemoryBroker
from holdfast.core.connection import Proof
from holdfast.core.policy import LivePolicy, Retention
from holdfast.errors import SessionEnded, TokenInvalid, Unavailable
from holdfast.sessions.passwords import Passwords
from holdfast.sessions.service import Sessions
from holdfast.settings import Settings
from holdfast.stores.sql import SqlStore
from holdfast.testing.clock import ManualClock
from holdfast.tokens import algorithms
from holdfast.tokens.issuer import Issuer
from holdfast.tokens.keys import KeyRing
from holdfast.tokens.outside import AnyVerifier, OutsideVerifier
from holdfast.tokens.refresh import RefreshTokenCodec
from holdfast.tokens.verifier import Verifier

PASSWORD = "correct horse battery"
MARK = {"X-Holdfast": "1"}


class Provider:
    """An outside identity provider with one key, which the site takes tokens of too."""

    issuer = "https://id.example"

    @cached_property
    def _key(self) -> algorithms.Material:
        return algorithms.from_pem("ES256", algorithms.generate("ES256"))

    async def fetch(self, _url: str) -> bytes:
        return json.dumps({"keys": [self._key.public_jwk()]}).encode()

    def token(self, sub: str, now: float, **claims: Any) -> str:
        """An access token for anybody whatsoever."""
        said = {"iss": self.issuer, "aud": "holdfast", "sub": sub, "iat": int(now), "exp": int(now) + 60}
        return jwt.encode(
            {**said, **claims}, self._key.private, algorithm="ES256", headers={"kid": self._key.kid}
        )

    def verifier(self) -> OutsideVerifier:
        return OutsideVerifier(
            issuer=self.issuer, jwks_url="https://id.example/jwks", audience="holdfast", fetch=self.fetch
        )


class Site:
    """An app with the session routes, and browsers and programs to visit it with."""

    def __init__(
        self,
        kind: str,
        sessions: Sessions,
        store: SqlStore,
        clock: ManualClock,
        keys: KeyRing,
        provider: Provider,
    ) -> None:
        self.kind = kind
        self.sessions = sessions
        self.store = store
        self.clock = clock
        self.keys = keys
        self.provider = provider
        self._clients: list[httpx.AsyncClient] = []
        self.serve()

    def serve(self, **settings: Any) -> None:
        """Serve anew with these settings."""
        given = Settings(**{"access_token_expire_minutes": 1, **settings})

        def jwks() -> dict[str, Any]:
            return self.keys.jwks(self.clock.now())

        if self.kind == "fastapi":
            self.app: Any = FastAPI()
            self.app.include_router(build_router(self.sessions, given, jwks=jwks))
        else:
            self.app = Starlette(routes=build_routes(self.sessions, given, jwks=jwks))

    def visitor(
        self, base_url: str = "http://localhost", address: str = "127.0.0.1", **headers: str
    ) -> httpx.AsyncClient:
        """A client with a cookie jar of its own."""
        transport = httpx.ASGITransport(self.app, client=(address, 40_000))
        client = httpx.AsyncClient(transport=transport, base_url=base_url, headers=headers)
        self._clients.append(client)
        return client

    async def browser(self, name: str = "ann", base_url: str = "http://localhost") -> httpx.AsyncClient:
        """A browser that has signed in; its requests carry the access token and the header."""
        client = self.visitor(base_url)
        answer = await client.post("/token", data={"username": name, "password": PASSWORD})
        assert answer.status_code == 200
        client.headers.update({**MARK, "Authorization": f"Bearer {answer.json()['access_token']}"})
        return client

    async def program(self, name: str = "ann") -> tuple[httpx.AsyncClient, dict[str, Any]]:
        """A program that has signed in, and its tokens."""
        client = self.visitor()
        form = {"username": name, "password": PASSWORD, "client": "program"}
        tokens = (await client.post("/token", data=form)).json()
        client.headers.update({**MARK, "Authorization": f"Bearer {tokens['access_token']}"})
        return client, tokens

    def stranger(self, sub: str, **claims: Any) -> httpx.AsyncClient:
        """Somebody with a token of the outside issuer."""
        token = self.provider.token(sub, self.clock.now(), **claims)
        return self.visitor(**MARK, Authorization=f"Bearer {token}")

    async def aclose(self) -> None:
        for client in self._clients:
            await client.aclose()


@pytest.fixture(params=["fastapi", "starlette"])
async def site(request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    """The site, with users ann and bob."""
    clock = ManualClock(1_800_000_000.25)
    store = SqlStore("sqlite://")
    keys = KeyRing.from_secret("a secret for tests that is long enough to sign with")
    provider = Provider()
    settings = Settings(access_token_expire_minutes=1)
    passwords = Passwords(profile=CHEAPEST)
    sessions = Sessions(
        store=store,
        issuer=Issuer(keys, issuer="holdfast", audience="holdfast", random=SystemRandom()),
        verifier=AnyVerifier(Verifier(keys, issuer="holdfast", audience="holdfast"), provider.verifier()),
        refresh_tokens=RefreshTokenCodec(keys),
        clock=clock,
        random=SystemRandom(),
        policy=settings.session_policy,
        refresh_lead=settings.refresh_lead_seconds,
        passwords=passwords,
    )
    await store.start()
    await sessions.start()
    await sessions.add_user("ann", PASSWORD, ["admin"])
    await sessions.add_user("bob", PASSWORD)
    made = Site(request.param, sessions, store, clock, keys, provider)
    yield made
    await made.aclose()
    await sessions.aclose()
    await store.aclose()


DEADLINE = 20.0


@dataclass
class FakeProver:
    """Takes `user` or `user:session` as a token; anything that begins with `bad` is none."""

    clock: ManualClock
    lifetime: float = 100.0
    revoked: set[str] = field(default_factory=set)
    down: bool = False

    async def authenticate(self, token: str) -> Proof:
        if self.down:
            raise Unavailable("the keys cannot be fetched")
        if token.startswith("bad"):
            raise TokenInvalid(detail="it is bad")
        user, _, session = token.partition(":")
        expires_at = self.clock.now() + self.lifetime
        return Proof(user=user, name=user, issuer="x", expires_at=expires_at, session=session or "s")

    async def redeem_ticket(self, text: str, *, origin: str | None) -> Proof:
        raise TokenInvalid(detail=f"no ticket of {len(text)} characters from {origin}")

    def check_revoked(self, proof: Proof) -> None:
        if proof.session in self.revoked:
            raise SessionEnded(reason="signed_out")


class FakeSocket:
    """The server's side of ASGI, by hand."""

    def __init__(self, *, query: str = "token=ann", v1: bool = True, extensions: dict | None = None) -> None:
        self.scope: dict[str, Any] = {
            "type": "websocket",
            "path": "/ws",
            "query_string": query.encode(),
            "headers": [(b"host", b"testserver")],
            "subprotocols": ["holdfast.v1"] if v1 else [],
            "extensions": extensions or {},
            "client": ("192.0.2.1", 1),
        }
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: list[dict[str, Any]] = []
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.slowness = 0
        """How many ticks of the loop the server takes for a message."""
        self.incoming.put_nowait({"type": "websocket.connect"})

    async def receive(self) -> dict[str, Any]:
        return await self.incoming.get()

    async def send(self, message: Any) -> None:
        if message["type"] == "websocket.send":
            await self.flowing.wait()
            for _ in range(self.slowness):
                await asyncio.sleep(0)
        self.sent.append(message)

    def say(self, message: Any) -> None:
        self.incoming.put_nowait({"type": "websocket.receive", "text": json.dumps(message)})

    def frames(self) -> list[dict[str, Any]]:
        return [json.loads(m["text"]) for m in self.sent if m["type"] == "websocket.send"]

    async def until(self, what) -> None:
        async with asyncio.timeout(DEADLINE):
            while not what():  # noqa: ASYNC110  # what is waited for is a list of the fake's
                await asyncio.sleep(0)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def make_node(clock: ManualClock) -> Any:
    """Nodes with a broker and rules of their own; what is given changes one."""

    def make(**changed: Any) -> Node:
        given: dict[str, Any] = {
            "prover": FakeProver(clock),
            "clock": clock,
            "random": SystemRandom(),
            "policy": LivePolicy(),
            "broker": MemoryBroker(SystemRandom()),
            "rules": Rules(Retention(size=100, seconds=600)),
            "drain_window": 5,
        }
        return Node(**{**given, **changed})

    return make


@pytest.fixture
async def node(make_node: Any) -> AsyncIterator[Node]:
    made = make_node()
    await made.start()
    yield made
    await made.aclose()


@pytest.fixture
def fake_socket() -> type[FakeSocket]:
    return FakeSocket


@pytest.fixture
def live() -> Any:
    """A block in which a fake socket is a live connection of a node."""

    def connect(node: Node, socket: FakeSocket) -> Any:
        return Connected(node, socket)

    return connect

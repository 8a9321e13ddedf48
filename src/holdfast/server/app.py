"""The ready server: everything of Holdfast in one FastAPI app, with an echo on `/ws`."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

import holdfast
from holdfast.asgi import answers
from holdfast.asgi.answers import NO_STORE
from holdfast.asgi.models import Refusal
from holdfast.asgi.principal import Principal
from holdfast.asgi.proxy import client_address
from holdfast.asgi.socket import LiveSocket
from holdfast.errors import Forbidden, RefusedError, Unavailable
from holdfast.hold import Holdfast
from holdfast.logs import get_logger
from holdfast.ports import Clock, Random, SessionStore
from holdfast.server.admin import build_admin
from holdfast.server.dashboard import Dashboard
from holdfast.server.first_start import ADMIN, FirstAdmin, ensure_admin
from holdfast.server.headers import SafeHeaders
from holdfast.server.metrics import CONTENT_TYPE, Exposition, Meter
from holdfast.server.stats import Sampler
from holdfast.settings import Settings

log = get_logger("holdfast.server")

FORWARDED = ("x-forwarded-for", "x-real-ip", "forwarded")


@dataclass(frozen=True, slots=True)
class Parts:
    """What the app is made of, as `app.state.parts`."""

    hold: Holdfast
    meter: Meter
    sampler: Sampler


def build_app(
    settings: Settings,
    *,
    store: SessionStore | None = None,
    clock: Clock | None = None,
    random: Random | None = None,
) -> FastAPI:
    """The ready server; the data directory and a secret are made if there are none.

    Raises:
        ConfigurationError: it cannot be started with these settings.
    """
    meter = Meter()
    hold = Holdfast(settings, store=store, clock=clock, random=random, observer=meter, create_secret=True)
    sampler = Sampler(meter, hold.connections, hold.clock)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with hold.lifespan(app):
            announce(await ensure_admin(hold))
            sampler.start()
            try:
                yield
            finally:
                await sampler.aclose()

    app = FastAPI(
        title="Holdfast", version=holdfast.__version__, description=holdfast.__doc__ or "", lifespan=lifespan
    )
    app.state.parts = Parts(hold, meter, sampler)
    app.include_router(hold.router)
    app.include_router(build_admin(hold, meter, sampler))
    hold.on_message(_echo)
    open_channels(hold)
    _add_health(app, hold)
    _add_metrics(app, settings, Exposition(meter, lambda: len(hold.connections)))
    _add_answers(app)
    _add_root(app, Dashboard.built(trusted=settings.trusted_proxies))
    app.add_middleware(SafeHeaders, trusted=settings.trusted_proxies)
    if settings.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.allowed_origins),
            allow_credentials=True,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-Holdfast"],
        )
    return app


def announce(admin: FirstAdmin | None) -> None:
    """Show the first administrator's password once, on the terminal and nowhere else."""
    if admin is None:
        return
    told = f"First start: the administrator is {admin.name!r}."
    if admin.password is not None:
        told += f" The password is {admin.password}\nIt is shown only now."
    print(f"\n{told}\n", file=sys.stderr, flush=True)


def open_channels(hold: Holdfast) -> None:
    """The ready server's own rules, as its settings have them."""
    publishers = hold.settings.publishers

    def everyone(user: Principal) -> bool:  # noqa: ARG001  # whoever has a token
        return True

    def publisher(user: Principal) -> bool:
        if user.has_role(ADMIN) or publishers == "everyone":
            return True
        return publishers == "programs" and user.client == "program"

    for pattern in hold.settings.channels:
        hold.channel(pattern, presence=True)(everyone).publisher(publisher)


async def _echo(socket: LiveSocket, message: Any) -> None:
    await socket.send_json({"echo": message})


def _add_health(app: FastAPI, hold: Holdfast) -> None:
    @app.get("/healthz", tags=["health"])
    async def healthz() -> dict[str, str]:
        """Whether this process runs at all."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["health"], responses={503: {"description": "Not ready, and why."}})
    async def readyz() -> JSONResponse:
        """Whether this process should be sent requests: the store answers, the log is followed, no drain is on."""
        problems = await hold.check()
        status = "not ready" if problems else "ready"
        return JSONResponse({"status": status, "problems": problems}, 503 if problems else 200)


def _add_root(app: FastAPI, dashboard: Dashboard | None) -> None:
    """The dashboard; where it has not been built, `/` only says what this is."""
    if dashboard is not None:
        dashboard.add_to(app)
        return

    @app.get("/", include_in_schema=False)
    async def root() -> dict[str, str]:
        return {"holdfast": holdfast.__version__, "docs": "/docs"}


def _add_metrics(app: FastAPI, settings: Settings, exposition: Exposition) -> None:
    networks = [ip_network(text, strict=False) for text in settings.metrics_networks]

    def may_read(request: Request) -> bool:
        peer = request.client.host if request.client else None
        asker = client_address(request.scope, settings.trusted_proxies)
        if asker is None:
            return False
        if asker == peer and any(name in request.headers for name in FORWARDED):
            # A proxy that nobody told us of: its own address says nothing about who asks.
            return False
        address = ip_address(asker)
        return address.is_loopback or any(address in network for network in networks)

    @app.get(
        "/metrics",
        tags=["health"],
        response_class=PlainTextResponse,
        responses={403: {"model": Refusal, "description": "Not from a network that may read them."}},
    )
    async def metrics(request: Request) -> Response:
        """Counts for Prometheus: from this machine, and from the networks of HOLDFAST_METRICS_NETWORKS."""
        if not may_read(request):
            raise Forbidden(
                "Metrics are for this machine; HOLDFAST_METRICS_NETWORKS lets others read them.",
                detail="not in HOLDFAST_METRICS_NETWORKS",
            )
        return Response(exposition.text(), media_type=CONTENT_TYPE)


def _add_answers(app: FastAPI) -> None:
    """One shape for everything that goes wrong: `{"code", "message"}`, with what helps a program beside it."""

    @app.exception_handler(RefusedError)
    async def refused(_request: Request, error: RefusedError) -> Response:
        return answers.refusal(error)

    @app.exception_handler(Unavailable)
    async def unavailable(_request: Request, error: Unavailable) -> Response:
        log.error("request failed", error=str(error))
        return answers.unavailable()

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        # FastAPI's own answer repeats what was sent, and people send passwords.
        said = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        return JSONResponse({"code": "bad_input", "message": "; ".join(said)}, 422, NO_STORE)

    @app.exception_handler(HTTPException)
    async def answered(_request: Request, error: HTTPException) -> JSONResponse:
        known = isinstance(error.detail, dict)
        body = error.detail if known else {"code": f"http_{error.status_code}", "message": error.detail}
        return JSONResponse(body, error.status_code, error.headers)

"""The HTTP routes of sessions: plain Starlette handlers, which FastAPI serves too, with the docs of `openapi`."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from holdfast.asgi import answers, bodies, models, proxy
from holdfast.asgi.carriers import bearer
from holdfast.asgi.cookies import RefreshCookie
from holdfast.asgi.guard import Guard
from holdfast.core.connection import Proof
from holdfast.errors import (
    NotFound,
    RefusedError,
    SessionEnded,
    TokenInvalid,
    Unavailable,
)
from holdfast.logs import get_logger
from holdfast.sessions.grant import Grant
from holdfast.sessions.service import Sessions
from holdfast.settings import Settings

if TYPE_CHECKING:
    from fastapi import APIRouter

Handler = Callable[[Request], Awaitable[Response]]
Jwks = Callable[[], dict[str, Any]]
Start = Callable[[], Awaitable[None]]

JWKS_CACHE = {"Cache-Control": "public, max-age=300"}
"""Public keys are public; the time is that which a new key waits before it signs."""

logger = get_logger("holdfast.sessions")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One route, with what its documentation says."""

    method: str
    path: str
    handle: Handler
    guarded: bool
    """Whether it needs the header `X-Holdfast: 1`."""
    bearer: bool
    """Whether it needs an access token."""
    answer: type[BaseModel] | None = None
    """What 200 answers; `None` for 204."""
    body: type[BaseModel] | None = None
    form: bool = False
    refuses: tuple[int, ...] = ()
    """Statuses of refusals, besides those that follow from the fields above."""

    @property
    def words(self) -> tuple[str, str]:
        """The first line of its documentation without the full stop, and the rest."""
        summary, _, rest = inspect.cleandoc(self.handle.__doc__ or "").partition("\n")
        return summary.rstrip("."), " ".join(rest.split())


def build_routes(
    sessions: Sessions, settings: Settings, *, jwks: Jwks | None = None, be_started: Start | None = None
) -> list[Route]:
    """The routes for `Starlette(routes=…)`.

    `jwks` gives the public keys where the algorithm has some; `be_started` is awaited before each request, for servers
    that tell nobody when they start.
    """
    guard = Guard(settings)
    found = endpoints(sessions, settings, guard, jwks)
    routes = [
        Route(each.path, serve(each, guard, be_started), methods=[each.method], name=_name(each))
        for each in found
    ]
    return routes + other_methods(found, guard)


def build_router(
    sessions: Sessions, settings: Settings, *, jwks: Jwks | None = None, be_started: Start | None = None
) -> APIRouter:
    """The same handlers for `app.include_router`, with OpenAPI; needs FastAPI."""
    from holdfast.asgi import openapi

    guard = Guard(settings)
    found = endpoints(sessions, settings, guard, jwks)
    return openapi.router(
        found, [serve(each, guard, be_started) for each in found], other_methods(found, guard)
    )


def endpoints(
    sessions: Sessions, settings: Settings, guard: Guard, jwks: Jwks | None = None
) -> list[Endpoint]:
    """Every route of sessions."""
    do = Handlers(sessions, settings, guard, jwks)

    def own(method: str, path: str, handle: Handler, **facts: Any) -> Endpoint:
        return Endpoint(
            method=method, path=path, handle=handle, bearer=True, guarded=method != "GET", **facts
        )

    return [
        Endpoint(
            method="POST", path="/token", handle=do.token, guarded=False, bearer=False,
            body=models.SignIn, form=True, answer=models.Tokens, refuses=(401, 403, 429),
        ),
        Endpoint(
            method="POST", path="/auth/refresh", handle=do.refresh, guarded=True, bearer=False,
            body=models.RefreshToken, answer=models.Tokens, refuses=(401, 429),
        ),
        own("POST", "/auth/confirm", do.confirm),
        Endpoint(
            method="POST", path="/auth/logout", handle=do.logout, guarded=True, bearer=False,
            body=models.RefreshToken, refuses=(401,),
        ),
        own("POST", "/auth/logout-everywhere", do.logout_everywhere, body=models.Everywhere),
        own("GET", "/auth/me", do.me, answer=models.Me),
        own("GET", "/auth/sessions", do.list_sessions, answer=models.Devices),
        own("DELETE", "/auth/sessions/{sid}", do.end_session, refuses=(404,)),
        own("POST", "/auth/password", do.password, body=models.NewPassword, refuses=(429,)),
        own("POST", "/auth/ticket", do.ticket, answer=models.Ticket),
        Endpoint(
            method="GET", path="/.well-known/jwks.json", handle=do.jwks, guarded=False, bearer=False,
            answer=models.Jwks, refuses=(404,),
        ),
    ]  # fmt: skip


class Handlers:
    """One method for each route; what they raise becomes an answer in `serve`."""

    def __init__(self, sessions: Sessions, settings: Settings, guard: Guard, jwks: Jwks | None) -> None:
        self._sessions = sessions
        self._trusted = settings.trusted_proxies
        self._guard = guard
        self._jwks = jwks
        self._cookie = RefreshCookie(settings)

    async def token(self, request: Request) -> Response:
        """Sign in with name and password.

        A browser gets its refresh token as a cookie that no script can read; with `client=program` it is in the answer.
        """
        # A foreign page could otherwise sign its visitors in as somebody of its own choosing.
        self._guard.check_origin(request)
        form = await bodies.read_form(request, models.SignIn)
        grant = await self._sessions.sign_in(
            form.username,
            form.password.get_secret_value(),
            client=form.client,
            address=self._address(request),
            user_agent=request.headers.get("user-agent"),
        )
        return granted(request, grant, cookie=self._cookie, now=self._sessions.now())

    async def refresh(self, request: Request) -> Response:
        """Get new tokens for a refresh token: the browser's cookie, or `refresh_token` in the body.

        The cookie stays as it is when this is refused: the answer may come late, after somebody has signed in again.
        """
        body = await bodies.read_json(request, models.RefreshToken)
        token = body.refresh_token or self._cookie.read(request)
        if token is None:
            raise TokenInvalid("You are not signed in. Please sign in.", detail="no refresh token")
        grant = await self._sessions.refresh(
            token, address=self._address(request), user_agent=request.headers.get("user-agent")
        )
        return granted(request, grant, cookie=self._cookie, now=self._sessions.now())

    async def confirm(self, request: Request) -> Response:
        """Show that the newest access token has arrived, so that the refresh token before it is spent."""
        proof = await self._proof(request)
        await self._sessions.confirm(proof)  # again only if the store could not take it a moment ago
        return answers.done()

    async def logout(self, request: Request) -> Response:
        """Sign out: end the session of the refresh token (cookie or body), or else of the access token.

        The cookie is taken back. A session that is over, or a refresh token that is none of ours, is no error: the
        outcome is the one wished for.
        """
        body = await bodies.read_json(request, models.RefreshToken)
        token = body.refresh_token or self._cookie.read(request)
        if token is not None:
            await self._sessions.log_out_by_token(token)
        elif bearer(request.scope["headers"]) is not None:
            await self._log_out_bearer(request)
        response = answers.done()
        self._cookie.clear(request, response)
        return response

    async def logout_everywhere(self, request: Request) -> Response:
        """Sign out on all devices, or on all others."""
        proof = await self._proof(request)
        body = await bodies.read_json(request, models.Everywhere)
        await self._sessions.log_out_everywhere(proof, keep_this=body.keep_this_session)
        response = answers.done()
        if not body.keep_this_session:
            self._cookie.clear(request, response)
        return response

    async def me(self, request: Request) -> Response:
        """Who the access token says is there."""
        proof = await self._proof(request)
        left = proof.expires_at - self._sessions.now()
        return answers.json(
            models.Me(
                id=proof.user,
                name=proof.name,
                roles=list(proof.roles),
                session_id=proof.session,
                expires_in=answers.whole(left),
            )
        )

    async def list_sessions(self, request: Request) -> Response:
        """One's own sessions, on all devices."""
        proof = await self._proof(request)
        found = await self._sessions.own_sessions(proof)
        return answers.json(
            models.Devices(
                sessions=[
                    models.Device(
                        id=session.id,
                        current=session.id == proof.session,
                        client=session.client,
                        created_at=session.created_at,
                        last_seen_at=session.last_seen_at,
                        idle_expires_at=session.idle_expires_at,
                        absolute_expires_at=session.absolute_expires_at,
                        address=session.address,
                        user_agent=session.user_agent,
                    )
                    for session in found
                ]
            )
        )

    async def end_session(self, request: Request) -> Response:
        """End one of one's own sessions, on this device or another."""
        proof = await self._proof(request)
        sid = request.path_params["sid"]
        await self._sessions.end_session(proof, sid)
        response = answers.done()
        if sid == proof.session:
            self._cookie.clear(request, response)
        return response

    async def password(self, request: Request) -> Response:
        """Change one's own password; all other sessions of one's own end."""
        proof = await self._proof(request)
        body = await bodies.read_json(request, models.NewPassword)
        await self._sessions.change_password(
            proof,
            body.old_password.get_secret_value(),
            body.new_password.get_secret_value(),
            address=self._address(request),
        )
        return answers.done()

    async def ticket(self, request: Request) -> Response:
        """Get a ticket for a WebSocket's URL: one use, 30 seconds, from the same Origin."""
        proof = await self._proof(request)
        text, seconds = await self._sessions.issue_ticket(proof, origin=request.headers.get("origin"))
        return answers.json(models.Ticket(ticket=text, expires_in=answers.whole(seconds)))

    async def jwks(self, _request: Request) -> Response:
        """The public keys that access tokens are verified with, where the algorithm has public keys."""
        found = self._jwks() if self._jwks is not None else {}
        if not found.get("keys"):
            raise NotFound(
                "Access tokens are signed with a secret here (HS256), so there are no public keys."
            )
        return JSONResponse(found, headers=JWKS_CACHE)

    async def _proof(self, request: Request) -> Proof:
        token = bearer(request.scope["headers"])
        if token is None:
            raise TokenInvalid(
                "You are not signed in. Send an access token: Authorization: Bearer …",
                detail="no access token",
            )
        return await self._sessions.authenticate(token)

    async def _log_out_bearer(self, request: Request) -> None:
        try:
            proof = await self._proof(request)
        except SessionEnded:
            return
        await self._sessions.log_out_by_proof(proof)

    def _address(self, request: Request) -> str | None:
        return proxy.client_address(request.scope, self._trusted)


def granted(request: Request, grant: Grant, *, cookie: RefreshCookie, now: float) -> Response:
    """What a client is answered that has signed in or refreshed: its tokens."""
    session = grant.session
    program = session.client == "program"
    body = models.Tokens(
        access_token=grant.access_token,
        expires_in=answers.whole(grant.expires_in),
        refresh_in=round(grant.refresh_in, 3),
        session_id=session.id,
        generation=session.generation,
        user=models.Person(id=grant.user.id, name=grant.user.name, roles=list(grant.user.roles)),
        # By the session and not by how the token came: what was once a cookie is never in a body (C44).
        refresh_token=grant.refresh_token if program else None,
    )
    response = answers.json(body, exclude_none=True)
    if not program and (grant.outcome is None or grant.outcome.replaces):
        # A coalesced answer brings nothing new, and one that comes late would put back what has been replaced.
        cookie.set(request, response, grant.refresh_token, seconds=session.idle_expires_at - now)
    return response


def serve(endpoint: Endpoint, guard: Guard, be_started: Start | None = None) -> Handler:
    """The handler with the guard before it and every refusal as an answer."""

    async def answer(request: Request) -> Response:
        try:
            if be_started is not None:
                await be_started()
            if endpoint.guarded:
                guard.check(request)
            response = await endpoint.handle(request)
        except RefusedError as error:
            logger.info(
                "request refused",
                path=endpoint.path,
                status=error.status,
                code=error.code,
                detail=error.detail,
            )
            response = answers.refusal(error)
        except Unavailable as error:
            logger.error("request failed", path=endpoint.path, error=str(error))
            response = answers.unavailable()
        guard.share(request, response)
        return response

    answer.__name__ = _name(endpoint)
    answer.__doc__ = endpoint.handle.__doc__
    return answer


def other_methods(found: Sequence[Endpoint], guard: Guard) -> list[Route]:
    """For each path, the answer to a preflight (OPTIONS) and to methods that it has not."""
    methods: dict[str, list[str]] = {}
    for each in found:
        methods.setdefault(each.path, []).append(each.method)
    return [
        Route(path, _Other(", ".join([*known, "OPTIONS"]), guard), name=f"{path} otherwise")
        for path, known in methods.items()
    ]


class _Other:
    """An ASGI app, so that Starlette leaves the method to it."""

    def __init__(self, methods: str, guard: Guard) -> None:
        self._methods = methods
        self._guard = guard

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        response: Response
        if request.method == "OPTIONS":
            try:
                response = self._guard.preflight(request, self._methods)
            except RefusedError as error:
                response = answers.refusal(error)
        else:
            message = f"This address takes {self._methods}."
            body = models.Refusal(code="method_not_allowed", message=message)
            response = answers.json(body, status=405, exclude_none=True)
            response.headers["Allow"] = self._methods
        self._guard.share(request, response)
        await response(scope, receive, send)


def _name(endpoint: Endpoint) -> str:
    return f"holdfast-{endpoint.handle.__name__}".replace("_", "-")

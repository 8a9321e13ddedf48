"""A session with a server, for programs: signs in, refreshes by itself, keeps its tokens in memory."""

from __future__ import annotations

import asyncio
import random as chance
import ssl
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import httpx

from holdfast.client.answers import Granted, body_of, code_of, seconds_of
from holdfast.client.clock import Clocks, SystemClocks
from holdfast.client.connection import LiveConnection
from holdfast.client.keeper import OURS, PATIENCE, Keeper, Person
from holdfast.client.listeners import Listener
from holdfast.client.machine import News, State
from holdfast.client.sockets import Connect, opener
from holdfast.errors import (
    BadCredentials,
    BadInput,
    Conflict,
    Forbidden,
    HoldfastError,
    MisuseError,
    NotFound,
    RefusedError,
    Throttled,
    Unavailable,
)

WAIT = 30.0
"""How long calls wait for the server before they give up, in seconds."""


class Session:
    """One session with the server at `url`.

        async with Session("https://app.example") as session:
            await session.sign_in("ann", password)
            jobs = await session.request("GET", "/jobs")

    Leaving the block closes every connection, but ends no session: its `refresh_token` goes on elsewhere with `resume`.
    `sign_out` ends it. `transport`, `open_socket`, `clocks` and `random` are for tests.
    """

    def __init__(
        self,
        url: str,
        *,
        ssl_context: ssl.SSLContext | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        open_socket: Connect | None = None,
        clocks: Clocks | None = None,
        random: Callable[[], float] = chance.random,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise MisuseError(f"a session's url begins with http:// or https://, not {url!r}")
        self.url = url.rstrip("/")
        self._open_socket = open_socket or opener(ssl_context=ssl_context)
        http = httpx.AsyncClient(
            base_url=self.url, timeout=PATIENCE, transport=transport, verify=ssl_context or True
        )
        self._keeper = Keeper(http, clocks or SystemClocks(), random)

    @property
    def state(self) -> State:
        """Where the session is."""
        return self._keeper.machine.state

    @property
    def user(self) -> Person | None:
        """Who is signed in; after the session has ended, who was."""
        return self._keeper.person

    @property
    def session_id(self) -> str | None:
        """The server's name for this session."""
        return self._keeper.machine.session or None

    @property
    def refresh_token(self) -> str | None:
        """What `resume` takes in another process. Keep it as you would a password; each refresh may replace it."""
        return self._keeper.refresh_token

    @property
    def expires_in(self) -> float | None:
        """Seconds that the access token has left; `None` without one."""
        return self._keeper.machine.expires_in(self._keeper.clocks.now())

    def on(self, name: str, callback: Listener) -> Callable[[], None]:
        """Call `callback(announcement)` on each of this news; returns what takes it back.

        There are `signed_in`, `expiring`, `refreshed`, `degraded`, `recovered`, `reuse_detected` and `signed_out`.
        """
        return self._keeper.listeners.add(News(name), callback)

    async def sign_in(self, username: str, password: str) -> Person:
        """Sign in with name and password; connections of a session that has ended go on, if the user is the same.

        Raises:
            RefusedError: the server said no: `BadCredentials`, `Throttled`, `Forbidden`, …
            Unavailable: the server cannot be reached, or gave no answer that makes sense.
        """
        form = {"grant_type": "password", "username": username, "password": password, "client": "program"}
        response, answer = await self._keeper.ask("/token", data=form)
        if response is None:
            raise Unavailable("the server cannot be reached")
        if not isinstance(answer, Granted):
            raise _refusal(response)
        if answer.refresh_token is None:
            raise Unavailable("the server gave a program no refresh token")
        self._keeper.signed_in(answer)
        return self._signed_in()

    async def resume(self, refresh_token: str, *, timeout: float | None = WAIT) -> Person:  # noqa: ASYNC109  # documented bound of one wait
        """Go on with a session from before.

        Raises:
            ClientError: that session is over.
            Unavailable: nothing was heard within `timeout` seconds; it is still being tried.
        """
        if self.state is not State.SIGNED_OUT:
            raise MisuseError("somebody is signed in already; sign out first, or make another Session")
        self._keeper.resume(refresh_token)
        await self.token(timeout=timeout)
        return self._signed_in()

    async def token(self, *, timeout: float | None = WAIT) -> str:  # noqa: ASYNC109  # documented bound of one wait
        """An access token that is good now, after a refresh if one is due.

        Raises:
            ClientError: nobody is signed in, or the session is over.
            Unavailable: there was none within `timeout` seconds.
        """
        try:
            async with asyncio.timeout(timeout):
                await self._keeper.fresh()
        except TimeoutError:
            raise Unavailable(f"no good token within {timeout} s: the server cannot be reached") from None
        return self._keeper.access_token

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """An HTTP request with the access token; `options` as those of `httpx.AsyncClient.request`.

        After a 401 for the token it is sent once more with a new one, unless its body can be read only once.

        Raises:
            ClientError: nobody is signed in, or the session is over.
            Unavailable: there was no answer.
        """
        _check_path(path)
        await self.token()
        shown = self._keeper.machine.token
        response = await self._send(method, path, options)
        if response.status_code != 401 or not _is_about_the_token(response) or not _can_repeat(options):
            return response
        self._keeper.due(shown)
        try:
            await self.token()
        except Unavailable:
            return response
        return response if self._keeper.machine.token == shown else await self._send(method, path, options)

    def connect(self, path: str, *, inbox: int = 1_000, timeout: float | None = WAIT) -> LiveConnection:
        """A live connection, for `async with`, which waits up to `timeout` seconds for it to be ready.

        At most `inbox` messages wait to be read; then nothing more is taken from the server.
        """
        _check_path(path)
        url = "ws" + self.url.removeprefix("http") + path
        return LiveConnection(self._keeper, self._open_socket, url, inbox=inbox, timeout=timeout)

    async def sign_out(self) -> None:
        """End the session, here and on the server.

        Raises:
            Unavailable: the server could not be told; here it is over all the same.
        """
        refresh_token = self._keeper.refresh_token
        self._keeper.signed_out()
        if refresh_token is None:
            return
        response, _ = await self._keeper.ask("/auth/logout", json={"refresh_token": refresh_token})
        if response is None or not response.is_success:
            raise Unavailable("the server could not be told of the sign-out")

    async def aclose(self) -> None:
        """Close every connection and stop refreshing; the session lives on at the server."""
        await self._keeper.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<Session {self.url} {self.state}>"

    def _signed_in(self) -> Person:
        assert self._keeper.person is not None
        return self._keeper.person

    async def _send(self, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        headers = httpx.Headers(options.get("headers"))
        headers["Authorization"] = f"Bearer {self._keeper.access_token}"
        headers.update(OURS)
        try:
            return await self._keeper.http.request(method, path, **{**options, "headers": headers})
        except httpx.HTTPError as error:
            raise Unavailable(f"no answer to {method} {path}: {type(error).__name__}") from None


def _check_path(path: str) -> None:
    if not path.startswith("/") or path.startswith("//"):
        raise MisuseError(
            f"a path begins with one slash, so that the token stays with its server, not {path!r}"
        )


def _is_about_the_token(response: httpx.Response) -> bool:
    return code_of(body_of(response.text)) != BadCredentials.code


def _can_repeat(options: dict[str, Any]) -> bool:
    return isinstance(options.get("content"), bytes | str | None) and options.get("files") is None


def _refusal(response: httpx.Response) -> HoldfastError:
    """The error for an answer that holds no tokens."""
    body = body_of(response.text)
    message = body.get("message")
    sentence = message if isinstance(message, str) else None
    if response.status_code == 429:
        return Throttled(sentence, retry_after=seconds_of(response.headers.get("Retry-After")) or 1.0)
    refused = _BY_STATUS.get(response.status_code)
    if refused is None or code_of(body) == "":
        return Unavailable(f"the server gave no answer that makes sense: HTTP {response.status_code}")
    return refused(sentence)


_BY_STATUS: dict[int, type[RefusedError]] = {
    401: BadCredentials,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    422: BadInput,
}

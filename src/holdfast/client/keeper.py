"""Keeps one session's tokens: performs what `machine` decides, and is the one place that asks the server for tokens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

from holdfast.client import machine
from holdfast.client.answers import Answer, Failed, Granted, Refused, judge
from holdfast.client.clock import Alarm, Bell, Clocks
from holdfast.client.errors import ClientError
from holdfast.client.listeners import Listeners
from holdfast.client.machine import SessionMachine, State
from holdfast.protocol.endings import Action

log = logging.getLogger("holdfast.client")

PATIENCE = 10.0
"""How long one request of the session's own may take, in seconds."""
OURS = {"X-Holdfast": "1"}
"""Marks a request as none that a foreign page's form could have sent."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who is signed in."""

    id: str
    name: str
    roles: tuple[str, ...]


class Follower(Protocol):
    """A connection that lives by this session."""

    def token_available(self) -> bool:
        """There is a new token; whether it was shown to the server in band."""
        ...

    def user_changed(self) -> None:
        """The next token is another user's."""
        ...

    def session_over(self, reason: str) -> None:
        """There is no session any more; may be said more than once."""
        ...

    async def close(self) -> None:
        """Close for good."""
        ...


class Keeper:
    """The tokens of one session, and who lives by them."""

    def __init__(self, http: httpx.AsyncClient, clocks: Clocks, random: Callable[[], float]) -> None:
        self.http = http
        self.clocks = clocks
        self.random = random
        self.machine = SessionMachine()
        self.access_token = ""
        self.refresh_token: str | None = None
        self.person: Person | None = None
        self._user = ""
        """The id of the last person who was signed in; kept when they sign out."""
        self.listeners = Listeners()
        self.followers: list[Follower] = []
        self._changed = Bell()
        self._alarm: Alarm | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def fresh(self) -> int:
        """Wait until there is a good token and no refresh to wait for; the token's number.

        Raises:
            ClientError: there is no session.
        """
        self._tick()
        while True:
            if self.machine.over():
                raise ClientError(Action.RELOGIN, self.machine.reason or "nobody is signed in")
            if self.machine.state is not State.REFRESHING and self.machine.usable(self.clocks.now()):
                return self.machine.token
            await self._changed.heard()

    def due(self, token: int) -> None:
        """Token number `token` is not good enough for the server."""
        self.perform(self.machine.due(self.clocks.now(), token))

    def signed_in(self, answer: Granted) -> None:
        """Take over the tokens of a sign-in."""
        before, self.person = self._user, None
        self._keep(answer)
        if before not in ("", self._user):
            for follower in tuple(self.followers):
                follower.user_changed()
        self.perform(self.machine.signed_in(answer.grant, self.clocks.now(), self.random()))

    def resume(self, refresh_token: str) -> None:
        """Find out what a refresh token from before is worth."""
        self.refresh_token = refresh_token
        self.perform(self.machine.resume())

    def signed_out(self) -> None:
        """Forget everything."""
        self.access_token = ""
        self.refresh_token = None
        self.person = None
        self.perform(self.machine.signed_out())

    def perform(self, effects: list[machine.Effect]) -> None:
        """Do what the machine has decided."""
        for effect in effects:
            match effect:
                case machine.Refresh(attempt):
                    self._spawn(self._refresh(attempt))
                case machine.PresentToken(confirm):
                    shown = [follower.token_available() for follower in tuple(self.followers)]
                    if confirm and not any(shown):
                        self._spawn(self._confirm())
                case machine.Announce(what):
                    self.listeners.tell(what, effect)
        if self.machine.over():
            self.access_token = ""
            for follower in tuple(self.followers):
                follower.session_over(self.machine.reason)
        self._rearm()
        self._changed.ring()

    async def ask(self, path: str, **options: Any) -> tuple[httpx.Response | None, Answer]:
        """A request of the session's own, with what its answer means; never raises for what the network does."""
        headers = {**OURS, **options.pop("headers", {})}
        sent = self.clocks.now().mono
        try:
            async with asyncio.timeout(PATIENCE):
                response = await self.http.post(path, headers=headers, **options)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            log.info("no answer from %s: %s", path, type(error).__name__)
            return None, Failed(None)
        half_rtt = max(0.0, (self.clocks.now().mono - sent) / 2)
        retry_after = response.headers.get("Retry-After")
        return response, judge(
            response.status_code, response.text, retry_after=retry_after, half_rtt=half_rtt
        )

    async def aclose(self) -> None:
        """Stop refreshing, and close everything."""
        self._closed = True
        self._disarm()
        await asyncio.gather(*(follower.close() for follower in tuple(self.followers)))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.http.aclose()

    def _tick(self) -> None:
        self.perform(self.machine.tick(self.clocks.now()))

    def _disarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _rearm(self) -> None:
        self._disarm()
        seconds = self.machine.wake_in(self.clocks.now())
        if seconds is not None and not self._closed:
            self._alarm = self.clocks.call_later(seconds, self._tick)

    async def _refresh(self, attempt: int) -> None:
        try:
            response, answer = await self.ask("/auth/refresh", json={"refresh_token": self.refresh_token})
        except Exception:
            # Nothing is known that could raise here; if something does, the session must not wait for ever.
            log.exception("refresh failed in an unexpected way; it will be tried again")
            response, answer = None, Failed(None)
        now, unit = self.clocks.now(), self.random()
        match answer:
            case Granted():
                before = self.machine.token
                effects = self.machine.refreshed(attempt, answer.grant, now, unit)
                if self.machine.token > before:
                    self._keep(answer)
            case Refused(code):
                log.info("refresh refused: %s", code)
                effects = self.machine.refused(attempt, code, now, unit)
            case Failed(retry_after):
                told = "no answer" if response is None else f"HTTP {response.status_code}"
                log.info("refresh failed, it will be tried again: %s", told)
                effects = self.machine.failed(attempt, now, unit, retry_after)
        self.perform(effects)

    async def _confirm(self) -> None:
        """Show the server that the newest token has arrived; any other request would do, so this is not repeated."""
        await self.ask("/auth/confirm", headers={"Authorization": f"Bearer {self.access_token}"})

    def _keep(self, answer: Granted) -> None:
        self.access_token = answer.access_token
        self.refresh_token = answer.refresh_token or self.refresh_token
        if answer.user or self.person is None:
            roles = answer.user.get("roles")
            self.person = Person(
                str(answer.user.get("id", "")),
                str(answer.user.get("name", "")),
                tuple(str(role) for role in roles) if isinstance(roles, list) else (),
            )
            self._user = self.person.id

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        if self._closed:
            work.close()
            return
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

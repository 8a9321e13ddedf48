"""A session as its client sees it: when to refresh, what to make of the answer, when it is over.

    signed_out --signed_in--> active --due--> refreshing --refreshed--> active
        |                       ^              ^   |   |
        +--resume--> refreshing |    time, wake|   |   +--failed--> degraded
                                |              +---|-------------------+
                     signed_in  +--- ended <-------+ refused

Pure: events come in as calls with `now`, effects come out. After every call the driver sets one timer to
`wake_in(now)` and calls `tick` when it fires. Tokens stay with the driver; the machine counts them (`token`), so that
a complaint about an older one starts nothing. Written to be ported line by line; conformance/session has its vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from holdfast.client.timing import TICK, Moment, Now, after, backoff
from holdfast.core.lease import refresh_in

LEAD = 300.0
"""How long before expiry to refresh where the server does not say, in seconds; never over half the lifetime."""
SHORTEST_PAUSE = 0.25
"""However short tokens live, this lies between a new one and the next refresh."""
NEWER_BY = 30.0
NEWER_BY_SHARE = 0.1
"""A new token that expires less than this later than the old one, or less than this share of its life, is not newer."""
RETRY_AFTER_MOST = 3600.0
WAKE_PAUSE = 1.0
"""A wake does not repeat a failed refresh sooner than this."""

FINAL = ("session_ended", "token_reused", "invalid_token", "invalid_grant")
"""The only refusals that end a session; whatever else goes wrong is the network's or the server's trouble."""


class State(StrEnum):
    """Where a session is."""

    SIGNED_OUT = "signed_out"
    ACTIVE = "active"
    REFRESHING = "refreshing"
    DEGRADED = "degraded"
    """The last refresh failed for a reason that may pass; another will be tried."""
    ENDED = "ended"
    """The server said no: only a new sign-in helps. The page and what is on it may stay."""


class News(StrEnum):
    """What is announced to the app."""

    SIGNED_IN = "signed_in"
    EXPIRING = "expiring"
    REFRESHED = "refreshed"
    DEGRADED = "degraded"
    RECOVERED = "recovered"
    REUSE_DETECTED = "reuse_detected"
    SIGNED_OUT = "signed_out"
    TAB_SYNC = "tab_sync"


@dataclass(frozen=True, slots=True)
class Grant:
    """What an answer with tokens says of them; all in seconds."""

    session: str
    generation: int
    expires_in: float
    refresh_in: float | None = None
    half_rtt: float = 0.0
    """Half the time that the request took: the answer is at least that old, give or take."""


@dataclass(frozen=True, slots=True)
class Refresh:
    """Ask for new tokens; answer with `refreshed`, `refused` or `failed` and the same `attempt`."""

    attempt: int


@dataclass(frozen=True, slots=True)
class PresentToken:
    """Show the token to every connection; with `confirm`, over HTTP when there is none."""

    confirm: bool


@dataclass(frozen=True, slots=True)
class Announce:
    """Tell the app."""

    what: News
    reason: str = ""
    seconds: float | None = None


Effect = Refresh | PresentToken | Announce


class SessionMachine:
    """One session's state. `unit` arguments are numbers drawn from [0, 1), one a call."""

    def __init__(self) -> None:
        self.state = State.SIGNED_OUT
        self.token = 0
        """How many tokens there were; the newest has this number, 0 is none."""
        self.session = ""
        """The id of the session in hand; kept when it has ended, empty when nobody is signed in."""
        self.generation = 0
        self.attempt = 0
        self.reason = ""
        """Why the session is over, once it is."""
        self._left = ""
        """The session that the person signed out of last."""
        self._expires_at: Moment | None = None
        self._due_at: Moment | None = None
        self._hold_until: Moment | None = None
        self._retry_at: Moment | None = None
        self._wake_from: Moment | None = None
        self._failures = 0
        self._stale = 0

    # What the driver asks

    def wake_in(self, now: Now) -> float | None:
        """In how many seconds to call `tick`; `None` when nothing is waited for."""
        moment: Moment | None = None
        if self.state is State.ACTIVE:
            moment = self._due_at
        elif self.state is State.DEGRADED:
            moment = self._retry_at
        return None if moment is None else min(TICK, moment.left(now))

    def usable(self, now: Now) -> bool:
        """Whether there is a token that has not expired."""
        return self._expires_at is not None and not self._expires_at.reached(now)

    def expires_in(self, now: Now) -> float | None:
        """Seconds that the token has left; `None` without one."""
        return None if self._expires_at is None else self._expires_at.left(now)

    def over(self) -> bool:
        """Whether there is no session to speak of."""
        return self.state in (State.SIGNED_OUT, State.ENDED)

    def wants(self, attempt: int) -> bool:
        """Whether the answer to this refresh is still waited for; ask before starting one late."""
        return self.state is State.REFRESHING and attempt == self.attempt

    # Events

    def resume(self) -> list[Effect]:
        """There may be a session from before: a cookie, a kept refresh token. Find out by a refresh."""
        if self.state is not State.SIGNED_OUT:
            return []
        return self._refresh()

    def signed_in(self, grant: Grant, now: Now, unit: float) -> list[Effect]:
        """The person has signed in, for the first time or again."""
        self._take(grant, now, unit)
        return [PresentToken(confirm=False), Announce(News.SIGNED_IN)]

    def tick(self, now: Now) -> list[Effect]:
        """Time has passed."""
        if self.state is State.ACTIVE and self._due_at is not None and self._due_at.reached(now):
            return self._refresh_before_expiry(now)
        if self.state is State.DEGRADED and self._retry_at is not None and self._retry_at.reached(now):
            return self._refresh()
        return []

    def wake(self, now: Now) -> list[Effect]:
        """The page is seen again, the machine has woken, the network is back."""
        if self.state is State.DEGRADED and self._wake_from is not None and self._wake_from.reached(now):
            return self._refresh()
        return self.tick(now)

    def due(self, now: Now, token: int = 0) -> list[Effect]:
        """The server asks for a newer token: `auth.due`, `auth.grace`, 4003, or a 401 for token number `token`.

        0 is the newest. That also cuts a backoff short, and starts it over: the grace of a connection is shorter than
        the longest pause.
        """
        if 0 < token < self.token:
            return []
        self._failures = min(self._failures, 1)
        if self.state is State.DEGRADED and self._wake_from is not None:
            if self._wake_from.reached(now):
                return self._refresh()
            self._retry_at = _earlier(self._retry_at, self._wake_from)
        if self.state is not State.ACTIVE:
            return []
        if self._hold_until is not None and not self._hold_until.reached(now):
            self._due_at = _earlier(self._due_at, self._hold_until)
            return []
        return self._refresh_before_expiry(now)

    def refreshed(self, attempt: int, grant: Grant, now: Now, unit: float) -> list[Effect]:
        """The refresh brought tokens."""
        if not self.wants(attempt):
            return []
        if grant.session == self.session and grant.generation < self.generation:
            # An answer from before the one in hand: the cookie jar may hold its token now, so ask again.
            self.state = State.ACTIVE
            self._due_at = self._hold(now, unit)
            return []
        first = self.session == ""
        recovered = self._failures > 0
        newer, stale = self._is_newer(grant, now), self._stale
        due_at = self._take(grant, now, unit)
        if not newer:
            self._stale = stale
            self._due_at = _later(due_at, self._hold(now, unit))
        told: list[Effect] = [
            PresentToken(confirm=True),
            Announce(News.SIGNED_IN if first else News.REFRESHED),
        ]
        return [*told, Announce(News.RECOVERED)] if recovered else told

    def refused(self, attempt: int, code: str, now: Now, unit: float) -> list[Effect]:
        """The server answered the refresh with a refusal; only the codes in `FINAL` end the session."""
        if code not in FINAL:
            return self.failed(attempt, now, unit)
        if not self.wants(attempt):
            return []
        self._forget(State.SIGNED_OUT if self.session == "" else State.ENDED, code)
        told: list[Effect] = [Announce(News.SIGNED_OUT, code)]
        return [Announce(News.REUSE_DETECTED), *told] if code == "token_reused" else told

    def failed(self, attempt: int, now: Now, unit: float, retry_after: float | None = None) -> list[Effect]:
        """The refresh came to nothing that says anything about the session; `retry_after` is in seconds."""
        if not self.wants(attempt):
            return []
        asked = 0.0 if retry_after is None else min(retry_after, RETRY_AFTER_MOST)
        pause = max(backoff(self._failures, unit), asked)
        first = self._failures == 0
        self.state = State.DEGRADED
        self._failures += 1
        self._retry_at = after(now, pause)
        self._wake_from = after(now, max(asked, WAKE_PAUSE))
        return [Announce(News.DEGRADED, seconds=pause)] if first else []

    def adopted(self, grant: Grant, now: Now, unit: float) -> list[Effect]:
        """Another tab has signed in or refreshed, and hands its token on."""
        if grant.session == self._left and grant.generation > 0:
            # Another tab's refresh was on its way while the person signed out: that brings nobody back.
            return []
        known = grant.session == self.session and not self.over()
        if known and (grant.generation < self.generation or not self._expires_later(grant, now)):
            return []
        self._take(grant, now, unit)
        return [PresentToken(confirm=False), Announce(News.TAB_SYNC)]

    def signed_out(self, reason: str = "signed_out") -> list[Effect]:
        """The person has signed out, here or in another tab."""
        if self.state is State.SIGNED_OUT:
            return []
        self._left = self.session
        self._forget(State.SIGNED_OUT, reason)
        return [Announce(News.SIGNED_OUT, reason)]

    # What they share

    def _refresh(self) -> list[Effect]:
        self.state = State.REFRESHING
        self.attempt += 1
        self._retry_at = None
        self._wake_from = None
        return [Refresh(self.attempt)]

    def _refresh_before_expiry(self, now: Now) -> list[Effect]:
        return [*self._refresh(), Announce(News.EXPIRING, seconds=self.expires_in(now))]

    def _take(self, grant: Grant, now: Now, unit: float) -> Moment:
        """Go on with this token; when it is due."""
        due_in = grant.refresh_in
        if due_in is None:
            due_in = refresh_in(grant.expires_in, lead=LEAD, jitter=unit)
        due_in = max(SHORTEST_PAUSE, min(due_in, grant.expires_in) - grant.half_rtt)
        self.state = State.ACTIVE
        self.token += 1
        self.session = grant.session
        self.generation = grant.generation
        self.reason = ""
        self._expires_at = after(now, grant.expires_in - grant.half_rtt)
        due_at = after(now, due_in)
        self._due_at = due_at
        self._hold_until = None
        self._retry_at = None
        self._wake_from = None
        self._failures = 0
        self._stale = 0
        return due_at

    def _forget(self, state: State, reason: str) -> None:
        self.state = state
        self.reason = reason
        self._expires_at = None
        self._due_at = None
        self._hold_until = None
        self._retry_at = None
        self._wake_from = None
        self._failures = 0
        self._stale = 0
        if state is State.SIGNED_OUT:
            self.session = ""
            self.generation = 0

    def _hold(self, now: Now, unit: float) -> Moment:
        """No refresh until then: the last one brought nothing, and each in a row doubles the wait."""
        until = after(now, max(SHORTEST_PAUSE, backoff(self._stale, unit)))
        self._hold_until = until
        self._stale += 1
        return until

    def _is_newer(self, grant: Grant, now: Now) -> bool:
        floor = min(NEWER_BY, NEWER_BY_SHARE * grant.expires_in)
        return self._gain(grant, now) >= floor

    def _expires_later(self, grant: Grant, now: Now) -> bool:
        return self._gain(grant, now) > 0

    def _gain(self, grant: Grant, now: Now) -> float:
        """How much later than the token in hand this one expires, by the clock that says more: one may have slept."""
        if self._expires_at is None:
            return grant.expires_in
        new = after(now, grant.expires_in - grant.half_rtt)
        return max(new.wall - self._expires_at.wall, new.mono - self._expires_at.mono)


def _earlier(one: Moment | None, other: Moment) -> Moment:
    return other if one is None else Moment(min(one.wall, other.wall), min(one.mono, other.mono))


def _later(one: Moment, other: Moment) -> Moment:
    return Moment(max(one.wall, other.wall), max(one.mono, other.mono))

"""A live connection as its client sees it: when to open it, prove it, renew it, doubt it, and when to come back.

    idle --connect--> connecting --opened--> proving --welcome--> ready <--auth.ok-- grace
                        ^    |                  |                 |  |                ^ |
                        |    +------------------+-----------------+--|--- auth.grace -+ |
      time, wake, token |    |        closed: by its action           +-----------------+
                        |    v
                        +- waiting --refused twice, or the session is over--> parked --a new token--> connecting
                             closed with `stop`, or by the app: stopped

Pure: events come in as calls with `now`, effects come out. After every call the driver sets one timer to
`wake_in(now)` and calls `tick` when it fires. Sockets are numbered, and what an older one still says is not heard:
otherwise a slow close of the last one would end the next. Tokens are numbered too, as in `machine`: the driver holds
them. Written to be ported line by line; conformance/live has its vectors.
"""

from __future__ import annotations

from enum import StrEnum

from holdfast.client.live_effects import (
    Announce,
    AskRefresh,
    Close,
    Deliver,
    Denial,
    Effect,
    LiveNews,
    Open,
    SendAuth,
    SendPing,
    SendPong,
)
from holdfast.client.machine import FINAL, RETRY_AFTER_MOST
from holdfast.client.timing import BACKOFF_MOST, TICK, Moment, Now, after, backoff
from holdfast.client.wire import Farewell, Received
from holdfast.errors import TokenExpired
from holdfast.protocol.endings import (
    SIGNED_IN_AS_ANOTHER,
    TOKEN_EXPIRED,
    TOKEN_INVALID,
    Action,
    action_for,
)
from holdfast.protocol.frames import AuthDue, AuthGrace, AuthOk, Error, Message, Ping, Pong, Welcome

OPEN_PATIENCE = 15.0
"""How long opening may take, a refresh before it included."""
PROOF_PATIENCE = 15.0
"""How long an open socket may stay without a `welcome`."""
PROBE_PATIENCE = 8.0
"""How long a `ping` may stay without its `pong`."""
BYE_PATIENCE = 5.0
"""How long after `bye` the close frame may take."""
QUIET_INTERVALS = 2.0
"""So many ping intervals without a frame from the server are worth a `ping` of ours."""
STEADY = 30.0
"""A connection that was ready for so long starts the backoff over."""
PASSING_STATUSES = (401, 408, 425, 429)
"""HTTP refusals of a handshake below 500 that are worth another try. A 401 without a code of ours is a proxy's."""
OWN = "holdfast:"
"""Begins the ids of our own requests, so that errors about the app's are told from errors about ours."""


class LiveState(StrEnum):
    """Where a connection is."""

    IDLE = "idle"
    CONNECTING = "connecting"
    PROVING = "proving"
    """Open, which is not ready."""
    READY = "ready"
    GRACE = "grace"
    """The token has expired: still receiving, nothing may be sent until a renewal."""
    WAITING = "waiting"
    """For time to pass, or for a new token."""
    PARKED = "parked"
    """The session is over, or the server takes none of its tokens.

    A new sign-in brings the connection back, and where the session lives, so does time.
    """
    STOPPED = "stopped"


class LiveMachine:
    """One connection's state. `unit` arguments are numbers drawn from [0, 1), one a call."""

    def __init__(self) -> None:
        self.state = LiveState.IDLE
        self.socket = 0
        self.token = 0
        """The newest token that the session has told of."""
        self.presented = 0
        """The token that this socket has shown last."""
        self.welcome: Welcome | None = None
        """What the present socket was greeted with."""
        self.action: Action | None = None
        """What the last ending asked for."""
        self._session_over = False
        self._welcomed = False
        self._attempts = 0
        self._refusals = 0
        self._requests = 0
        self._until: Moment | None = None
        self._wake_from: Moment | None = None
        """A wake tries again sooner, but not before this."""
        self._cause: Farewell | None = None
        """The ending after which a new token is waited for."""
        # Of the present socket
        self._bye: Farewell | None = None
        self._probe = ""
        self._auth = ""
        self._auth_failures = 0
        self._auth_at: Moment | None = None
        self._limit: Moment | None = None
        self._quiet_at: Moment | None = None
        self._steady_at: Moment | None = None

    # What the driver asks

    def may_send(self) -> bool:
        """Whether the app's messages may go out."""
        return self.state is LiveState.READY

    def wake_in(self, now: Now) -> float | None:
        """In how many seconds to call `tick`; `None` when nothing is waited for."""
        moments = [
            moment
            for moment in (self._until, self._limit, self._quiet_at, self._auth_at)
            if moment is not None
        ]
        if not moments:
            return None
        return min(TICK, *(moment.left(now) for moment in moments))

    # Events from the app and the session

    def connect(self, now: Now) -> list[Effect]:
        """Open, and keep open."""
        return self._open(now) if self.state is LiveState.IDLE else []

    def close(self) -> list[Effect]:
        """The app is done with it."""
        if self.state is LiveState.STOPPED:
            return []
        had_socket = self._has_socket()
        self._rest(LiveState.STOPPED)
        self.action = Action.STOP
        told: list[Effect] = [Announce(LiveNews.STOPPED, reason="closed by the app")]
        return [Close(self.socket), *told] if had_socket else told

    def token_available(self, token: int, now: Now) -> list[Effect]:
        """The session has token number `token`; called for every new one."""
        self.token = max(self.token, token)
        self._session_over = False
        if self.state in (LiveState.READY, LiveState.GRACE):
            return self._present()
        if self.state is LiveState.PARKED:
            if self._until is None:
                self._attempts = 0
            return self._open(now)
        if self.state is LiveState.WAITING and self._until is None:
            return self._open(now)
        return []

    def user_changed(self, now: Now) -> list[Effect]:
        """Somebody else has signed in: nothing more of the first is heard or said. `token_available` follows."""
        if not self._has_socket():
            return []
        ending = SIGNED_IN_AS_ANOTHER
        lost = Announce(LiveNews.LOST, ending.code, ending.reason)
        return [Close(self.socket), lost, *self._open(now)]

    def session_over(self, reason: str) -> list[Effect]:
        """The session has ended: an open socket lives on until the server ends it, but nothing new is opened."""
        self._session_over = True
        if self.state is LiveState.CONNECTING:
            return [Close(self.socket), *self._park(None, reason)]
        if self.state is LiveState.WAITING:
            # The ending that a new token was to mend says more than that there will be none.
            cause = self._cause
            return self._park(None, reason) if cause is None else self._park(cause.code, cause.reason)
        self._until = self._wake_from = None
        return []

    def wake(self, now: Now) -> list[Effect]:
        """The page is seen again, the machine has woken, the network is back."""
        if self.state in (LiveState.READY, LiveState.GRACE) and self._bye is None:
            # A probe from before a sleep proves nothing: its answer may have had no chance.
            asked = self._probe != "" and self._limit is not None and not self._limit.reached(now)
            return [] if asked else self._ask(now)
        return self._again(now) if self._wake_from is not None and self._wake_from.reached(now) else []

    def tick(self, now: Now, unit: float) -> list[Effect]:
        """Time has passed."""
        if self._limit is not None and self._limit.reached(now):
            return self._give_up(now, unit)
        if self._until is not None and self._until.reached(now):
            return self._again(now)
        effects: list[Effect] = []
        if self._auth_at is not None and self._auth_at.reached(now):
            self._auth_at = None
            effects += self._send_auth()
        if self._quiet_at is not None and self._quiet_at.reached(now):
            self._quiet_at = None
            if self._probe == "" and self._bye is None:
                effects += self._ask(now)
        return effects

    # Events from the socket

    def opened(self, socket: int, token: int, now: Now) -> list[Effect]:
        """The socket is open, and token number `token` was in its handshake."""
        if socket != self.socket or self.state is not LiveState.CONNECTING:
            return []
        self.state = LiveState.PROVING
        self.presented = token
        self.token = max(self.token, token)
        self._limit = after(now, PROOF_PATIENCE)
        return []

    def denied(self, socket: int, token: int, answer: Denial, now: Now, unit: float) -> list[Effect]:
        """The handshake with token number `token` was answered over HTTP, which browsers do not see."""
        if socket != self.socket or self.state is not LiveState.CONNECTING:
            return []
        self.presented = token
        self.token = max(self.token, token)
        return self._end(self._ending_of(answer), now, unit)

    def received(self, socket: int, frame: Received, now: Now, unit: float) -> list[Effect]:
        """The server sent a frame."""
        if socket != self.socket or not self._is_open():
            return []
        if self.welcome is not None:
            self._quiet_at = after(now, QUIET_INTERVALS * self.welcome.ping_interval)
        if isinstance(frame, Ping):
            return [SendPong(socket, frame.id)]
        if isinstance(frame, Farewell):
            self._bye = frame
            self._probe = ""
            self._limit = after(now, BYE_PATIENCE)
            return []
        if self.state is LiveState.PROVING:
            return self._received_before_welcome(frame, now)
        return self._received(frame, now, unit)

    def closed(self, socket: int, code: int, reason: str, now: Now, unit: float) -> list[Effect]:
        """The socket is closed, or could not be opened (1006)."""
        if socket != self.socket or not self._has_socket():
            return []
        return self._end(self._bye or Farewell(code, reason, action_for(code, reason)), now, unit)

    # Frames

    def _received_before_welcome(self, frame: Received, now: Now) -> list[Effect]:
        if isinstance(frame, Error):
            return [Announce(LiveNews.ERROR, frame.code, frame.message, id=frame.id)]
        if not isinstance(frame, Welcome):
            return []
        self.state = LiveState.READY
        self.welcome = frame
        self._welcomed = True
        self._refusals = 0
        self._limit = None
        self._steady_at = after(now, STEADY)
        self._quiet_at = after(now, QUIET_INTERVALS * frame.ping_interval)
        return [Announce(LiveNews.READY), *self._present()]

    def _received(self, frame: Received, now: Now, unit: float) -> list[Effect]:
        if isinstance(frame, Message):
            return [Deliver(frame.data)]
        if isinstance(frame, Pong):
            if self._probe != "" and frame.id == self._probe:
                self._probe = ""
                self._limit = None
            return []
        if isinstance(frame, AuthDue):
            return self._renew()
        if isinstance(frame, AuthGrace):
            self.state = LiveState.GRACE
            return [Announce(LiveNews.GRACE, seconds=frame.grace_left), *self._renew()]
        if isinstance(frame, AuthOk):
            return self._renewed(frame)
        if isinstance(frame, Error):
            return self._errored(frame, now, unit)
        return []

    def _renewed(self, frame: AuthOk) -> list[Effect]:
        if frame.id == self._auth:
            self._auth = ""
        self._auth_at = None
        self._auth_failures = 0
        if self.state is not LiveState.GRACE:
            return []
        self.state = LiveState.READY
        return [Announce(LiveNews.HEALED)]

    def _errored(self, frame: Error, now: Now, unit: float) -> list[Effect]:
        if not isinstance(frame.id, str) or not frame.id.startswith(OWN):
            return [Announce(LiveNews.ERROR, frame.code, frame.message, id=frame.id)]
        if frame.id != self._auth:
            return []
        self._auth = ""
        if frame.code in ("token_expired", "invalid_token"):
            return [AskRefresh(self.presented)]
        if frame.code == "try_later":
            told = _seconds(frame.retry_after_ms)
            pause = backoff(self._auth_failures, unit) if told is None else told
            self._auth_failures += 1
            self._auth_at = after(now, pause)
        return []

    def _renew(self) -> list[Effect]:
        """The server wants a newer token: show it if there is one, or have it fetched."""
        if self._session_over:
            return []
        return self._present() if self.token > self.presented else [AskRefresh(self.presented)]

    def _present(self) -> list[Effect]:
        return self._send_auth() if self.token > self.presented and self._bye is None else []

    def _send_auth(self) -> list[Effect]:
        self.presented = self.token
        self._auth_at = None
        self._auth = self._request()
        return [SendAuth(self.socket, self._auth)]

    def _ask(self, now: Now) -> list[Effect]:
        self._probe = self._request()
        self._limit = after(now, PROBE_PATIENCE)
        self._quiet_at = None
        return [SendPing(self.socket, self._probe)]

    def _request(self) -> str:
        self._requests += 1
        return f"{OWN}{self._requests}"

    # Beginnings and ends

    def _open(self, now: Now) -> list[Effect]:
        self._rest(LiveState.CONNECTING)
        self.socket += 1
        self._limit = after(now, OPEN_PATIENCE)
        return [Open(self.socket)]

    def _again(self, now: Now) -> list[Effect]:
        """What was waited for between two tries is over."""
        if self.state is LiveState.WAITING or self.token > self.presented:
            return self._open(now)
        # Its token was refused, so it needs another one.
        self._rest(LiveState.WAITING)
        return [AskRefresh(self.presented)]

    def _give_up(self, now: Now, unit: float) -> list[Effect]:
        """What was waited for has not come: the socket is as good as dead."""
        silence = Farewell(1006, "no answer in time", Action.RECONNECT)
        return [Close(self.socket), *self._end(self._bye or silence, now, unit)]

    def _end(self, ending: Farewell, now: Now, unit: float) -> list[Effect]:
        if self._steady_at is not None and self._steady_at.reached(now):
            self._attempts = 0
        self.action = ending.action
        if ending.action is Action.STOP:
            self._rest(LiveState.STOPPED)
            return [Announce(LiveNews.STOPPED, ending.code, ending.reason)]
        if self._session_over:
            return self._park(ending.code, ending.reason)
        if ending.action is Action.RECONNECT:
            return self._wait(ending, now, unit)
        if ending.action is Action.RELOGIN and self._refusals > 0:
            # A refresh went well and its token was refused as well: a new sign-in may help, or time where the server
            # is at fault.
            pause = backoff(self._attempts, unit)
            self._attempts += 1
            told = self._park(ending.code, ending.reason, pause)
            self._until = after(now, pause)
            self._wake_from = after(now, 0.0)
            return told
        self._refusals += 1
        if self.token > self.presented or self._auth != "":
            # There is a newer token, or one that was on its way when the end came: try that first.
            return self._wait(ending, now, unit)
        self._attempts += 1
        self._rest(LiveState.WAITING)
        self._cause = ending
        return [Announce(LiveNews.LOST, ending.code, ending.reason), AskRefresh(self.presented)]

    def _wait(self, ending: Farewell, now: Now, unit: float) -> list[Effect]:
        pause, told = backoff(self._attempts, unit), _seconds(ending.retry_after_ms)
        if told is not None:
            # The server has spread its clients already; only one that keeps failing waits longer than told.
            pause = told if self._attempts == 0 else max(pause, told)
        self._attempts += 1
        self._rest(LiveState.WAITING)
        self._until = after(now, pause)
        self._wake_from = after(now, min(told or 0.0, BACKOFF_MOST))
        return [Announce(LiveNews.LOST, ending.code, ending.reason, pause)]

    def _ending_of(self, denial: Denial) -> Farewell:
        if denial.status == 401 and denial.code in (TokenExpired.code, *FINAL):
            ending = TOKEN_EXPIRED if denial.code == TokenExpired.code else TOKEN_INVALID
            return Farewell(ending.code, ending.reason, ending.action)
        passing = denial.status >= 500 or denial.status in PASSING_STATUSES
        # A path that was there before is there again when the deployment is through.
        action = Action.RECONNECT if passing or self._welcomed else Action.STOP
        retry_ms = None if denial.retry_after is None else round(denial.retry_after * 1000)
        return Farewell(
            denial.status, f"the handshake was answered with HTTP {denial.status}", action, retry_ms
        )

    def _park(self, code: int | None, reason: str, pause: float | None = None) -> list[Effect]:
        self.action = Action.RELOGIN
        self._rest(LiveState.PARKED)
        return [Announce(LiveNews.PARKED, code, reason, pause)]

    def _rest(self, state: LiveState) -> None:
        self.state = state
        self._until = None
        self._wake_from = None
        self._cause = None
        self._forget_socket()

    def _forget_socket(self) -> None:
        self.welcome = None
        self._bye = None
        self._probe = ""
        self._auth = ""
        self._auth_failures = 0
        self._auth_at = None
        self._limit = None
        self._quiet_at = None
        self._steady_at = None

    def _has_socket(self) -> bool:
        return self.state is LiveState.CONNECTING or self._is_open()

    def _is_open(self) -> bool:
        return self.state in (LiveState.PROVING, LiveState.READY, LiveState.GRACE)


def _seconds(milliseconds: int | None) -> float | None:
    """What the server asked for; one that asks for more than an hour is asked again all the same."""
    return None if milliseconds is None else min(milliseconds / 1000.0, RETRY_AFTER_MOST)

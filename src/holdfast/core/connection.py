"""The life of one connection, from its first proof to its end.

    proving --> ready --> due --> grace --> ended
                  ^        |        |
                  +--------+--------+   a renewal: back to ready, the same socket

Events go in as method calls with `now`, effects come out. One deadline at a time: after every call the driver arms its
timer for `next_deadline()` and calls `handle_deadline(now)` when it comes. What happens between is a matter of the
lease (`core.lease`), so no timer that fires late can let a message through after `exp`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from holdfast.core.effects import Bind, Close, Deliver, Effect, Record, Request, Send, Verify
from holdfast.core.lease import Lease, Phase, grant
from holdfast.core.policy import LivePolicy, Renewal
from holdfast.protocol import endings, frames
from holdfast.protocol.endings import Ending


# Nobody changes one, but a frozen one takes three times as long to make, and each handshake makes one.
@dataclass(slots=True, kw_only=True)
class Proof:
    """Who a token says is there, and until when; never the token itself."""

    user: str
    name: str
    issuer: str
    expires_at: float
    session: str | None = None
    generation: int = 0
    epoch: int = 0
    roles: tuple[str, ...] = ()
    issued_at: float = 0.0
    auth_time: float | None = None
    client: str | None = None

    def same_user(self, other: Proof) -> bool:
        """The same person at the same issuer; two issuers may use one `sub` for different people."""
        return (self.issuer, self.user) == (other.issuer, other.user)

    def is_older_than(self, other: Proof) -> bool:
        """Whether it comes from an earlier token of the same session; what that said may not be true any more."""
        mine, theirs = (self.generation, self.issued_at), (other.generation, other.issued_at)
        return self.session == other.session and mine < theirs


class State(StrEnum):
    """Where in its life a connection is."""

    PROVING = "proving"
    READY = "ready"
    DUE = "due"
    GRACE = "grace"
    ENDED = "ended"


_STATE_OF = {Phase.HELD: State.READY, Phase.DUE: State.DUE, Phase.GRACE: State.GRACE}


class Connection:
    """One connection's state machine.

    `controlled` says whether the client is sent control frames (it speaks holdfast.v1); `jitter` is a number from
    [0, 1) that spreads this connection's refresh times.
    """

    __slots__ = (
        "_allowance", "_allowance_at", "_first_subscribes", "_next_ping", "_prove_by", "_unanswered", "controlled",
        "ending", "id", "jitter", "lease", "policy", "proof", "state",
    )  # fmt: skip

    def __init__(self, *, id: str, policy: LivePolicy, controlled: bool, jitter: float, now: float) -> None:
        self.id = id
        self.policy = policy
        self.controlled = controlled
        self.jitter = jitter
        self.state = State.PROVING
        self.proof: Proof | None = None
        self.lease: Lease | None = None
        self.ending: Ending | None = None
        self._prove_by = now + policy.proof_timeout
        self._next_ping: float | None = None
        self._unanswered = 0
        self._allowance = float(policy.max_frames_per_second)
        self._allowance_at = now
        self._first_subscribes = policy.max_channels_per_connection

    @property
    def session(self) -> str | None:
        """The session that proved it last."""
        return None if self.proof is None else self.proof.session

    def next_deadline(self, now: float) -> float | None:
        """When `handle_deadline` must be called next; `None` after the end."""
        match self.state:
            case State.ENDED:
                return None
            case State.PROVING:
                return self._prove_by
            case _:
                assert self.lease is not None
                change, ping = self.lease.next_change(now) or now, self._next_ping
                return change if ping is None or change < ping else ping

    def handle_deadline(self, now: float) -> list[Effect]:
        """Act on whatever `now` has reached; harmless when called early."""
        if self.state is State.ENDED:
            return []
        if self.state is State.PROVING:
            return self.end(endings.NO_PROOF) if now >= self._prove_by else []
        return self._age(now) or self._keep_alive(now)

    def proven(self, proof: Proof, now: float, *, request: str | int | None = None) -> list[Effect]:
        """A token was checked and is good: the first one makes the connection ready, later ones renew it."""
        if self.state is State.ENDED:
            return []
        if self.proof is None:
            return self._begin(proof, now)
        if not self.proof.same_user(proof):
            return self.end(endings.SIGNED_IN_AS_ANOTHER)
        assert self.lease is not None
        if proof.is_older_than(self.proof):
            # It proves the person again, and neither gives nor takes anything: no role that was lost comes back.
            proof = self.proof
        elif proof.session == self.proof.session and proof.expires_at < self.lease.expires_at:
            proof = replace(proof, expires_at=self.lease.expires_at)
        return self._renew(proof, now, how="in band", request=request)

    def refused(self, ending: Ending, now: float, *, request: str | int | None = None) -> list[Effect]:
        """A token was checked and is not good: fatal for the first proof only, since the lease in hand still stands."""
        if self.state is State.ENDED:
            return []
        if self.proof is None:
            return self.end(ending)
        code = "token_expired" if ending == endings.TOKEN_EXPIRED else "invalid_token"
        if ending == endings.TRY_LATER:
            code = "try_later"
        return self._age(now) or [
            Record("renewal refused", ending.reason),
            Send(frames.Error(code, ending.reason, request)),
        ]

    def session_renewed(
        self,
        expires_at: float,
        now: float,
        *,
        generation: int = 0,
        name: str | None = None,
        roles: Sequence[str] | None = None,
    ) -> list[Effect]:
        """The session has handed out a token good until `expires_at`; it says this of its user, or the same."""
        mode = self.policy.renewal
        through_session = mode is Renewal.SESSION or (mode is Renewal.AUTO and not self.controlled)
        if self.state is State.ENDED or self.proof is None or self.lease is None or not through_session:
            return []
        proof = replace(
            self.proof,
            expires_at=max(expires_at, self.lease.expires_at),
            generation=max(generation, self.proof.generation),
            name=self.proof.name if name is None else name,
            roles=self.proof.roles if roles is None else tuple(roles),
        )
        if proof == self.proof:
            return []
        return self._renew(replace(proof, issued_at=now), now, how="through the session", request=None)

    def received(self, frame: frames.ClientFrame, size: int, now: float) -> list[Effect]:
        """The client sent a frame of `size` bytes."""
        if self.state is State.ENDED:
            return []
        self._unanswered = 0
        if size > self.policy.max_frame_bytes:
            return self.end(endings.FRAME_TOO_LARGE)
        if not self._allowed(frame, now):
            return self.end(endings.TOO_MANY_FRAMES)
        if self.state is State.PROVING:
            return self._received_before_proof(frame)
        aged = self._age(now)
        if self.ending is not None:
            return aged
        done = self._received(frame, size)
        return [*aged, *done] if aged else done

    def disconnected(self, code: int) -> list[Effect]:
        """The client, or the network, has closed the socket."""
        if self.state is State.ENDED:
            return []
        self.state = State.ENDED
        return [Record("gone", f"closed by the peer with {code}")]

    def end(self, ending: Ending) -> list[Effect]:
        """End the connection now: `bye` to those who understand it, then the close frame."""
        if self.state is State.ENDED:
            return []
        self.state = State.ENDED
        self.ending = ending
        goodbye: list[Effect] = [Send(frames.Bye(ending))] if ending.code != endings.FINISHED.code else []
        return [*goodbye, Record("ended", f"{ending.code} {ending.reason}".strip()), Close(ending)]

    def _begin(self, proof: Proof, now: float) -> list[Effect]:
        if proof.expires_at <= now:
            return self.end(endings.TOKEN_EXPIRED)
        self._take(proof, now)
        if self.controlled:
            self._next_ping = now + self.policy.ping_interval
        assert self.lease is not None
        left = proof.expires_at - now
        welcome = frames.Welcome(
            connection=self.id,
            session=proof.session,
            user=proof.user,
            expires_in=left,
            refresh_in=self.lease.refresh_at - now,
            grace=self.policy.grace,
            ping_interval=self.policy.ping_interval,
            limits=frames.Limits(self.policy.max_frame_bytes, self.policy.max_frames_per_second),
        )
        return [Bind(proof.session), Record("proven", seconds=left), Send(welcome)]

    def _renew(self, proof: Proof, now: float, *, how: str, request: str | int | None) -> list[Effect]:
        assert self.lease is not None
        if not self._lives(now):
            return self.end(endings.TOKEN_EXPIRED)
        if proof.expires_at <= now:
            return [
                *self._age(now),
                Send(frames.Error("token_expired", endings.TOKEN_EXPIRED.reason, request)),
            ]
        before = self.lease.expires_at - now
        healed = self.lease.phase(now) is Phase.GRACE
        moved: list[Effect] = [] if proof.session == self.session else [Bind(proof.session)]
        self._take(proof, now)
        answer = frames.AuthOk(proof.expires_at - now, self.lease.refresh_at - now, request)
        return [*moved, Record("healed" if healed else "renewed", how, before), Send(answer)]

    def _take(self, proof: Proof, now: float) -> None:
        self.proof = proof
        self.lease = grant(
            now=now,
            expires_at=proof.expires_at,
            lead=self.policy.refresh_lead,
            grace=self.policy.grace,
            jitter=self.jitter,
        )
        self.state = State.READY

    def _lives(self, now: float) -> bool:
        return self.lease is not None and self.lease.phase(now) is not Phase.OVER

    def _age(self, now: float) -> list[Effect]:
        """Move to the state that the lease has reached, however late the timer was."""
        assert self.lease is not None
        phase = self.lease.phase(now)
        if phase is Phase.OVER:
            return self.end(endings.TOKEN_EXPIRED)
        state = _STATE_OF[phase]
        if state is self.state:
            return []
        self.state = state
        match state:
            case State.DUE:
                left = self.lease.expires_at - now
                return [Record("due", seconds=left), Send(frames.AuthDue(left))]
            case State.GRACE:
                left = self.lease.ends_at - now
                return [Record("in grace", seconds=left), Send(frames.AuthGrace(left))]
            case _:
                return []

    def _keep_alive(self, now: float) -> list[Effect]:
        if self._next_ping is None or now < self._next_ping:
            return []
        if self._unanswered >= MISSED_PINGS:
            return self.end(endings.PEER_GONE)
        self._unanswered += 1
        self._next_ping = now + self.policy.ping_interval
        return [Send(frames.Ping())]

    def _allowed(self, frame: frames.ClientFrame, now: float) -> bool:
        # Whoever comes back asks for all of its channels at once, and must not be sent away for it again and again.
        if isinstance(frame, frames.Subscribe) and self._first_subscribes:
            self._first_subscribes -= 1
            return True
        rate = self.policy.max_frames_per_second
        earned = max(0.0, now - self._allowance_at) * rate
        self._allowance = min(float(rate), self._allowance + earned)
        self._allowance_at = now
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True

    def _received_before_proof(self, frame: frames.ClientFrame) -> list[Effect]:
        match frame:
            case frames.Auth(token, request):
                return [Verify(token, request)]
            case frames.Ping(request):
                return [Send(frames.Pong(request))]
            case frames.Pong():
                return []
            case frames.Malformed(error):
                return [Send(error)]
            case frames.ChannelRequest():
                return [Send(frames.Error("auth_required", PROVE_FIRST, frame.id))]
        return [Send(frames.Error("auth_required", PROVE_FIRST))]

    def _received(self, frame: frames.ClientFrame, size: int) -> list[Effect]:
        match frame:
            case frames.Message(data) if self.state is not State.GRACE:  # first, as nearly every frame is one
                return [Deliver(data, size)]
            case frames.ChannelRequest():
                if self.state is State.GRACE:
                    return [Send(frames.Error("auth_required", PROVE_AGAIN, frame.id))]
                return [Request(frame)]
            case frames.Auth(token, request):
                return [Verify(token, request)]
            case frames.Ping(request):
                return [Send(frames.Pong(request))]
            case frames.Pong():
                return []
            case frames.Malformed(error):
                return [Send(error)]
        return [Send(frames.Error("auth_required", PROVE_AGAIN, frames.id_of(frame.data)))]


MISSED_PINGS = 2
PROVE_FIRST = 'send a token first: {"type": "auth", "token": "..."}'
PROVE_AGAIN = "the token has expired; send a new one, then send this again"

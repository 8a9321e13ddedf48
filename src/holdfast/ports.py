"""What Holdfast needs from the outside, in its own verbs: a clock, chance, a session store, a broker, token checkers.

Each port has a suite or a double in `holdfast.testing`. Whatever a verb promises to be atomic is the implementation's
duty, not the caller's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from holdfast.core.channel import History
from holdfast.core.connection import Proof
from holdfast.core.policy import Retention, SessionPolicy
from holdfast.core.rotation import Decision
from holdfast.protocol.frames import Member, Position, Publication


class Clock(Protocol):
    """Where `now` comes from, and the only thing that can wait for it."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return once `now()` has moved on by `seconds`, or soon after."""
        ...


class Random(Protocol):
    """Where ids, salts and jitter come from."""

    def token(self, nbytes: int) -> bytes:
        """Unguessable bytes."""
        ...

    def unit(self) -> float:
        """A number from [0, 1), for jitter."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who can sign in."""

    id: str
    name: str
    roles: tuple[str, ...] = ()
    disabled: bool = False
    epoch: int = 0
    """Raised by "log out everywhere": access tokens of an older epoch are no longer good."""
    password_hash: str | None = field(default=None, repr=False)
    """argon2id, or `None` for people whose sign-in is the app's own affair."""
    created_at: float = 0.0


class SessionStatus(StrEnum):
    """Whether a session can still be refreshed."""

    ACTIVE = "active"
    REVOKED = "revoked"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One sign-in on one device: the row that refresh rotation decides by (see `core.rotation`)."""

    id: str
    user_id: str
    client: str
    """`browser` (the refresh token lives in a cookie) or `program` (in the body)."""
    status: SessionStatus = SessionStatus.ACTIVE
    ended_at: float | None = None
    ended_reason: str | None = None
    kid: str
    """Which master key the current refresh token was derived with."""
    salt: bytes = field(repr=False)
    generation: int = 1
    confirmed_generation: int = 1
    confirmed_at: float
    issued_at: float
    replay_count: int = 0
    epoch: int = 0
    created_at: float
    auth_time: float
    idle_expires_at: float
    absolute_expires_at: float
    last_seen_at: float
    address: str | None = None
    user_agent: str | None = None


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a refresh came to; `session` and `user` are as committed, `None` where there is no such session."""

    decision: Decision
    session: Session | None
    user: User | None
    event_id: int | None = None
    """The event that was written in the same transaction; `None` where nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A one-use stand-in for an access token in a WebSocket URL."""

    proof: Proof
    origin: str | None
    expires_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """Something that happened to a user or session; append-only, and how other processes learn of it."""

    kind: str
    """`user.signed_in`, `session.revoked`, `refresh.rotated`, …; see docs/audit.md."""
    at: float
    user_id: str | None = None
    session_id: str | None = None
    address: str | None = None
    data: dict[str, Any] = field(default_factory=dict)
    """Facts for readers and other processes: reasons; what a renewed token says and until when. Never a secret."""
    id: int | None = None
    """Its place in the log, given by the store; always rising."""


class SessionStore(Protocol):
    """Users, sessions, tickets and the audit log.

    Every verb is one transaction. Times are `now` as the caller has it; a store never reads a clock. Verbs that change
    something write their `AuditEvent` in the same transaction, so that whoever follows the log misses nothing.
    """

    async def start(self) -> None:
        """Make ready: connect, and bring the schema up to date. Call once before anything else."""
        ...

    async def aclose(self) -> None:
        """Give back what `start` took."""
        ...

    async def ping(self) -> None:
        """Return if the store answers; raise `errors.Unavailable` otherwise."""
        ...

    # Users

    async def add_user(self, user: User) -> User:
        """Add a user; raises `errors.Conflict` if the name (without regard to case) or id is taken."""
        ...

    async def user(self, user_id: str) -> User | None: ...

    async def user_named(self, name: str) -> User | None:
        """By name, without regard to case."""
        ...

    async def users(self) -> Sequence[User]:
        """Everybody, by name."""
        ...

    async def set_password(
        self, user_id: str, password_hash: str, *, now: float, keep: str | None = None
    ) -> AuditEvent:
        """Raises `errors.NotFound`. Writes `user.password_changed`, then does what `revoke_user` does but for `keep`.

        All in the same transaction, so that no session outlives the password that opened it. The `user.revoked` event
        is returned; its reason is `password_changed`.
        """
        ...

    async def rehash_password(self, user_id: str, password_hash: str, *, instead_of: str) -> None:
        """The same password hashed anew: written only over that very hash, ends nothing, and is no event."""
        ...

    async def set_roles(self, user_id: str, roles: Sequence[str], *, now: float) -> None:
        """Raises `errors.NotFound`."""
        ...

    async def set_disabled(self, user_id: str, disabled: bool, *, now: float) -> None:
        """Raises `errors.NotFound`. Disabling also does what `revoke_user` does, in the same transaction."""
        ...

    # Sessions

    async def open_session(self, session: Session, *, now: float) -> Session:
        """Store a new session and write `user.signed_in`; takes the user's present `epoch` whatever the row says.

        Raises `errors.SessionEnded` if the user is unknown or disabled.
        """
        ...

    async def rotate(
        self,
        sid: str,
        presented: int,
        *,
        now: float,
        policy: SessionPolicy,
        kid: str,
        access_expires_at: float,
    ) -> Rotated:
        """Decide by `core.rotation.decide` and write what it says: one transaction, one conditional UPDATE.

        `kid` is the present master key, which the row takes over when it rotates. The event of a hand-out (rotated,
        coalesced, replayed) carries `access_expires_at` as `data["expires_at"]` for the connections of the session.
        """
        ...

    async def confirm(self, sid: str, generation: int, *, now: float) -> bool:
        """The client has proved that it holds `generation`; true if that was news. Others change nothing."""
        ...

    async def session(self, sid: str) -> Session | None: ...

    async def sessions(
        self, *, user_id: str | None = None, active_at: float | None = None
    ) -> Sequence[Session]:
        """Newest first; of one user, and only those that could be refreshed at `active_at`, if given."""
        ...

    async def revoke_session(self, sid: str, *, reason: str, now: float) -> AuditEvent | None:
        """End one session; the event written, or `None` if it was not active."""
        ...

    async def revoke_user(
        self, user_id: str, *, reason: str, now: float, keep: str | None = None
    ) -> AuditEvent:
        """End every session of a user but `keep`, and raise the user's epoch.

        The kept session moves to the new epoch, so its next refresh goes on. An id of nobody known is fine: the event
        still reaches every process, and with `epoch` null it is about that `sub` at every issuer. Writes one
        `user.revoked` with `data = {"reason", "keep", "epoch"}`.
        """
        ...

    async def has_signed_in_from(self, user_id: str, address: str) -> bool:
        """Whether any session of the user was ever opened from this address."""
        ...

    # Tickets

    async def add_ticket(self, digest: bytes, ticket: Ticket) -> None:
        """Keep a ticket under the SHA-256 of its text."""
        ...

    async def take_ticket(self, digest: bytes) -> Ticket | None:
        """Remove and return a ticket, also one that is over; of many who ask at once, one gets it."""
        ...

    # The log

    async def record(self, event: AuditEvent) -> AuditEvent:
        """Append an event."""
        ...

    async def events_after(self, event_id: int, *, limit: int = 500) -> Sequence[AuditEvent]:
        """Events after `event_id`, oldest first."""
        ...

    async def latest_event_id(self) -> int:
        """The id of the newest event; 0 for an empty log."""
        ...

    async def revocations_since(self, at: float) -> Sequence[AuditEvent]:
        """`session.revoked`, `session.reuse` and `user.revoked` events from `at` on, oldest first."""
        ...

    async def sweep(self, *, now: float, keep_events: float) -> int:
        """Forget what no longer matters: events and ended sessions older than `keep_events` seconds, dead tickets.

        A ticket stays for an hour after it is over, so that who comes late is told that it has run out.
        """
        ...


class TokenVerifier(Protocol):
    """Turns an access token into a `Proof`."""

    async def verify(self, token: str, *, now: float) -> Proof:
        """Raises `errors.TokenExpired`, `errors.TokenInvalid`, or `errors.Unavailable` when keys cannot be fetched."""
        ...


class TokenIssuer(Protocol):
    """Signs access tokens."""

    @property
    def issuer(self) -> str:
        """The `iss` of its tokens: a proof of any other is of somebody who has no session and no row here."""
        ...

    def issue(self, session: Session, user: User, *, now: float, expires_at: float) -> str:
        """An access token for a session, good until `expires_at` (whole seconds)."""
        ...


@dataclass(frozen=True, slots=True)
class Presented:
    """What a refresh token with a good MAC says."""

    kid: str
    sid: str
    generation: int
    proof: bytes = field(default=b"", repr=False)
    """The part that only the session's salt can check; see `RefreshTokens.matches`."""


class RefreshTokens(Protocol):
    """Derives and reads refresh tokens (`rt1.<kid>.<sid>.<generation>.<mac>`); nothing secret is stored."""

    @property
    def kid(self) -> str:
        """The key that new tokens are derived with."""
        ...

    def derive(self, session: Session) -> str:
        """The token of the session's present generation: always the same text for the same row."""
        ...

    def read(self, token: str) -> Presented:
        """Raises `errors.TokenInvalid` for anything that no key of ours has made; touches no store."""
        ...

    def matches(self, presented: Presented, session: Session) -> bool:
        """Whether the token was derived with this session's salt, at whatever generation.

        Ask before `SessionStore.rotate`: whoever has a master key but not the store can get past `read`, and must not
        get as far as being taken for a reuse.
        """
        ...


class Listener(Protocol):
    """Is told by a `Broker` what happens in the channels that its node is subscribed to; must return at once.

    A broker never calls it from two threads, and tells of one channel in the order of its offsets.
    """

    def published(self, channel: str, publication: Publication, epoch: str) -> None:
        """The next publication: of the same epoch as the last, and with one more than its offset, but after `lost`."""
        ...

    def lost(self, channel: str, position: Position) -> None:
        """Publications were missed and cannot be had, or another life has begun; what is told next is after this."""
        ...

    def joined(self, channel: str, member: Member) -> None: ...

    def left(self, channel: str, member: Member) -> None: ...


class Broker(Protocol):
    """Carries publications between nodes, keeps their history, and knows who is present: one node's access to it.

    Times are `now` as the caller has it. Every verb may raise `errors.Unavailable`, and has then done nothing that
    anybody saw; `publish` with a `key` may simply be tried again.
    """

    instant: bool
    """Whether no verb ever waits, so that a caller may run one without a task around it."""

    async def start(self, listener: Listener) -> None:
        """Make ready. Call once before anything else."""
        ...

    async def aclose(self) -> None:
        """Unsubscribe from everything, let everybody who joined through this node leave, and let go."""
        ...

    async def ping(self) -> None:
        """Return if the broker answers; raise `errors.Unavailable` otherwise."""
        ...

    # Publications

    async def publish(
        self, channel: str, data: str, *, retention: Retention, now: float, key: str | None = None
    ) -> Position:
        """Give a publication the channel's next offset, keep it, and tell every subscribed node, as one step.

        `data` is JSON text. A `key` that the channel has seen within `core.channel.KEY_SECONDS` publishes nothing, and
        returns the position that it got then; one that is out of room may forget keys earlier.
        """
        ...

    async def subscribe(self, channel: str, *, now: float) -> None:
        """From here on this node's listener is told of the channel; again is harmless.

        `recover` afterwards: every publication above the position that it returns is told to the listener, perhaps
        before it returns, and so perhaps are some of those that it returns.
        """
        ...

    async def unsubscribe(self, channel: str, *, now: float) -> None:
        """This node has no use for the channel any more. The listener is told nothing of it from now on."""
        ...

    async def recover(self, channel: str, since: Position | None, *, now: float) -> History:
        """The channel's newest position, and with `recovered` all that came after `since`; otherwise nothing of it."""
        ...

    async def history(self, channel: str, since: Position | None, *, limit: int, now: float) -> History:
        """The newest `limit` publications, or the first `limit` after `since`; oldest first.

        When not all that came after `since` is kept, it is not `recovered` and starts at the oldest that is.
        """
        ...

    # Presence

    async def join(self, channel: str, member: Member, *, now: float) -> None:
        """Somebody connected to this node is there; again (by the member's connection) is harmless.

        Counts while this node's lease runs: call `hold_presence` first.
        """
        ...

    async def leave(self, channel: str, connection: str, *, now: float) -> None:
        """They are gone; also harmless if they were not there."""
        ...

    async def presence(self, channel: str, *, now: float) -> Sequence[Member]:
        """Who is there, on all nodes, in the order in which they came."""
        ...

    async def hold_presence(self, *, now: float, seconds: float) -> bool:
        """This node lives: whoever joins through it counts until `now + seconds`. Call again well before that.

        Returns whether its lease still ran; if not (the first time, and after a long pause), all who joined through
        it have left, and those still connected must join again. Lets the members of other nodes leave whose lease is
        over.
        """
        ...


class Observer(Protocol):
    """Is told what happens to connections, sessions and channels, for metrics; must return at once.

    What it raises is logged, once for each `what`, and changes nothing of what it was told.
    """

    def connection(self, what: str, *, detail: str = "", seconds: float | None = None) -> None: ...

    def session(self, what: str) -> None: ...

    def channel(self, what: str, count: int = 1) -> None:
        """`published` by this node, `delivered` and `recovered` here; channels `opened` and `closed`, subscribers
        `subscribed` and `left`, here too. One call for as many as there are at once.
        """
        ...

"""What the admin API answers and takes. Times are seconds since the epoch, and every answer says what `now` is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, SecretStr, model_validator

from holdfast import ports
from holdfast.protocol import channels

if TYPE_CHECKING:
    from holdfast.asgi.driver import Driver

BY_ADMIN = "by an administrator"
MAX_REASON = 60
"""Characters: what a close frame has room for."""


def _channel(name: str) -> str:
    if not channels.is_channel(name):
        raise ValueError(channels.BAD_CHANNEL)
    return name


class Moment(BaseModel):
    """One thing that happened to a connection; `seconds` is what was left of its lease."""

    at: float
    what: str
    detail: str
    seconds: float | None


class Connection(BaseModel):
    """One live connection."""

    id: str
    user: str
    user_name: str
    session: str | None
    state: str
    carrier: str
    controlled: bool
    """Whether the client speaks holdfast.v1."""
    path: str
    origin: str | None
    address: str | None
    user_agent: str | None
    connected_at: float
    expires_in: float
    """Seconds until the newest proof expires; negative in grace."""
    channels: list[str]
    """What it is subscribed to."""
    ends_in: float
    """Seconds until the connection ends without a renewal."""
    timeline: list[Moment]

    @classmethod
    def of(cls, driver: Driver, now: float) -> Self:
        """The connection as it stands at `now`."""
        proof, lease = driver.proof, driver.machine.lease
        assert proof is not None, "a connection in the registry is proven"
        assert lease is not None
        return cls(
            id=driver.id,
            user=proof.user,
            user_name=proof.name,
            session=proof.session,
            state=str(driver.state),
            carrier=str(driver.visitor.carrier),
            controlled=driver.visitor.controlled,
            path=driver.visitor.path,
            origin=driver.visitor.origin,
            address=driver.visitor.address,
            user_agent=driver.visitor.user_agent,
            connected_at=driver.connected_at,
            expires_in=lease.expires_at - now,
            channels=driver.node.hub.channels_of(driver),
            ends_in=lease.ends_at - now,
            timeline=[
                Moment(at=one.at, what=one.what, detail=one.detail, seconds=one.seconds)
                for one in driver.timeline
            ],
        )


class Connections(BaseModel):
    """The live connections of one process."""

    node: str
    now: float
    connections: list[Connection]


class Session(BaseModel):
    """One sign-in on one device."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    user_id: str
    user_name: str | None
    client: str
    status: str
    created_at: float
    last_seen_at: float
    idle_expires_at: float
    absolute_expires_at: float
    ended_at: float | None
    ended_reason: str | None
    generation: int
    address: str | None
    user_agent: str | None
    connections: int
    """Live connections of this session in this process."""

    @classmethod
    def of(cls, session: ports.Session, user_name: str | None, connections: int) -> Self:
        """The row without what refreshes it."""
        own = {name: getattr(session, name) for name in cls.model_fields if hasattr(session, name)}
        return cls(**own, user_name=user_name, connections=connections)


class Sessions(BaseModel):
    """A page of sessions; `total` counts those of all pages."""

    total: int
    now: float
    sessions: list[Session]


class Revocation(BaseModel):
    """What to end: a user's sessions or one of them. The person is shown the reason."""

    user: str | None = None
    session: str | None = None
    issuer: str | None = Field(
        None, description="For somebody of an outside issuer: its name, with their `sub` as the user."
    )
    reason: str = Field(BY_ADMIN, max_length=MAX_REASON)

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if (self.user is None) == (self.session is None):
            raise ValueError("name either a user or a session")
        if self.user is None and self.issuer is not None:
            raise ValueError("an issuer goes with a user")
        return self


class Publication(BaseModel):
    """What to publish, and where."""

    channel: Annotated[str, AfterValidator(_channel)]
    data: JsonValue


class Position(BaseModel):
    """The place that a publication got in its channel."""

    epoch: str
    offset: int


class User(BaseModel):
    """Somebody who can sign in."""

    id: str
    name: str
    roles: list[str]
    disabled: bool
    created_at: float

    @classmethod
    def of(cls, user: ports.User) -> Self:
        """The row without its password."""
        return cls(
            id=user.id,
            name=user.name,
            roles=list(user.roles),
            disabled=user.disabled,
            created_at=user.created_at,
        )


class Users(BaseModel):
    """Everybody."""

    users: list[User]


class NewUser(BaseModel):
    """Somebody to add."""

    name: str
    password: SecretStr
    roles: list[str] = []


class Sample(BaseModel):
    """The counts at one moment; all but `connections` and `subscriptions` only ever rise."""

    at: float
    connections: int
    opened: int
    renewals: int
    closes: int
    closes_by_code: dict[str, int]
    refreshes: int
    sign_ins: int
    drops_avoided: int
    publications: int
    deliveries: int
    """Publications handed to subscribers, as they came or when they recovered."""
    subscriptions: int


class Close(BaseModel):
    """How many connections ended in one way."""

    by: str
    code: str
    reason: str
    count: int


class Stats(BaseModel):
    """Counts of one process since it started; `samples` are of the last hour, one every five seconds."""

    node: str
    now: float
    started_at: float
    live_by_state: dict[str, int]
    live_by_carrier: dict[str, int]
    totals: Sample
    renewals: dict[str, int]
    healed: int
    renewals_refused: int
    closes: list[Close]
    handshakes_refused: dict[str, int]
    channels: int
    """Channels that have a subscriber in this process."""
    refreshes: dict[str, int]
    sign_ins: dict[str, int]
    samples: list[Sample]


class Event(BaseModel):
    """A line of the audit log."""

    id: int
    at: float
    kind: str
    user_id: str | None
    session_id: str | None
    address: str | None
    data: dict[str, Any]

    @classmethod
    def of(cls, event: ports.AuditEvent) -> Self:
        """The event as it was written."""
        assert event.id is not None, "the store has numbered it"
        return cls(
            id=event.id,
            at=event.at,
            kind=event.kind,
            user_id=event.user_id,
            session_id=event.session_id,
            address=event.address,
            data=event.data,
        )


class Events(BaseModel):
    """A page of the audit log; `next` is the `before` of the page after it."""

    events: list[Event]
    next: int | None

"""What the session routes take and answer; the OpenAPI of `hold.router` is made from these."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from holdfast.sessions.passwords import MAX_LENGTH, MIN_LENGTH

MAX_TOKEN = 512
"""Longer than any refresh token is."""


class Body(BaseModel):
    """A JSON body: no field may be misspelt, and no number passes for a string."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class SignIn(BaseModel):
    """The form of an OAuth2 password sign-in, which FastAPI's docs page sends; `scope` and the like are not read."""

    model_config = ConfigDict(title="SignIn", hide_input_in_errors=True)

    username: str
    password: SecretStr = Field(json_schema_extra={"format": "password"})
    grant_type: Literal["password"] = "password"
    client: Literal["browser", "program"] = Field(
        default="browser",
        description="`browser` gets the refresh token as a cookie, `program` in the answer.",
    )


class RefreshToken(Body):
    """For programs; browsers send their cookie instead."""

    refresh_token: str | None = Field(default=None, max_length=MAX_TOKEN, repr=False)


class Everywhere(Body):
    """Which sessions to end."""

    keep_this_session: bool = Field(default=False, description="End all others, but not the one that asks.")


class NewPassword(Body):
    """The present password and the new one."""

    old_password: SecretStr
    new_password: SecretStr = Field(
        json_schema_extra={"minLength": MIN_LENGTH, "maxLength": MAX_LENGTH},
        description="Not a common one, and not the user name; nothing else is asked of it.",
    )


class Person(BaseModel):
    """Who is signed in."""

    id: str
    name: str
    roles: list[str]


class Tokens(BaseModel):
    """The answer to signing in and refreshing. Seconds count from now."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105  # the scheme's name
    expires_in: int
    refresh_in: float = Field(
        description="When to refresh; a little different each time, to spread the load."
    )
    session_id: str
    generation: int = Field(description="A client never replaces a token by one of a lower generation.")
    user: Person
    refresh_token: str | None = Field(default=None, description="For `client=program` only.")


class Me(Person):
    """Who the access token says is there."""

    session_id: str | None
    expires_in: int


class Device(BaseModel):
    """One session of one's own; times are seconds since the epoch."""

    id: str
    current: bool = Field(description="Whether it is the one that asks.")
    client: str
    created_at: float
    last_seen_at: float
    idle_expires_at: float
    absolute_expires_at: float
    address: str | None
    user_agent: str | None


class Devices(BaseModel):
    """One's own sessions, newest first."""

    sessions: list[Device]


class Ticket(BaseModel):
    """For `?ticket=` in a WebSocket's URL: good once, from the same Origin."""

    ticket: str
    expires_in: int


class Jwks(BaseModel):
    """The public keys that access tokens are verified with (RFC 7517)."""

    keys: list[dict[str, Any]]


class Refusal(BaseModel):
    """Why not."""

    code: str = Field(description="For programs; stable.")
    message: str = Field(description="For people.")
    reason: str | None = Field(default=None, description="With `session_ended`: why it ended.")

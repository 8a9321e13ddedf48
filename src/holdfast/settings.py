"""Every setting of Holdfast, declared once.

The environment name, the CLI flag of `holdfast serve` and the row in docs/settings.md are all made from these fields.
`SECRET_KEY`, `ALGORITHM` and `ACCESS_TOKEN_EXPIRE_MINUTES` keep the names that FastAPI's own tutorial gave them; the
rest begin with `HOLDFAST_`.
"""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from holdfast.core.pattern import Pattern
from holdfast.core.policy import LivePolicy, Renewal, Retention, SessionPolicy
from holdfast.errors import ConfigurationError, MisuseError

MIN_SECRET_BYTES = 32
"""An HMAC key is at least as long as its hash (RFC 7518, section 3.2)."""

DAY = 86_400.0

Algorithm = Literal["HS256", "RS256", "ES256", "EdDSA"]
CommaList = Annotated[tuple[str, ...], NoDecode]


def _seed(name: str) -> Any:
    return AliasChoices(name, name.lower())


class Settings(BaseSettings):
    """How this Holdfast runs: keyword arguments first, then the environment, then the defaults here."""

    model_config = SettingsConfigDict(
        env_prefix="HOLDFAST_", extra="forbid", frozen=True, hide_input_in_errors=True, populate_by_name=True
    )

    secret_key: SecretStr | None = Field(
        None,
        validation_alias=_seed("SECRET_KEY"),
        description="Signs tokens; at least 32 bytes. `holdfast serve` makes one on first start; a library needs it.",
    )
    previous_secret_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="Secrets of before, comma separated: still accepted, never used for new tokens."
    )
    algorithm: Algorithm = Field(
        "HS256", validation_alias=_seed("ALGORITHM"), description="How access tokens are signed."
    )
    access_token_expire_minutes: float = Field(
        1440.0,
        validation_alias=_seed("ACCESS_TOKEN_EXPIRE_MINUTES"),
        ge=1 / 60,
        le=60 * 24 * 366,
        description="How long an access token lives, in minutes; fractions allowed.",
    )
    issuer: str = Field("holdfast", min_length=1, description="The `iss` of access tokens.")
    audience: str = Field("holdfast", min_length=1, description="The `aud` of access tokens.")

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    data_dir: Path = Field(
        Path("data"), description="Where `holdfast serve` keeps its secret, keys and SQLite file."
    )
    database_url: SecretStr | None = Field(
        None, description="SQLAlchemy URL of the store; default: SQLite in the data directory."
    )
    admin_username: str = Field("admin", min_length=1, description="Who is made admin on the first start.")
    admin_password: SecretStr | None = Field(
        None, description="That admin's password; default: one is made and printed once."
    )
    metrics_networks: CommaList = Field(
        (), description="Addresses or networks besides this machine that may read /metrics, comma separated."
    )

    allowed_origins: CommaList = Field(
        (), description="Origins besides the server's own that browsers may come from, comma separated."
    )
    trusted_proxies: CommaList = Field(
        (), description="Addresses or networks whose X-Forwarded-* headers are believed, comma separated."
    )

    live_grace_seconds: float = Field(
        30.0,
        ge=0,
        le=3600,
        description="How long a connection outlives its token, receiving only; 0 is strict.",
    )
    refresh_lead_seconds: float = Field(
        300.0,
        gt=0,
        le=DAY,
        description="How long before expiry clients refresh; never over half the lifetime.",
    )
    rotation_window_seconds: float = Field(
        10.0, ge=0, le=300, description="Within this, tabs that refresh at once all get the same token."
    )
    session_idle_days: float = Field(14.0, gt=0, le=3660, description="A session unused for this long ends.")
    session_max_days: float = Field(90.0, gt=0, le=3660, description="A session this old ends, used or not.")
    renewal: Renewal = Field(
        Renewal.AUTO,
        description="How leases renew: `auto`, `connection` (in band only), or `session` (through it, for all).",
    )
    handshake: Literal["accept", "http"] = Field(
        "accept",
        description="How a bad token is told: `accept`, then 4003 (browsers see it), or `http` 401 (programs).",
    )
    proof_timeout_seconds: float = Field(
        10.0, gt=0, le=300, description="How long a socket may stay open without a token."
    )
    max_frame_bytes: int = Field(
        65_536, ge=1024, le=16 * 2**20, description="The largest frame a client may send."
    )
    max_frames_per_second: int = Field(
        1_000, ge=1, le=100_000, description="How many frames a client may send in a second, on average."
    )
    max_connections_per_user: int = Field(
        1_000, ge=1, description="How many connections one user may hold at once."
    )
    max_backlog_bytes: int = Field(
        1_048_576,
        ge=65_536,
        le=256 * 2**20,
        description="How much may wait to be sent to one connection; past it that connection ends with 4008.",
    )
    max_channels_per_connection: int = Field(
        100, ge=1, le=100_000, description="How many channels one connection may be subscribed to."
    )
    history_size: int = Field(
        1_000,
        ge=0,
        le=1_000_000,
        description="How many publications of a channel are kept for those who come back; 0 keeps none.",
    )
    history_seconds: float = Field(
        3_600.0, ge=0, le=30 * DAY, description="For how long a publication is kept at most."
    )
    history_bytes: int = Field(
        268_435_456,
        ge=2**20,
        description="What the histories of all channels may take of memory; past it those that take most lose some.",
    )
    channels: CommaList = Field(
        ("public:*", "job:*"),
        description="`holdfast serve`: channels that everyone signed in may read, as patterns, comma separated.",
    )
    publishers: Literal["admins", "programs", "everyone"] = Field(
        "programs",
        description="`holdfast serve`: who else than admins publishes there: `programs`, or `everyone`.",
    )
    ping_interval_seconds: float = Field(
        25.0,
        gt=0,
        le=3600,
        description="How often a connection is asked whether it is there; two silences end it.",
    )
    drain_seconds: float = Field(
        10.0, ge=0, le=600, description="On SIGTERM, the window over which clients are told to come back."
    )

    oidc_issuer: str | None = Field(
        None, description="An outside identity provider whose tokens are accepted too."
    )
    oidc_jwks_url: str | None = Field(None, description="Where its public keys are.")
    oidc_audience: str | None = Field(None, description="The `aud` its tokens must have.")
    oidc_algorithms: CommaList = Field(
        ("RS256", "ES256"), description="The algorithms it may sign with, comma separated."
    )
    oidc_cache_seconds: float = Field(
        300.0, ge=1, le=DAY, description="How long its keys are kept before asking again."
    )

    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="`auto` is console on a terminal, JSON otherwise."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least that is logged."
    )

    @field_validator(
        "allowed_origins",
        "trusted_proxies",
        "metrics_networks",
        "oidc_algorithms",
        "channels",
        "previous_secret_keys",
        mode="before",
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("channels")
    @classmethod
    def _patterns(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for number, text in enumerate(value):
            try:
                names = Pattern(text).names
            except MisuseError as error:
                raise ValueError(str(error)) from None
            if names:
                raise ValueError(
                    f"the pattern {text!r} names a part of it, which nobody asks for; write * instead"
                )
            if text in value[:number]:
                raise ValueError(f"the pattern {text!r} is there twice")
        return value

    @field_validator("secret_key")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().encode()) < MIN_SECRET_BYTES:
            raise ValueError(
                f"is shorter than {MIN_SECRET_BYTES} bytes; make one with: "
                'python -c "import secrets; print(secrets.token_urlsafe(48))"'
            )
        return value

    @field_validator("allowed_origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            scheme, _, rest = origin.partition("://")
            if scheme not in ("http", "https") or not rest or "/" in rest or "*" in rest:
                raise ValueError(f"{origin!r} is not an origin; write it as https://app.example.com")
        return value

    @field_validator("trusted_proxies", "metrics_networks")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ip_network(network, strict=False)
        return value

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.session_idle_days > self.session_max_days:
            raise ValueError(
                "HOLDFAST_SESSION_IDLE_DAYS is longer than HOLDFAST_SESSION_MAX_DAYS; make it the shorter one"
            )
        outside = (self.oidc_issuer, self.oidc_jwks_url, self.oidc_audience)
        if any(outside) and not all(outside):
            raise ValueError(
                "set HOLDFAST_OIDC_ISSUER, HOLDFAST_OIDC_JWKS_URL and HOLDFAST_OIDC_AUDIENCE together"
            )
        return self

    @property
    def access_lifetime(self) -> float:
        """Seconds an access token lives: whole ones, since `exp` and `iat` are."""
        return float(max(1, round(self.access_token_expire_minutes * 60)))

    @property
    def live_policy(self) -> LivePolicy:
        """The numbers that live connections are held by."""
        return LivePolicy(
            grace=self.live_grace_seconds,
            refresh_lead=self.refresh_lead_seconds,
            renewal=self.renewal,
            proof_timeout=self.proof_timeout_seconds,
            ping_interval=self.ping_interval_seconds,
            max_frame_bytes=self.max_frame_bytes,
            max_frames_per_second=self.max_frames_per_second,
            max_connections_per_user=self.max_connections_per_user,
            max_backlog_bytes=self.max_backlog_bytes,
            max_channels_per_connection=self.max_channels_per_connection,
        )

    @property
    def retention(self) -> Retention:
        """What of a channel is kept, unless its rule says otherwise."""
        return Retention(size=self.history_size, seconds=self.history_seconds)

    @property
    def session_policy(self) -> SessionPolicy:
        """The numbers that sessions are refreshed by."""
        return SessionPolicy(
            access_lifetime=self.access_lifetime,
            rotation_window=self.rotation_window_seconds,
            idle_lifetime=self.session_idle_days * DAY,
            absolute_lifetime=self.session_max_days * DAY,
        )


def env_name(field: str) -> str:
    """The environment variable that sets a field."""
    seeds = ("secret_key", "algorithm", "access_token_expire_minutes")
    return field.upper() if field in seeds else f"HOLDFAST_{field.upper()}"


def load(**given: Any) -> Settings:
    """Settings from keyword arguments and the environment.

    Raises:
        ConfigurationError: naming each bad variable, what is wrong with it and what to do; never its value.
    """
    from pydantic import ValidationError

    try:
        return Settings(**given)
    except ValidationError as error:
        problems = []
        for problem in error.errors(include_input=False, include_url=False, include_context=False):
            where = str(problem["loc"][0]).lower() if problem["loc"] else ""
            text = problem["msg"].removeprefix("Value error, ")
            problems.append(f"{env_name(where)}: {text}" if where else text)
        raise ConfigurationError("; ".join(problems)) from None

"""The numbers that the core decides by, given to it once."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Renewal(StrEnum):
    """How a connection's lease may be renewed."""

    AUTO = "auto"
    """In band for clients that speak holdfast.v1, through the session for plain sockets."""
    CONNECTION = "connection"
    """In band only: a plain socket ends with its token."""
    SESSION = "session"
    """Through the session for everybody, and in band too for those who can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePolicy:
    """How live connections are held; all times in seconds."""

    grace: float = 30.0
    refresh_lead: float = 300.0
    renewal: Renewal = Renewal.AUTO
    proof_timeout: float = 10.0
    ping_interval: float = 25.0
    max_frame_bytes: int = 65_536
    max_frames_per_second: int = 1_000
    max_connections_per_user: int = 1_000
    max_backlog_bytes: int = 1_048_576
    max_channels_per_connection: int = 100

    @property
    def max_publication_bytes(self) -> int:
        """How large the data of a publication may be: several must fit into what may wait for one connection."""
        return self.max_backlog_bytes // 4


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPolicy:
    """How sessions live; all times in seconds."""

    access_lifetime: float = 86_400.0
    rotation_window: float = 10.0
    idle_lifetime: float = 14 * 86_400.0
    absolute_lifetime: float = 90 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """What of a channel's publications is kept: the newest `size`, none longer than `seconds`."""

    size: int = 0
    seconds: float = 0.0

    @property
    def keeps(self) -> bool:
        """Whether anything is kept at all, so that a position is worth keeping too."""
        return self.size > 0 and self.seconds > 0

"""What a client is given for signing in or refreshing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from holdfast.core.rotation import Outcome
from holdfast.ports import Session, User

Client = Literal["browser", "program"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a client gets for signing in or refreshing; seconds are from now."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: float
    refresh_in: float
    session: Session
    user: User
    outcome: Outcome | None = None
    """How a refresh was decided; `None` for a new session."""

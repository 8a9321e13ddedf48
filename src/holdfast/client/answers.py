"""What an HTTP answer to a refresh means: tokens, a refusal that ends the session, or trouble that may pass.

Only a server of ours that says so in JSON ends a session. A captive portal's page, a proxy's 401, a server that is
being replaced: all of that passes, and a person who is thrown out for it loses work.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from holdfast.client.machine import FINAL, Grant

REFUSING = (400, 401, 403)
"""The statuses with which a server says no; the code in the body says whether it means the session."""

LONGEST = 10.0**10
"""Nothing lives for three centuries: a larger number is nonsense."""
NAMELESS = "-"
"""Stands for the session of a server that does not name it."""


@dataclass(frozen=True, slots=True)
class Granted:
    """Tokens. They stay out of every `repr`."""

    grant: Grant
    user: dict[str, Any]
    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """The session is over; `code` says why."""

    code: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Nothing is known; `retry_after` is in seconds where the server gave one."""

    retry_after: float | None


Answer = Granted | Refused | Failed


def judge(status: int, text: str, *, retry_after: str | None = None, half_rtt: float = 0.0) -> Answer:
    """What this answer means; `retry_after` is the header as it came, `half_rtt` in seconds."""
    body = body_of(text)
    if status == 200:
        granted = _granted(body, half_rtt)
        return Failed(None) if granted is None else granted
    code = code_of(body)
    if status in REFUSING and code in FINAL:
        return Refused(code)
    return Failed(seconds_of(retry_after))


def body_of(text: str) -> dict[str, Any]:
    """The JSON object in an answer; empty where there is none."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def code_of(body: dict[str, Any]) -> str:
    """Our stable `code`, or OAuth's `error`; empty where there is neither."""
    code = body.get("code", body.get("error"))
    return code if isinstance(code, str) else ""


def seconds_of(retry_after: str | None) -> float | None:
    """A `Retry-After` in seconds; a date is left out, for it would be compared with a clock that may be wrong."""
    text = (retry_after or "").strip()
    return float(text) if text.isascii() and text.isdigit() else None


def _granted(body: dict[str, Any], half_rtt: float) -> Granted | None:
    access, refresh, user = body.get("access_token"), body.get("refresh_token"), body.get("user")
    session, generation = body.get("session_id") or NAMELESS, body.get("generation", 0)
    expires_in = _time(body.get("expires_in"))
    if not isinstance(access, str) or not access or expires_in is None:
        return None
    if not isinstance(session, str) or isinstance(generation, bool) or not isinstance(generation, int):
        return None
    grant = Grant(session, generation, expires_in, _time(body.get("refresh_in")), half_rtt)
    kept = refresh if isinstance(refresh, str) and refresh else None
    return Granted(grant, user if isinstance(user, dict) else {}, access, kept)


def _time(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST:
        return None
    return float(value)

"""Keeps tokens, tickets, cookies and passwords out of logs: ours, the server's, and those of the libraries below.

`install()` is done by `Holdfast.start`. The rules look for the shapes of secrets, so a line is safe whoever wrote it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import MutableMapping
from typing import Any

HIDDEN = "[redacted]"

_SECRET_NAMES = "|".join(
    (
        *("access_token", "refresh_token", "token", "ticket", "password", "new_password", "old_password"),
        *("secret_key", "secret", "cookie", "set-cookie", "authorization"),
    )
)
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    # A JWT, whole or cut off: its header is a JSON object, so it begins with {" in base64.
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,4}"), HIDDEN),
    (re.compile(r"\brt1\.[A-Za-z0-9_.-]+"), HIDDEN),
    (re.compile(r"\bholdfast\.bearer\.[^\s,'\"]+"), f"holdfast.bearer.{HIDDEN}"),
    (re.compile(r"(?i)\b(bearer)(\s+|%20|\+)(?!\[redacted)[^\s,'\"]+"), rf"\1 {HIDDEN}"),
    (re.compile(r"(?i)((?:__Host-)?holdfast=)(?!\[redacted)[^\s;,'\"]+"), rf"\1{HIDDEN}"),
    (
        re.compile(rf"(?i)\b({_SECRET_NAMES})(=|%3D)(?!\[redacted)[^\s&;,'\"#]*"),
        rf"\1\2{HIDDEN}",
    ),
    (
        re.compile(rf"(?i)([\"'](?:{_SECRET_NAMES})[\"']\s*:\s*)([\"'])(?:(?!\2).)*\2"),
        rf"\1\2{HIDDEN}\2",
    ),
)
_HINTS = (
    "eyj",
    "rt1.",
    "bearer",
    "holdfast=",
    "token",
    "ticket",
    "password",
    "secret",
    "cookie",
    "authorization",
)
"""One is in every text that a rule would change, in small letters; most have none, and need no second look."""
_SECRET_KEY = re.compile(rf"(?i)^(?:{_SECRET_NAMES})$")

SERVER_LOGGERS = (
    "uvicorn",
    "uvicorn.error",
    "uvicorn.access",
    "uvicorn.asgi",
    "hypercorn.access",
    "hypercorn.error",
    "granian",
    "granian.access",
    "_granian",
    "daphne",
    "daphne.access",
    "daphne.server",
    "daphne.http_protocol",
    "daphne.ws_protocol",
    "websockets",
    "websockets.server",
    "websockets.client",
    "httpx",
    "httpcore",
    "aiosqlite",
    "sqlalchemy.engine",
    "asyncio",
)


def redact(text: str) -> str:
    """The text with every secret in it replaced by `[redacted]`."""
    small = text.lower()
    if not any(hint in small for hint in _HINTS):
        return text
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def redact_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The same for structlog: a processor, to be the last before the renderer."""
    for key, value in event.items():
        event[key] = HIDDEN if _SECRET_KEY.match(key) else _redacted(value)
    return event


class RedactingFilter(logging.Filter):
    """The same for the standard library's logging: rewrites a record before any handler sees it."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple) and record.args:
            # Formatters of access logs read single arguments, so these must stay in place.
            record.args = tuple(_shown(argument) for argument in record.args)
        elif isinstance(record.args, dict):
            record.args = {key: _shown(value) for key, value in record.args.items()}
        if isinstance(record.msg, str):
            record.msg = redact(record.msg)
        if record.exc_info and record.exc_info[1] is not None:
            trace = logging.Formatter().formatException(record.exc_info)
            if redact(trace) != trace:
                record.exc_text, record.exc_info = redact(trace), None
        return True


REDACTING = RedactingFilter()


def install() -> None:
    """Put the filter on the loggers of every server that Holdfast runs under; doing it twice is harmless."""
    for name in SERVER_LOGGERS:
        logger = logging.getLogger(name)
        if REDACTING not in logger.filters:
            logger.addFilter(REDACTING)


def _shown(argument: Any) -> Any:
    """An argument as it may be logged: one that prints a secret, such as a frame in a debug log, becomes safe text."""
    clean = _redacted(argument)
    if clean is not argument or isinstance(argument, str | bytes | int | float | None):
        return clean
    text = str(argument)
    return argument if redact(text) == text else redact(text)


def _redacted(value: Any) -> Any:
    match value:
        case str():
            return redact(value)
        case bytes():
            return redact(value.decode("latin-1")).encode("latin-1")
        case dict():
            return {
                key: HIDDEN if isinstance(key, str) and _SECRET_KEY.match(key) else _redacted(item)
                for key, item in value.items()
            }
        case list():
            return [_redacted(item) for item in value]
        case tuple():
            return tuple(_redacted(item) for item in value)
        case _:
            return value

"""Holdfast's own loggers: structured, free of secrets, and on the standard library's `logging`.

An app which has set up logging sees them with everything else, and one which has not in its server's log.
"""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

import structlog

from holdfast.redaction import REDACTING, redact_event

ROOT = "holdfast"
SERVERS = ("uvicorn", "hypercorn.error", "_granian", "daphne")
"""Loggers of servers that bring handlers of their own, of which the first that has some is shared."""


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger whose events are a name and fields: `log.info("token refused", reason="signature")`."""
    logger = logging.getLogger(name)
    if REDACTING not in logger.filters:
        logger.addFilter(REDACTING)
    lazy = structlog.wrap_logger(
        logger,
        wrapper_class=structlog.stdlib.BoundLogger,
        processors=[structlog.stdlib.filter_by_level, redact_event, _hand_over],
    )
    bound: structlog.stdlib.BoundLogger = lazy.bind()  # or the lazy one would make it anew for every line
    return bound


def show(level: str = "info") -> None:
    """Share the server's handlers if nobody has set logging up: why a token was refused must be seen somewhere."""
    ours = logging.getLogger(ROOT)
    if ours.handlers or logging.getLogger().handlers:
        return
    ours.addHandler(_Shared())
    if ours.level == logging.NOTSET:
        ours.setLevel(level.upper())


class _Shared(logging.Handler):
    """Hands each record to the handlers that a server has by then: hypercorn has none until the app has started."""

    def emit(self, record: logging.LogRecord) -> None:
        if logging.getLogger().handlers:
            return  # somebody has set logging up meanwhile, and gets the record from there
        found = (logging.getLogger(name).handlers for name in SERVERS)
        for handler in next(filter(None, found), [logging.lastResort]):
            if handler is not None and record.levelno >= handler.level:
                handler.handle(record)


def fields_of(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """For structlog's `ProcessorFormatter`: the fields of an event of ours, which a record carries beside its text."""
    name, fields = getattr(event.get("_record"), ROOT, (None, {}))
    if name is not None:
        event["event"] = name
        event.update(fields)
    return event


def _hand_over(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> tuple[tuple[str], dict[str, Any]]:
    name = str(event.pop("event", ""))
    options = {key: event.pop(key) for key in ("exc_info", "stack_info") if key in event}
    text = " ".join((name, *(f"{key}={value!r}" for key, value in event.items() if value not in (None, ""))))
    return (text,), {**options, "extra": {ROOT: (name, dict(event))}}

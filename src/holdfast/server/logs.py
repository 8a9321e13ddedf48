"""One stream of structured logs on stderr: ours, uvicorn's and those of the libraries below, with no secret in any."""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import structlog
from structlog.typing import Processor

from holdfast import redaction
from holdfast.logs import fields_of
from holdfast.settings import Settings

QUIET = ("aiosqlite", "alembic", "asyncio", "httpcore", "httpx", "limits", "sqlalchemy", "websockets")
"""Libraries that tell of every step they take; only their warnings are worth a line."""


def configure(settings: Settings, *, stream: TextIO | None = None) -> None:
    """Send every log line of this process to `stream` (stderr), in the format and from the level of the settings."""
    out = stream if stream is not None else sys.stderr
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not out.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        # A traceback becomes text here, or the renderer would write it past the redaction.
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[fields_of, *shared, _without_colour],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                redaction.redact_event,
                *_renderers(as_json, colour=out.isatty()),
            ],
        )
    )
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(settings.log_level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    redaction.install()


def _renderers(as_json: bool, *, colour: bool) -> list[Processor]:
    if as_json:
        return [structlog.processors.JSONRenderer(ensure_ascii=False, default=str)]
    return [structlog.dev.ConsoleRenderer(colors=colour, exception_formatter=structlog.dev.plain_traceback)]


def _without_colour(
    _logger: Any, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """uvicorn carries each of its lines twice, once with escape codes in it."""
    event.pop("color_message", None)
    return event

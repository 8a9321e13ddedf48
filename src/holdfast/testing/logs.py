"""Holdfast's log events as data, for tests that ask what was told and what was not."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from holdfast.logs import ROOT


class _Collector(logging.Handler):
    def __init__(self, lines: list[dict[str, Any]]) -> None:
        super().__init__(logging.DEBUG)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        event, fields = getattr(record, ROOT, (record.getMessage(), {}))
        line = {"event": event, "log_level": record.levelname.lower(), **fields}
        if record.exc_info:
            line["exc_info"] = True
        self._lines.append(line)


@contextmanager
def capture_logs() -> Iterator[list[dict[str, Any]]]:
    """The events that Holdfast logs while the block lasts, as `{"event", "log_level", …fields}`."""
    lines: list[dict[str, Any]] = []
    logger, collector = logging.getLogger(ROOT), _Collector(lines)
    level = logger.level
    logger.addHandler(collector)
    logger.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        logger.removeHandler(collector)
        logger.setLevel(level)

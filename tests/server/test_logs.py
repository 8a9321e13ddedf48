from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from holdfast.server import logs
from holdfast.settings import load

JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"


@pytest.fixture(autouse=True)
def _put_back(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Logging is the whole process's: leave it as it was, and take nothing over from a server of an earlier test."""
    root = logging.getLogger()
    for name in ("uvicorn", "uvicorn.access"):
        logger = logging.getLogger(name)
        monkeypatch.setattr(logger, "propagate", True)
        monkeypatch.setattr(logger, "disabled", False)
        monkeypatch.setattr(logger, "level", logging.NOTSET)
        monkeypatch.setattr(logger, "handlers", [])
    root.manager._clear_cache()  # what each logger remembers of whether it is on
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in logs.QUIET}
    yield
    root.handlers[:], root.level = handlers, level
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def configured(**settings: Any) -> io.StringIO:
    stream = io.StringIO()
    logs.configure(load(**settings), stream=stream)
    return stream


def test_our_lines_and_those_of_libraries_have_one_shape() -> None:
    stream = configured()
    structlog.get_logger("holdfast.test").info("hello", connection="c1")
    logging.getLogger("somebody.else").warning("there are %d", 3)
    ours, theirs = lines(stream)
    assert (ours["event"], ours["level"], ours["logger"], ours["connection"]) == (
        "hello",
        "info",
        "holdfast.test",
        "c1",
    )
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("there are 3", "warning", "somebody.else")
    assert ours["timestamp"].endswith("Z")


def test_no_token_gets_into_a_log_whoever_writes_it() -> None:
    stream = configured(log_level="debug")
    structlog.get_logger("holdfast.test").info(
        "here", token=JWT, url=f"/ws?token={JWT}", inside={"ticket": JWT}
    )
    logging.getLogger("uvicorn.access").info(
        '%s - "%s %s HTTP/%s" %d', "127.0.0.1:1", "GET", f"/ws?token={JWT}", "1.1", 101
    )
    logging.getLogger("any.library").info("Authorization: Bearer %s", JWT)
    assert JWT not in stream.getvalue()
    assert JWT.split(".", maxsplit=1)[0] not in stream.getvalue()
    assert len(lines(stream)) == 3


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_token_gets_out_in_a_traceback(log_format: str) -> None:
    stream = configured(log_format=log_format)
    try:
        raise ValueError(f"cannot read {JWT}")
    except ValueError:
        structlog.get_logger("holdfast.test").exception("failed")
        logging.getLogger("any.library").exception("failed too")
    assert "ValueError: cannot read" in stream.getvalue()
    assert "Traceback" in stream.getvalue()
    assert JWT not in stream.getvalue()


def test_below_the_level_nothing_is_logged() -> None:
    stream = configured(log_level="warning")
    structlog.get_logger("holdfast.test").info("quiet")
    logging.getLogger("x").info("quiet")
    structlog.get_logger("holdfast.test").warning("loud")
    assert [line["event"] for line in lines(stream)] == ["loud"]


def test_libraries_that_tell_of_every_step_are_quiet_even_when_debugging() -> None:
    """aiosqlite logs the parameters of each statement at debug."""
    stream = configured(log_level="debug")
    logging.getLogger("aiosqlite").debug("executing something with a salt in it")
    assert stream.getvalue() == ""


def test_a_stream_that_is_no_terminal_gets_json_unless_told_otherwise() -> None:
    stream = configured(log_format="auto")
    structlog.get_logger("holdfast.test").info("hello")
    assert lines(stream)
    stream = configured(log_format="console")
    structlog.get_logger("holdfast.test").info("hello")
    assert "hello" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_configuring_twice_does_not_log_twice() -> None:
    configured()
    stream = configured()
    structlog.get_logger("holdfast.test").info("once")
    assert len(lines(stream)) == 1

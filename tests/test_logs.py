"""Where Holdfast's log lines are seen when an app has not set logging up: with those of its server."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest

from holdfast import logs


class Kept(logging.Handler):
    def __init__(self, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def forget(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Forget every handler, as in a process that has just started."""

    def now() -> None:
        # In the test itself: pytest puts handlers of its own on the root before each of a test's phases.
        for name in ("", logs.ROOT, *logs.SERVERS):
            monkeypatch.setattr(logging.getLogger(name), "handlers", [])
        logging.getLogger(logs.ROOT).setLevel(logging.NOTSET)

    return now


@pytest.fixture(autouse=True)
def level_is_put_back() -> Iterator[None]:
    before = logging.getLogger(logs.ROOT).level
    yield
    logging.getLogger(logs.ROOT).setLevel(before)


def log(text: str) -> None:
    logs.get_logger("holdfast.live").info(text)


@pytest.mark.parametrize("server", logs.SERVERS)
def test_a_server_that_sets_its_log_up_after_the_app_has_started_shows_them(
    forget: Callable[[], None], server: str
) -> None:
    forget()
    logs.show()
    handler = Kept()
    logging.getLogger(server).addHandler(handler)
    log("token refused")
    assert handler.lines == ["token refused"]


def test_an_app_that_has_set_logging_up_gets_each_line_once(forget: Callable[[], None]) -> None:
    forget()
    root, server = Kept(), Kept()
    logging.getLogger().addHandler(root)
    logging.getLogger("uvicorn").addHandler(server)
    logging.getLogger(logs.ROOT).setLevel(logging.INFO)
    logs.show()
    log("token refused")
    assert (root.lines, server.lines) == (["token refused"], [])


def test_an_app_that_sets_logging_up_later_gets_each_line_once(forget: Callable[[], None]) -> None:
    forget()
    root, server = Kept(), Kept()
    logging.getLogger("uvicorn").addHandler(server)
    logs.show()
    logging.getLogger().addHandler(root)
    log("token refused")
    assert (root.lines, server.lines) == (["token refused"], [])


def test_a_handler_of_the_server_still_chooses_its_level(forget: Callable[[], None]) -> None:
    forget()
    handler = Kept(logging.WARNING)
    logging.getLogger("uvicorn").addHandler(handler)
    logs.show()
    log("token refused")
    assert handler.lines == []


def test_without_any_server_warnings_go_where_python_puts_them(
    forget: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    forget()
    logs.show()
    log("connection proven")
    logs.get_logger("holdfast").warning("foreign origin")
    assert capsys.readouterr().err == "foreign origin\n"


@pytest.mark.parametrize(("level", "seen"), [("info", ["token refused"]), ("warning", [])])
def test_the_setting_says_from_which_level_on(
    forget: Callable[[], None], level: str, seen: list[str]
) -> None:
    forget()
    handler = Kept()
    logging.getLogger("uvicorn").addHandler(handler)
    logs.show(level)
    log("token refused")
    assert handler.lines == seen


def test_showing_twice_shows_each_line_once(forget: Callable[[], None]) -> None:
    forget()
    handler = Kept()
    logging.getLogger("uvicorn").addHandler(handler)
    logs.show()
    logs.show()
    log("token refused")
    assert handler.lines == ["token refused"]

"""A connection that outlives its tokens by far, as on a long working day (SEED S7, S9, S11)."""

from __future__ import annotations

import time
from typing import Any

LIFETIMES = 20


def test_a_working_day_begins(working_day: Any) -> None:
    assert working_day.person.server.lifetime == 6


def all_echoed(seen: dict[str, Any]) -> dict[str, Any] | None:
    return seen if len(seen["echoed"]) >= seen["sent"] else None


def test_one_socket_lives_through_twenty_tokens_and_loses_nothing(
    working_day: Any, connection_id: Any, wait_until: Any
) -> None:
    page, server = working_day.page, working_day.person.server
    lifetimes = LIFETIMES * server.lifetime
    wait_until(lambda: time.monotonic() - working_day.began > lifetimes, "its end", lifetimes + 30)

    page.evaluate("clearInterval(window.sending)")
    seen = wait_until(lambda: all_echoed(page.evaluate("window.seen")), "the last echo")
    assert (seen["opened"], seen["closes"]) == (1, [])
    assert seen["sent"] >= lifetimes, "it went on sending all the while"
    assert seen["echoed"] == list(range(1, seen["sent"] + 1)), "each once, and in order"
    assert connection_id(page) == working_day.connection
    assert page.evaluate("window.sameDocument") is True
    (connection,) = server.connections("worker")
    assert connection["id"] == working_day.connection
    assert connection["connected_at"] < time.time() - lifetimes
    assert working_day.person.refreshes >= LIFETIMES
    stats = server.admin("GET", "/stats")
    assert stats["totals"]["drops_avoided"] >= LIFETIMES - 2
    assert stats["closes"] == []

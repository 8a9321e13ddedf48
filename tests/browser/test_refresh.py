"""Refreshing without reloading, and in time (SEED S7, S8)."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import expect

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DAY = 24 * 60 * 60


def test_renew_now_brings_a_new_token_to_the_same_page_and_socket(
    day: Any, somebody: Any, connection_id: Any
) -> None:
    person = somebody(day)
    tokens: list[str] = []
    person.context.on(
        "response",
        lambda it: tokens.append(it.json()["access_token"]) if "/auth/refresh" in it.url and it.ok else None,
    )
    page = person.sign_in()
    before = connection_id(page)
    tokens.clear()
    page.evaluate("window.sameDocument = true")
    for number in (1, 2):
        with page.expect_response("**/auth/refresh"):
            page.get_by_role("button", name="Renew now").click()
        expect(page.get_by_test_id("renewals")).to_have_text(str(number))
    assert len(set(tokens)) == 2
    assert page.evaluate("window.sameDocument") is True
    assert connection_id(page) == before
    (connection,) = [one for one in day.connections("admin") if one["id"] == before]
    assert [moment["what"] for moment in connection["timeline"]] == ["proven", "renewed", "renewed"]


NOTE_THE_GRANT = """
    const real = window.fetch;
    window.fetch = async (what, how) => {
        const answer = await real(what, how);
        if (String(what).endsWith('/token')) window.granted = Date.now() / 1000;
        return answer;
    };
"""


def test_a_token_of_a_day_is_refreshed_five_minutes_before_it_expires(day: Any, somebody: Any) -> None:
    person = somebody(day)
    page = person.context.new_page()
    page.clock.install(time=START)
    page.goto(day.url)
    page.evaluate(NOTE_THE_GRANT)
    person.give_password(page)
    expect(page.get_by_test_id("hold")).to_have_attribute("data-hold", "connected")
    # From here on no time passes but what the test lets pass.
    page.clock.pause_at(page.evaluate("window.granted") + DAY - 331)
    # Whatever is due now has been asked for by the time that a later request is answered.
    page.evaluate("fetch('/healthz')")
    assert person.refreshes == 0
    with page.expect_response("**/auth/refresh"):
        page.clock.fast_forward(61_000)
    page.clock.resume()
    expect(page.get_by_test_id("hold")).to_have_attribute("data-hold", "connected")
    assert person.refreshes == 1


@pytest.mark.parametrize("days", [-1, 1])
def test_a_clock_that_is_a_day_wrong_makes_no_difference(
    brief: Any, somebody: Any, connection_id: Any, days: int
) -> None:
    person = somebody(brief)
    page = person.context.new_page()
    page.clock.install(time=datetime.fromtimestamp(time.time() + days * DAY, UTC))
    page.goto(brief.url)
    began = time.monotonic()
    person.give_password(page)
    before = connection_id(page)
    expect(page.get_by_test_id("renewals")).to_have_text(re.compile(r"^([3-9]|\d\d+)$"))
    assert connection_id(page) == before
    expect(page.get_by_test_id("reconnects")).to_have_text("0")
    soonest = 0.9 * brief.lifetime / 2
    seconds = time.monotonic() - began
    assert person.refreshes <= seconds / soonest + 1, "it did not refresh more often than it has to"

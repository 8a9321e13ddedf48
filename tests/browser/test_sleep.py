"""A laptop that is closed, a tab that is frozen: what was missed is made up for, and no password is asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Page, expect


@contextmanager
def asleep(page: Page) -> Iterator[None]:
    """The page's scripts stand still, its timers too, while time goes on. (Headless Chromium freezes no tabs.)"""
    debugger = page.context.new_cdp_session(page)
    debugger.send("Debugger.enable")
    debugger.send("Debugger.pause")
    yield
    debugger.send("Debugger.resume")
    debugger.send("Debugger.disable")


def test_a_tab_frozen_past_expiry_and_grace_recovers_when_it_is_woken(
    brief: Any, somebody: Any, is_held: Any, wait_until: Any
) -> None:
    person = somebody(brief, "sleeper")
    page = person.sign_in()
    page.locator("textarea").first.fill('{"typed": "before the sleep"}')
    with asleep(page):
        wait_until(lambda: not brief.connections("sleeper"), "the server to end the sleeper's connection")
    is_held(page)
    expect(page.locator("input[name=password]")).to_have_count(0)
    expect(page.locator("textarea").first).to_have_value('{"typed": "before the sleep"}')
    assert len(wait_until(lambda: brief.connections("sleeper"), "it to be back")) == 1


def test_a_clock_that_jumps_past_the_refresh_makes_up_for_it_on_the_same_socket(
    day: Any, somebody: Any, connection_id: Any
) -> None:
    """The browser slept for the whole life of its token, by its own clocks; the server knows nothing of it."""
    person = somebody(day)
    page = person.context.new_page()
    page.clock.install()
    page.goto(day.url)
    person.give_password(page)
    before = connection_id(page)
    with page.expect_response("**/auth/refresh"):
        page.clock.fast_forward("25:00:00")
    expect(page.get_by_test_id("hold")).to_have_attribute("data-hold", "connected")
    expect(page.locator("input[name=password]")).to_have_count(0)
    assert connection_id(page) == before

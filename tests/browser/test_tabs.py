"""Several tabs of one browser: one session, one refresh for all, one way out."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Page, expect

TABS = 5
CYCLES = 6


def open_tabs(person: Any, is_held: Any) -> list[Page]:
    first = person.sign_in()
    pages = [first, *(person.open() for _ in range(TABS - 1))]
    for page in pages:
        is_held(page)
    return pages


def refreshes(server: Any) -> tuple[int, int]:
    """How many brought a new token, and how many came while another tab was at it."""
    counts = dict(server.admin("GET", "/stats")["refreshes"])
    rotated = counts.pop("rotated", 0)
    return rotated, sum(counts.values())


def test_five_tabs_refresh_once_for_all_of_them(
    brief: Any, somebody: Any, is_held: Any, connection_id: Any, wait_until: Any
) -> None:
    person = somebody(brief, "tabs")
    pages = open_tabs(person, is_held)
    connections = [connection_id(page) for page in pages]
    rotated, again = refreshes(brief)
    wait_until(lambda: refreshes(brief)[0] >= rotated + CYCLES, "some refreshes")
    now_rotated, now_again = refreshes(brief)
    # Tabs that knew nothing of each other would ask four times more for each rotation.
    assert now_again - again <= now_rotated - rotated, "most cycles reach the server once"
    assert [connection_id(page) for page in pages] == connections
    for page in pages:
        expect(page.get_by_test_id("renewals")).to_have_text(re.compile(r"^([4-9]|\d\d)$"))


def test_logging_out_in_one_tab_logs_out_in_all(brief: Any, somebody: Any, is_held: Any) -> None:
    person = somebody(brief, "leaver")
    pages = open_tabs(person, is_held)
    pages[2].get_by_role("button", name="Account of leaver").click()
    pages[2].get_by_role("menuitem", name="Log out", exact=True).click()
    for page in pages:
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        expect(page.get_by_test_id("hold")).to_have_attribute("data-hold", "signedOut")
    assert brief.connections("leaver") == []
    again = person.open()
    expect(again.get_by_role("heading", name="Sign in")).to_be_visible()


def test_signing_in_in_one_tab_signs_in_in_all(brief: Any, somebody: Any, is_held: Any) -> None:
    person = somebody(brief, "joiner")
    first, second = person.open(), person.open()
    expect(second.get_by_role("heading", name="Sign in")).to_be_visible()
    person.give_password(first)
    for page in (first, second):
        is_held(page)

"""Several tabs of one browser: one session, one refresh for all, one way out."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

TABS = 5
CYCLES = 6
ROUNDS = 10
WITHOUT_LOCKS = "Object.defineProperty(Navigator.prototype, 'locks', { get: () => undefined })"
RENEW_AGAIN_AND_AGAIN = """(rounds) => {
    const button = document.querySelector('[aria-label="Renew now"]');
    window.rounds = 0;
    const turn = setInterval(() => {
        if (button.disabled) return;
        if (window.rounds === rounds) {
            document.body.dataset.done = 'yes';
            return clearInterval(turn);
        }
        window.rounds += 1;
        button.click();
    }, 10);
}"""


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
    print(now_rotated - rotated, now_again - again, brief.admin("GET", "/stats")["refreshes"])
    assert now_again - again <= (now_rotated - rotated) / 4, "each cycle reaches the server about once"
    assert [connection_id(page) for page in pages] == connections
    for page in pages:
        expect(page.get_by_test_id("renewals")).to_have_text(re.compile(r"^([4-9]|\d\d)$"))


@pytest.mark.parametrize("locks", [True, False], ids=["with Web Locks", "without"])
def test_tabs_that_refresh_all_at_once_stay_signed_in(
    day: Any, somebody: Any, is_held: Any, connection_id: Any, locks: bool
) -> None:
    person = somebody(day, "tabs-with" if locks else "tabs-without")
    if not locks:
        person.context.add_init_script(WITHOUT_LOCKS)
    pages = open_tabs(person, is_held)
    before = [connection_id(page) for page in pages]
    for page in pages:
        page.evaluate(RENEW_AGAIN_AND_AGAIN, ROUNDS)
    for page in pages:
        expect(page.locator("body")).to_have_attribute("data-done", "yes")
    for page, connection in zip(pages, before, strict=True):
        expect(page.get_by_test_id("hold")).to_have_attribute("data-hold", "connected")
        assert connection_id(page) == connection
    assert len(day.connections(person.name)) == TABS


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

"""Five tabs that refresh all at once, fifty times: nobody is signed out, and every tab's socket lives on."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

ROUNDS = 50
PATIENCE = 240.0
both_kinds = pytest.mark.parametrize("locks", [True, False], ids=["with Web Locks", "without"])


@both_kinds
def test_tabs_that_refresh_all_at_once_begins(all_at_once: Any, locks: bool) -> None:
    tabs = all_at_once(locks, ROUNDS)
    assert len(set(tabs.connections)) == len(tabs.pages)
    for page in tabs.pages:
        assert page.evaluate("'locks' in navigator && navigator.locks !== undefined") is locks


@both_kinds
def test_tabs_that_refresh_all_at_once_stay_signed_in(
    all_at_once: Any, locks: bool, wait_until: Any, connection_id: Any
) -> None:
    tabs = all_at_once(locks, ROUNDS)
    first = tabs.pages[0]
    wait_until(lambda: first.evaluate("window.rounds") == ROUNDS, "all rounds", PATIENCE)
    assert [page.evaluate("window.rounds") for page in tabs.pages] == [ROUNDS] * len(tabs.pages)
    for page, connection in zip(tabs.pages, tabs.connections, strict=True):
        expect(page.locator("input[name=password]")).to_have_count(0)
        assert connection_id(page) == connection
        expect(page.get_by_test_id("reconnects")).to_have_text("0")
    server = tabs.person.server
    refreshes = server.admin("GET", "/stats")["refreshes"]
    assert refreshes["rotated"] >= ROUNDS, refreshes
    assert set(refreshes) <= {"rotated", "coalesced", "replayed"}, "none was refused"
    assert len(server.connections("tabs")) == len(tabs.pages)

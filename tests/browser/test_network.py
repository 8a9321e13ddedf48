"""Trouble that passes: nobody is signed out for it, it is told, and it heals by itself (SEED S10)."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

RECORD_REQUESTS = """
    window.asked = [];
    const real = window.fetch;
    window.fetch = async (what, how) => {
        const { pathname } = new URL(what, location.href);
        const asked = { path: pathname, at: performance.now(), answered: null };
        window.asked.push(asked);
        try { return await real(what, how); }
        finally { asked.answered = performance.now(); }
    };
"""
DRAFT = '{"kept": "all the while"}'
RETRY_AFTER = 3


def state(page: Page, *kinds: str) -> None:
    """Wait until the header says one of these."""
    any_of = ",".join(f'[data-testid=hold][data-hold="{kind}"]' for kind in kinds)
    expect(page.locator(any_of)).to_be_visible()


def still_in(page: Page) -> None:
    """Nothing asks for a password."""
    expect(page.locator("input[name=password]")).to_have_count(0)
    expect(page.locator("textarea").first).to_have_value(DRAFT)


def draft(page: Page) -> None:
    """Type something that must not get lost."""
    page.locator("textarea").first.fill(DRAFT)


def goes_on(page: Page) -> None:
    """What was typed can be sent now, and comes back."""
    still_in(page)
    page.locator("textarea").first.press("Control+Enter")
    expect(page.locator(".message[data-kind=in]").first).to_contain_text("all the while")


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_server_that_goes_away_and_comes_back_signs_nobody_out(
    start_server: Any, somebody: Any, is_held: Any, connection_id: Any, how: str
) -> None:
    server = start_server(ACCESS_TOKEN_EXPIRE_MINUTES="0.05", HOLDFAST_LIVE_GRACE_SECONDS="3")
    page = somebody(server).sign_in()
    draft(page)
    before = connection_id(page)
    getattr(server, how)()
    state(page, "offline")
    expect(page.locator(".hold-words")).to_contain_text("retrying in")
    still_in(page)
    server.start()
    is_held(page)
    assert connection_id(page) != before
    goes_on(page)


# What answers instead of the server


def nothing(route: Route) -> None:
    route.abort("connectionfailed")


def hanging(_: Route) -> None:
    """No answer at all; the page gives up."""


def broken(route: Route) -> None:
    route.fulfill(status=500, body="Internal Server Error")


def busy(route: Route) -> None:
    headers = {"Retry-After": str(RETRY_AFTER)}
    route.fulfill(status=429, headers=headers, json={"code": "throttled", "message": "Later."})


def portal(route: Route) -> None:
    route.fulfill(status=200, content_type="text/html", body="<title>Welcome to the hotel</title>")


def proxy(route: Route) -> None:
    route.fulfill(status=401, content_type="text/html", body="<h1>401 Unauthorized</h1>")


troubles = pytest.mark.parametrize(
    "trouble", [nothing, hanging, broken, busy, portal, proxy], ids=lambda it: it.__name__
)


@troubles
def test_a_refresh_that_fails_is_tried_again_on_the_same_socket(
    patient: Any, somebody: Any, connection_id: Any, is_held: Any, trouble: Any
) -> None:
    page = somebody(patient).sign_in()
    draft(page)
    before = connection_id(page)
    page.route("**/auth/refresh", trouble)
    # Its token expires meanwhile: then the grace is what is told.
    state(page, "late", "grace")
    still_in(page)
    page.unroute("**/auth/refresh")
    is_held(page)
    assert connection_id(page) == before
    expect(page.get_by_test_id("reconnects")).to_have_text("0")
    goes_on(page)


@troubles
def test_a_connection_that_is_lost_meanwhile_comes_back(
    day: Any, somebody: Any, connection_id: Any, is_held: Any, trouble: Any
) -> None:
    page = somebody(day, "lost").sign_in()
    draft(page)
    before = connection_id(page)
    page.route("**/auth/**", trouble)
    day.admin("POST", f"/connections/{before}/disconnect")
    state(page, "offline", "connecting")
    with page.expect_request("**/auth/ticket"):
        still_in(page)
    state(page, "offline", "connecting")
    page.unroute("**/auth/**")
    is_held(page)
    assert connection_id(page) != before
    expect(page.get_by_test_id("reconnects")).to_have_text("1")
    goes_on(page)


def test_retry_after_is_waited_for(patient: Any, somebody: Any, wait_until: Any) -> None:
    person = somebody(patient)
    person.context.add_init_script(RECORD_REQUESTS)
    page = person.sign_in()
    page.route("**/auth/refresh", busy)
    page.evaluate("window.asked.length = 0")

    def asked() -> list[dict[str, float]]:
        found = page.evaluate("window.asked")
        return [one for one in found if one["path"] == "/auth/refresh" and one["answered"]]

    found = wait_until(lambda: asked() if len(asked()) >= 3 else None, "three tries")
    for one, following in pairwise(found):
        assert following["at"] - one["answered"] >= RETRY_AFTER * 1000 - 1
    state(page, "late", "grace")


def test_retries_are_spread_and_grow_apart(day: Any, somebody: Any, wait_until: Any) -> None:
    """Two pages that fail at the same moment, by a clock that the test moves: they do not come back together."""
    tries = [failing_tries(day, somebody(day), wait_until) for _ in range(2)]
    for found in tries:
        gaps = [later - sooner for sooner, later in pairwise(found)]
        for number, gap in enumerate(gaps):
            assert gap <= min(60, 2**number) + 1, f"gap {number} of {gaps}"
        assert max(gaps) > 1, f"{gaps} grow"
    apart = [abs(one - other) for one, other in zip(*tries, strict=True)][1:]
    assert max(apart) > 0.1, f"{tries} are spread"


def failing_tries(day: Any, person: Any, wait_until: Any, count: int = 7) -> list[float]:
    """When a page asked for a refresh, in seconds from the first time, while none was to be had."""
    person.context.add_init_script(RECORD_REQUESTS)
    page = person.context.new_page()
    page.clock.install()
    page.goto(day.url)
    person.give_password(page)
    state(page, "connected")
    page.evaluate("window.asked.length = 0")
    page.route("**/auth/refresh", broken)
    page.clock.pause_at(time.time() + 24 * 60 * 60)

    def tries() -> list[float]:
        page.clock.run_for(500)
        asked = page.evaluate("window.asked.filter(({ path }) => path === '/auth/refresh')")
        return [one["at"] / 1000 for one in asked]

    found: list[float] = wait_until(lambda: now if len(now := tries()) >= count else None, "its tries", 120)
    assert person.refreshes == 0
    return [at - found[0] for at in found[:count]]


def test_past_expiry_the_grace_is_shown_and_healed_in_place(
    patient: Any, somebody: Any, connection_id: Any, is_held: Any
) -> None:
    page = somebody(patient, locale="ru-RU").sign_in()
    before = connection_id(page)
    page.route("**/auth/refresh", broken)
    state(page, "grace")
    expect(page.locator(".hold-words")).to_contain_text("Отсрочка, ещё")
    page.unroute("**/auth/refresh")
    is_held(page)
    assert connection_id(page) == before
    expect(page.locator(".message[data-kind=event]").first).to_contain_text("спасено в отсрочке")


def test_offline_for_three_lifetimes_is_told_and_comes_back_by_itself(
    brief: Any, somebody: Any, is_held: Any, wait_until: Any
) -> None:
    person = somebody(brief, "offline")
    page = person.sign_in()
    draft(page)
    person.context.set_offline(True)
    began = time.monotonic()
    # The socket looks open still: nothing comes on it, and nothing says so.
    state(page, "offline")
    wait_until(lambda: not brief.connections("offline"), "the server to end the connection")
    words = page.locator(".hold-words")
    wait_until(lambda: time.monotonic() - began > 3 * brief.lifetime, "three lifetimes")
    expect(words).to_contain_text("Offline, retrying")
    expect(page.get_by_test_id("connection-id")).to_have_count(0)
    still_in(page)
    person.context.set_offline(False)
    is_held(page)
    goes_on(page)

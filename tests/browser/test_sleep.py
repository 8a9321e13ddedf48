"""A laptop that is closed, a tab that is frozen: what was missed is made up for, and no password is asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Page, expect

COUNT = """
    window.seen = { opened: 0, echoed: [] };
    window.WebSocket = class extends WebSocket {
        constructor(...how) {
            super(...how);
            window.seen.opened += 1;
            this.addEventListener('message', ({ data }) => {
                const { echo } = JSON.parse(data);
                if (echo) window.seen.echoed.push(echo.n);
            });
        }
    };
"""
SEND = """(numbers) => {
    const form = document.querySelector('form.send');
    const box = form.querySelector('textarea');
    const put = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value').set;
    for (const n of numbers) {
        put.call(box, JSON.stringify({ n }));
        box.dispatchEvent(new Event('input', { bubbles: true }));
        form.requestSubmit();
    }
}"""
DRAFT = '{"typed": "before the sleep"}'


@contextmanager
def asleep(page: Page) -> Iterator[None]:
    """The page's scripts stand still, its timers too, while time goes on. (Headless Chromium freezes no tabs.)"""
    debugger = page.context.new_cdp_session(page)
    debugger.send("Debugger.enable")
    debugger.send("Debugger.pause")
    try:
        yield
    finally:
        debugger.send("Debugger.resume")
        debugger.send("Debugger.disable")


def open_page(person: Any) -> Page:
    """A page that counts its sockets and what comes back on them."""
    person.context.add_init_script(COUNT)
    page: Page = person.sign_in()
    expect(page.locator("form.send")).to_be_visible()  # the view may come after the connection
    return page


def echoed(page: Page, last: int, wait_until: Any) -> list[int]:
    """What has come back, once the last number has."""
    found: dict[str, Any] = wait_until(
        lambda: seen if last in (seen := page.evaluate("window.seen"))["echoed"] else None, f"number {last}"
    )
    return list(found["echoed"])


def test_a_tab_frozen_past_expiry_is_healed_in_place_and_gets_what_came_meanwhile(
    patient: Any, somebody: Any, connection_id: Any, is_held: Any, wait_until: Any
) -> None:
    page = open_page(somebody(patient, "dozer"))
    before = connection_id(page)

    def in_grace() -> bool:
        (connection,) = patient.connections("dozer")
        return bool(connection["state"] == "grace")

    # The answers to the second three come while the page sleeps, or it has not even sent them.
    page.evaluate(SEND, [1, 2, 3])
    page.evaluate(SEND, [4, 5, 6])
    events = page.locator(".message[data-kind=event]")
    with asleep(page):
        wait_until(in_grace, "the token to expire")
    expect(events.filter(has_text="healed in grace")).not_to_have_count(0)
    page.evaluate(SEND, [7, 8, 9])
    assert echoed(page, 9, wait_until) == [1, 2, 3, 4, 5, 6, 7, 8, 9], "each once, and in order"
    is_held(page)
    assert connection_id(page) == before
    assert page.evaluate("window.seen.opened") == 1
    expect(page.locator("input[name=password]")).to_have_count(0)


def test_a_tab_frozen_past_expiry_and_grace_recovers_when_it_is_woken(
    brief: Any, somebody: Any, is_held: Any, wait_until: Any
) -> None:
    page = open_page(somebody(brief, "sleeper"))
    page.evaluate(SEND, [1, 2, 3])
    page.locator("textarea").first.fill(DRAFT)
    with asleep(page):
        wait_until(lambda: not brief.connections("sleeper"), "the server to end the sleeper's connection")
    expect(page.get_by_test_id("reconnects")).to_have_text("1")
    is_held(page)
    expect(page.locator("input[name=password]")).to_have_count(0)
    expect(page.locator("textarea").first).to_have_value(DRAFT)
    assert len(wait_until(lambda: brief.connections("sleeper"), "it to be back")) == 1
    page.evaluate(SEND, [4, 5, 6])
    assert echoed(page, 6, wait_until) == [1, 2, 3, 4, 5, 6]


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

"""Everybody can use it: axe finds no serious fault, a narrow screen shows all, and a keyboard is enough."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

AXE = Path(__file__).resolve().parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
WIDE = {"width": 1280, "height": 800}
NARROW = {"width": 360, "height": 720}
FAULTS = """async () => {
    const { violations } = await axe.run(document, { resultTypes: ['violations'] });
    return violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
        .map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(' ')).join(', ')}`);
}"""
TOO_WIDE = """() => [...document.querySelectorAll('body *')]
    .filter((it) => document.documentElement.scrollWidth > innerWidth && it.getBoundingClientRect().right > innerWidth)
    .map((it) => `${it.tagName}.${it.className}`).slice(0, 5)"""


def visit(page: Page, link: str) -> None:
    page.get_by_role("navigation").get_by_role("link", name=link).click()
    expect(page.get_by_role("heading", name=link, exact=True)).to_be_visible()


# Each brings the page to what is to be looked at, and leads back from it.

Scene = Callable[[Page], None]


def live(page: Page) -> None:
    visit(page, "Live")
    page.locator("form.send textarea").press("Control+Enter")
    line = page.locator(".message[data-kind=in] .message-line").first
    line.click()
    expect(page.locator(".message-body").first).to_be_visible()


def live_with_an_error(page: Page) -> None:
    page.locator("form.send textarea").fill('{"half')
    page.get_by_label("Filter by text").fill("nothing is like this")
    expect(page.get_by_role("heading", name="Nothing matches the filter")).to_be_visible()


def jobs(page: Page) -> None:
    visit(page, "Jobs")
    expect(page.get_by_role("link", name=re.compile("A long one"))).to_be_visible()


def job(page: Page) -> None:
    page.get_by_role("link", name=re.compile("A long one")).click()
    expect(page.get_by_role("log")).to_contain_text("half way")


def sessions(page: Page) -> None:
    visit(page, "My sessions")
    expect(page.locator(".device").first).to_be_visible()


def question(page: Page) -> None:
    page.locator(".device").first.get_by_role("button").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def no_question(page: Page) -> None:
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_have_count(0)


def connections(page: Page) -> None:
    visit(page, "Connections")
    expect(page.locator(".lease-words").first).to_be_visible()


def drawer(page: Page) -> None:
    page.locator(".user-cell a").first.click()
    expect(page.locator(".timeline li").first).to_be_visible()


def disconnect(page: Page) -> None:
    page.get_by_role("button", name="Disconnect").click()
    expect(page.get_by_role("tooltip")).to_be_visible()


def revoke(page: Page) -> None:
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Revoke…").click()
    expect(page.get_by_label("Reason")).to_be_visible()


def no_drawer(page: Page) -> None:
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.get_by_label("Reason")).to_have_count(0)
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("dialog")).to_have_count(0)


def overview(page: Page) -> None:
    visit(page, "Overview")
    expect(page.locator(".plot canvas").first).to_be_visible()


def account(page: Page) -> None:
    page.get_by_role("button", name="Account of").click()
    expect(page.get_by_role("menuitem").first).to_be_visible()


def theme(page: Page) -> None:
    page.keyboard.press("Escape")
    expect(page.get_by_role("menuitem")).to_have_count(0)
    page.get_by_role("button", name="Theme:").click()
    expect(page.get_by_role("menuitem").first).to_be_visible()


def nowhere(page: Page) -> None:
    page.keyboard.press("Escape")
    page.evaluate("history.pushState(null, '', '/nowhere'); dispatchEvent(new PopStateEvent('popstate'))")
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()


SCENES: tuple[Scene, ...] = (
    *(
        live,
        live_with_an_error,
        jobs,
        job,
        sessions,
        question,
        no_question,
        connections,
        drawer,
        disconnect,
        revoke,
    ),
    *(no_drawer, overview, account, theme, nowhere),
)


@pytest.mark.parametrize("screen", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault_and_nothing_sticks_out(
    brief: Any, somebody: Any, is_held: Any, scheme: str, screen: dict[str, int]
) -> None:
    person = somebody(
        brief, f"{scheme}-{screen['width']}", roles=["admin"], color_scheme=scheme, viewport=screen
    )
    person.context.add_init_script(path=AXE)
    told = {"title": "A long one", "state": "running", "progress": 0.5}
    brief.admin("POST", "/publish", channel="job:index", data={"job": "long", **told})
    brief.admin("POST", "/publish", channel="job:long", data={**told, "log": ["half way"]})
    problems: dict[str, list[str]] = {}

    def look(what: str) -> None:
        found = [*page.evaluate(FAULTS), *page.evaluate(TOO_WIDE)]
        if found:
            problems[what] = found

    page = person.open()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    look("sign-in")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    look("sign-in with an error")
    person.give_password(page)
    is_held(page)
    for scene in SCENES:
        scene(page)
        look(scene.__name__)
    brief.admin("POST", "/revoke", user=person.name)
    expect(page.get_by_role("dialog").locator("input[name=password]")).to_be_focused()
    look("sign-in again")
    assert problems == {}


# With a keyboard alone

FOCUSED = """() => {
    const it = document.activeElement;
    // Of some fields only what is around them is seen.
    const around = it.closest('label, .ant-input-affix-wrapper') ?? it;
    const styles = [it, around].map((one) => getComputedStyle(one));
    return {
        name: it.getAttribute('aria-label') ?? it.name ?? '',
        text: it.textContent.trim(),
        what: `${it.tagName}.${it.className}`,
        seen: styles.some(({ outlineStyle, boxShadow }) => outlineStyle !== 'none' || boxShadow !== 'none'),
    };
}"""


def tab_to(page: Page, name: str, key: str = "Tab") -> None:
    """Go on with the Tab key until what has this name has the focus; the focus is seen all the way."""
    for _ in range(40):
        page.keyboard.press(key)
        found = page.evaluate(FOCUSED)
        assert found["seen"], found
        if name in (found["name"], found["text"]):
            return
    raise AssertionError(f"the keyboard does not reach {name!r}")


def test_a_keyboard_is_enough(day: Any, somebody: Any, is_held: Any, password: str) -> None:
    person = somebody(day, "typist")
    page = person.open()
    expect(page.locator("input[name=username]")).to_be_focused()
    page.keyboard.type("typist")
    page.keyboard.press("Tab")
    expect(page.locator("input[name=password]")).to_be_focused()
    page.keyboard.type(password)
    page.keyboard.press("Enter")
    is_held(page)

    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()

    tab_to(page, "Account of typist", "Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem", name="Log out", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("menuitem")).to_have_count(0)
    expect(page.get_by_role("button", name="Account of typist")).to_be_focused()

    page.locator("main").focus()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "TEXTAREA":
            break
    page.keyboard.press("Control+A")
    page.keyboard.type('{"by": "keyboard"}')
    page.keyboard.press("Control+Enter")
    answer = page.locator(".message[data-kind=in] .message-line").first
    expect(answer).to_contain_text('{"echo":{"by":"keyboard"}}')

    tab_to(page, "My sessions", "Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="My sessions")).to_be_visible()
    expect(page.locator("main")).to_be_focused()
    tab_to(page, "Account of typist", "Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem", name="Log out", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_what_happens_to_the_connection_is_said_once(brief: Any, somebody: Any) -> None:
    page = somebody(brief, "listener").sign_in()
    said = page.get_by_role("status", name="Connection")
    expect(said).to_have_text("Connected")
    page.route("**/auth/refresh", lambda route: route.abort("connectionfailed"))
    expect(said).to_have_text(re.compile("The renewal did not get through|The token has expired"))
    page.unroute("**/auth/refresh")
    expect(said).to_have_text("Connected")

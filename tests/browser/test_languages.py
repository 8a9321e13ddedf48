"""Language and theme change on the page as it is: nothing is reloaded, and nothing that was typed is lost."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, expect

DRAFT = '{"half": "typed'


def marked(page: Page) -> None:
    """Type something, and leave a mark that only this document has."""
    page.locator("textarea").first.fill(DRAFT)
    page.evaluate("window.sameDocument = true")


def unmoved(page: Page) -> None:
    """It is the same document, with what was typed in it."""
    assert page.evaluate("window.sameDocument") is True
    expect(page.locator("textarea").first).to_have_value(DRAFT)


def test_russian_and_english_switch_without_a_reload(day: Any, somebody: Any, connection_id: Any) -> None:
    person = somebody(day, "polyglot")
    page = person.sign_in()
    before = connection_id(page)
    marked(page)
    html = page.locator("html")
    expect(html).to_have_attribute("lang", "en")
    expect(page.locator(".hold-words")).to_have_text("Connected")

    page.get_by_role("button", name="Русский").click()
    expect(html).to_have_attribute("lang", "ru")
    expect(page.locator(".hold-words")).to_have_text("На связи")
    expect(page.get_by_role("link", name="Мои сессии")).to_be_visible()
    expect(page).to_have_title("Эфир · Holdfast")
    unmoved(page)

    other = person.open("/sessions")
    expect(other.locator("html")).to_have_attribute("lang", "ru")
    other.get_by_role("button", name="English").click()
    expect(other.get_by_role("heading", name="My sessions")).to_be_visible()
    # The other tab follows.
    expect(html).to_have_attribute("lang", "en")
    expect(page.get_by_role("link", name="My sessions")).to_be_visible()
    unmoved(page)
    assert connection_id(page) == before


def test_light_and_dark_switch_without_a_reload(day: Any, somebody: Any, connection_id: Any) -> None:
    page = somebody(day, "owl", color_scheme="light").sign_in()
    before = connection_id(page)
    marked(page)
    html = page.locator("html")
    expect(html).to_have_attribute("data-theme", "light")
    light = page.locator("body").evaluate("(body) => getComputedStyle(body).backgroundColor")

    page.get_by_role("button", name="Theme: System").click()
    page.get_by_role("menuitem", name="Dark").click()
    expect(html).to_have_attribute("data-theme", "dark")
    expect(page.locator("body")).not_to_have_css("background-color", light)
    unmoved(page)

    page.get_by_role("button", name="Theme: Dark").click()
    page.get_by_role("menuitem", name="System").click()
    expect(html).to_have_attribute("data-theme", "light")
    page.emulate_media(color_scheme="dark")
    expect(html).to_have_attribute("data-theme", "dark")
    unmoved(page)
    assert connection_id(page) == before


def test_what_was_chosen_is_there_on_the_next_visit_from_the_first_paint(day: Any, somebody: Any) -> None:
    person = somebody(day, "regular", color_scheme="light")
    page = person.sign_in()
    page.get_by_role("button", name="Русский").click()
    page.get_by_role("button", name="Тема: Как в системе").click()
    page.get_by_role("menuitem", name="Тёмная").click()
    page.reload(wait_until="commit")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.locator("html")).to_have_attribute("lang", "ru")
    expect(page.locator(".hold-words")).to_have_text("На связи")

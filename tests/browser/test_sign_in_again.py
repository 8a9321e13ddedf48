"""A session that the server ends: the form comes over the page, and the page stays (SEED S10)."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

TITLES = {
    "en-US": "Your session has expired — please sign in again",
    "ru-RU": "Сессия истекла — перелогиньтесь",
}
REVOKED = {"en-US": "Revoked", "ru-RU": "Отозвано"}
DRAFT = '{"half": "typed, and not sent'
WHOLE = '{"whole": "sent after signing in again"}'


def revoke(server: Any, page: Page, name: str, **body: str) -> None:
    """End the person's sessions as an administrator does, elsewhere."""
    server.admin("POST", "/revoke", user=name, **body)
    expect(page.get_by_role("dialog")).to_be_visible()


@pytest.mark.parametrize("locale", ["en-US", "ru-RU"])
def test_the_page_and_what_was_typed_in_it_are_still_there_afterwards(
    day: Any, somebody: Any, connection_id: Any, is_held: Any, locale: str
) -> None:
    person = somebody(day, f"ann-{locale[:2]}", locale=locale)
    page = person.sign_in()
    before = connection_id(page)
    text = page.locator("textarea").first
    text.fill(DRAFT)
    page.evaluate("window.sameDocument = true")
    revoke(day, page, person.name, reason="to see what happens")

    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(TITLES[locale])
    expect(dialog).to_contain_text(f"{REVOKED[locale]} (to see what happens)")
    expect(dialog.locator("input[name=username]")).to_have_value(person.name)
    expect(dialog.locator("input[name=password]")).to_be_focused()
    expect(page.get_by_test_id("hold")).to_have_attribute("data-hold", "over")
    expect(text).to_have_value(DRAFT)

    person.give_password(page)
    expect(dialog).to_be_hidden()
    is_held(page)
    expect(text).to_have_value(DRAFT)
    assert page.evaluate("window.sameDocument") is True
    assert connection_id(page) != before, "the old socket was closed when the session was revoked"
    text.fill(WHOLE)
    text.press("Control+Enter")
    expect(page.locator(".message[data-kind=in]").first).to_contain_text('{"echo":{"whole":')


def test_a_question_that_was_open_goes_away_with_the_session(day: Any, somebody: Any, is_held: Any) -> None:
    person = somebody(day, "gus")
    page = person.sign_in("/sessions")
    page.get_by_role("button", name="Account of gus").click()
    page.get_by_role("menuitem", name="Log out on all devices").click()
    question = page.get_by_role("dialog").filter(has_text="Log out on all devices?")
    expect(question).to_be_visible()
    day.admin("POST", "/revoke", user="gus")
    form = page.get_by_role("dialog").filter(has_text=TITLES["en-US"])
    expect(form.locator("input[name=password]")).to_be_focused()
    expect(question).to_have_count(0)
    person.give_password(page)
    is_held(page)
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_form_stands_above_a_dialog_that_stays(
    day: Any, somebody: Any, connection_id: Any, is_held: Any
) -> None:
    watched = somebody(day, "hal").sign_in()
    boss = somebody(day, "boss", roles=["admin"])
    page = boss.sign_in(f"/connections/{connection_id(watched)}")
    page.get_by_role("button", name="Revoke…").click()
    reason = page.get_by_label("Reason")
    reason.fill("half a rea")
    day.admin("POST", "/revoke", user="boss")
    form = page.get_by_role("dialog").filter(has_text=TITLES["en-US"])
    expect(form.locator("input[name=password]")).to_be_focused()
    boss.give_password(page)
    expect(form).to_be_hidden()
    is_held(page)
    expect(reason).to_have_value("half a rea")


def test_a_wrong_password_is_told_and_can_be_mended(day: Any, somebody: Any, is_held: Any) -> None:
    person = somebody(day, "bert")
    page = person.sign_in()
    revoke(day, page, "bert")
    dialog = page.get_by_role("dialog")
    dialog.locator("input[name=password]").fill("not the password")
    dialog.locator("button[type=submit]").click()
    expect(dialog.get_by_role("alert")).to_contain_text("The name or the password is wrong.")
    expect(dialog.locator("input[name=password]")).to_be_focused()
    person.give_password(page)
    expect(dialog).to_be_hidden()
    is_held(page)


def test_somebody_else_sees_nothing_of_the_first(day: Any, somebody: Any, is_held: Any) -> None:
    person = somebody(day, "carol")
    day.user("dora")
    page = person.sign_in()
    text = page.locator("textarea").first
    text.fill('{"private": "of carol"}')
    text.press("Control+Enter")
    expect(page.locator(".message[data-kind=in]").first).to_contain_text("of carol")
    text.fill('{"draft": "of carol"}')
    revoke(day, page, "carol")
    person.give_password(page, "dora")
    is_held(page)
    expect(page.get_by_role("button", name="Account of dora")).to_be_visible()
    expect(page.locator("body")).not_to_contain_text("carol")
    assert "carol" not in page.locator("textarea").first.input_value()


def test_a_banned_person_is_out_at_once_and_stays_out(day: Any, somebody: Any) -> None:
    person = somebody(day, "eve")
    page = person.sign_in()
    (banned,) = [user for user in day.admin("GET", "/users")["users"] if user["name"] == "eve"]
    day.admin("POST", f"/users/{banned['id']}/disable")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert day.connections("eve") == []
    person.give_password(page)
    expect(page.get_by_role("alert").filter(has_text="This account has been disabled.")).to_be_visible()
    expect(page.get_by_test_id("hold")).to_have_attribute("data-hold", "over")


def test_whoever_does_not_want_to_sign_in_again_may_leave(day: Any, somebody: Any) -> None:
    page = somebody(day, "fay").sign_in()
    revoke(day, page, "fay")
    page.get_by_role("dialog").get_by_role("button", name="Log out instead").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.locator("body")).not_to_contain_text("fay")

"""My sessions: where one is signed in, and how to end it there."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Locator, Page, expect

PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E148 Safari/604.1"


def rows(page: Page) -> Locator:
    return page.locator(".device")


def test_every_session_is_listed_and_one_can_be_ended(day: Any, somebody: Any, is_held: Any) -> None:
    phone = somebody(day, "traveller", user_agent=PHONE).sign_in()
    here = somebody(day, "traveller").sign_in("/sessions")
    expect(rows(here)).to_have_count(2)
    expect(rows(here).first).to_contain_text("This device")
    expect(rows(here).first).to_contain_text("127.0.0.1")
    other = rows(here).nth(1)
    expect(other).to_contain_text("iPhone")
    expect(other).to_contain_text(re.compile("now|sec", re.IGNORECASE))

    other.get_by_role("button").click()
    question = here.get_by_role("dialog")
    question.get_by_role("button", name="Cancel").click()
    expect(question).to_have_count(0)
    expect(rows(here)).to_have_count(2)

    other.get_by_role("button").click()
    question.get_by_role("button", name="End").click()
    expect(rows(here)).to_have_count(1)
    expect(here.get_by_text("You are signed in nowhere else.")).to_be_visible()
    expect(phone.get_by_role("dialog")).to_contain_text("Reason: Signed out")
    is_held(here)


def test_all_other_sessions_can_be_ended_at_once(day: Any, somebody: Any, is_held: Any) -> None:
    others = [somebody(day, "scattered").sign_in() for _ in range(2)]
    here = somebody(day, "scattered").sign_in("/sessions")
    expect(rows(here)).to_have_count(3)
    here.get_by_role("button", name="End all others").click()
    here.get_by_role("dialog").get_by_role("button", name="End all others").click()
    expect(rows(here)).to_have_count(1)
    for other in others:
        expect(other.get_by_role("dialog").locator("input[name=password]")).to_be_visible()
    is_held(here)


def test_ending_this_session_is_signing_out(day: Any, somebody: Any) -> None:
    here = somebody(day, "leaver").sign_in("/sessions")
    rows(here).get_by_role("button").click()
    here.get_by_role("dialog").get_by_role("button", name="Log out").click()
    expect(here.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(here.get_by_role("dialog")).to_have_count(0)
    assert day.connections("leaver") == []


def test_logging_out_everywhere_ends_every_session(day: Any, somebody: Any) -> None:
    elsewhere = somebody(day, "everywhere").sign_in()
    here = somebody(day, "everywhere").sign_in()
    here.get_by_role("button", name="Account of everywhere").click()
    here.get_by_role("menuitem", name="Log out on all devices").click()
    here.get_by_role("dialog").get_by_role("button", name="Log out on all devices").click()
    expect(here.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(elsewhere.get_by_role("dialog").locator("input[name=password]")).to_be_visible()
    assert day.connections("everywhere") == []
    here.reload()
    expect(here.get_by_role("heading", name="Sign in")).to_be_visible()

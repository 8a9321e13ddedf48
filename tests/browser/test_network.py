"""Trouble that passes: nobody is signed out for it, it is told, and it heals by itself (SEED S10)."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect


def state(page: Page, kind: str) -> None:
    expect(page.get_by_test_id("hold")).to_have_attribute("data-hold", kind)


def still_in(page: Page) -> None:
    """Nothing asks for a password."""
    expect(page.locator("input[name=password]")).to_have_count(0)


def test_a_server_that_goes_away_and_comes_back_signs_nobody_out(
    start_server: Any, somebody: Any, is_held: Any, connection_id: Any
) -> None:
    server = start_server(ACCESS_TOKEN_EXPIRE_MINUTES="0.05", HOLDFAST_LIVE_GRACE_SECONDS="3")
    page = somebody(server).sign_in()
    page.locator("textarea").first.fill('{"kept": "all the while"}')
    before = connection_id(page)
    server.kill()
    state(page, "offline")
    expect(page.locator(".hold-words")).to_contain_text("retrying in")
    still_in(page)
    server.start()
    is_held(page)
    assert connection_id(page) != before
    still_in(page)
    text = page.locator("textarea").first
    expect(text).to_have_value('{"kept": "all the while"}')
    text.press("Control+Enter")
    expect(page.locator(".message[data-kind=in]").first).to_contain_text("all the while")


def nothing(route: Route) -> None:
    route.abort("connectionfailed")


def broken(route: Route) -> None:
    route.fulfill(status=500, body="Internal Server Error")


def busy(route: Route) -> None:
    route.fulfill(status=429, headers={"Retry-After": "1"}, json={"code": "throttled", "message": "Later."})


def portal(route: Route) -> None:
    route.fulfill(status=200, content_type="text/html", body="<title>Welcome to the hotel</title>")


def proxy(route: Route) -> None:
    route.fulfill(status=401, content_type="text/html", body="<h1>401 Unauthorized</h1>")


@pytest.mark.parametrize("trouble", [nothing, broken, busy, portal, proxy], ids=lambda it: it.__name__)
def test_a_refresh_that_fails_is_tried_again_on_the_same_socket(
    patient: Any, somebody: Any, connection_id: Any, is_held: Any, trouble: Any
) -> None:
    person = somebody(patient)
    page = person.sign_in()
    before = connection_id(page)
    page.route("**/auth/refresh", trouble)
    state(page, "late")
    still_in(page)
    page.unroute("**/auth/refresh")
    is_held(page)
    still_in(page)
    assert connection_id(page) == before
    expect(page.get_by_test_id("reconnects")).to_have_text("0")


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


def test_offline_for_several_lifetimes_comes_back_by_itself(
    brief: Any, somebody: Any, is_held: Any, wait_until: Any
) -> None:
    person = somebody(brief, "offline")
    page = person.sign_in()
    person.context.set_offline(True)
    page.route("**/auth/**", nothing)
    wait_until(lambda: not brief.connections("offline"), "the server to end the connection")
    still_in(page)
    person.context.set_offline(False)
    page.unroute("**/auth/**")
    is_held(page)
    still_in(page)

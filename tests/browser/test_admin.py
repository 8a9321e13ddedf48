"""The pages of administrators."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import expect

WATCH_LEASES = """(name) => {
    window.leases = [];
    const look = () => {
        const row = [...document.querySelectorAll('tr')].find((one) => one.textContent.includes(name));
        const [, seconds] = /^0:(\\d\\d)$/.exec(row?.querySelector('.lease-words')?.textContent) ?? [];
        if (seconds && Number(seconds) !== window.leases.at(-1)) window.leases.push(Number(seconds));
    };
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""
"""Keeps what the person's lease has shown, each change once."""


def test_every_live_connection_is_listed_with_its_lease_running_out(
    brief: Any, somebody: Any, is_held: Any, wait_until: Any
) -> None:
    watched = somebody(brief, "watched").sign_in()
    admin = somebody(brief).sign_in("/connections")
    row = admin.get_by_role("row").filter(has_text="watched")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("ticket")
    expect(row).to_contain_text("127.0.0.1")
    admin.evaluate(WATCH_LEASES, "watched")
    for change in ("<", ">"):
        changed = f"window.leases.some((left, n) => left {change} window.leases[n - 1])"
        wait_until(lambda changed=changed: admin.evaluate(changed), f"a lease {change} the one before")
    is_held(watched)


def test_a_connections_timeline_tells_its_life_and_its_address_leads_there(
    brief: Any, somebody: Any, connection_id: Any
) -> None:
    watched = somebody(brief, "timed").sign_in()
    expect(watched.get_by_test_id("renewals")).to_have_text(re.compile("[2-9]"))
    connection = connection_id(watched)
    admin = somebody(brief).sign_in("/connections")
    admin.get_by_role("link", name="Details of the connection of timed").click()
    drawer = admin.get_by_role("dialog")
    expect(drawer).to_contain_text("Connection of timed")
    assert admin.url.endswith(f"/connections/{connection}")
    expect(drawer.locator(".timeline li").last).to_contain_text("Proven")
    expect(drawer.locator(".timeline li[data-what=renewed]").first).to_contain_text(re.compile("−0:0[123]"))
    admin.reload()
    expect(drawer).to_contain_text(connection)
    admin.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    assert admin.url.endswith("/connections")


def test_a_disconnected_client_comes_back(day: Any, somebody: Any, connection_id: Any, is_held: Any) -> None:
    watched = somebody(day, "cut").sign_in()
    before = connection_id(watched)
    admin = somebody(day).sign_in(f"/connections/{before}")
    drawer = admin.get_by_role("dialog").filter(has_text="Connection of cut")
    drawer.get_by_role("button", name="Disconnect").click()
    admin.get_by_role("tooltip").get_by_role("button", name="Disconnect").click()
    expect(drawer).to_contain_text("This connection has ended")
    expect(watched.get_by_test_id("connection-id")).not_to_have_attribute("data-id", before)
    is_held(watched)
    expect(watched.locator(".message[data-kind=event]")).to_contain_text(
        [re.compile("ready"), re.compile("closed 1001 Disconnected by an administrator"), re.compile("ready")]
    )


def test_a_revocation_is_told_to_the_person_with_its_reason(
    day: Any, somebody: Any, connection_id: Any
) -> None:
    watched = somebody(day, "revoked").sign_in()
    admin = somebody(day).sign_in(f"/connections/{connection_id(watched)}")
    admin.get_by_role("button", name="Revoke…").click()
    dialog = admin.get_by_role("dialog").filter(has_text="Revoke access of revoked")
    dialog.get_by_label("All sessions of revoked").check()
    dialog.get_by_label("Reason").fill("lost laptop")
    dialog.get_by_role("button", name="Revoke", exact=True).click()
    expect(dialog).to_be_hidden()
    expect(watched.get_by_role("dialog")).to_contain_text("Revoked (lost laptop)")
    assert day.connections("revoked") == []


def test_the_overview_counts_and_plots(brief: Any, somebody: Any) -> None:
    somebody(brief, "counted").sign_in()
    admin = somebody(brief).sign_in("/overview")
    expect(admin.get_by_role("heading", name="Overview")).to_be_visible()
    plots = admin.get_by_role("img", name=re.compile("now"))
    expect(plots.first).to_be_visible()
    expect(admin.get_by_role("img")).to_have_count(6)
    expect(admin.locator(".plot canvas")).to_have_count(6)
    expect(admin.locator(".fact").filter(has_text="Drops avoided").locator("dd")).to_have_text(
        re.compile(r"^[1-9]")
    )
    admin.get_by_role("radiogroup", name="Time range").get_by_text("5 min", exact=True).click()
    expect(plots.first).to_be_visible()


def test_other_people_see_no_such_pages(day: Any, somebody: Any) -> None:
    page = somebody(day, "plain").sign_in()
    expect(page.get_by_role("link", name="My sessions")).to_be_visible()
    expect(page.get_by_role("link", name="Connections")).to_have_count(0)
    page.goto(f"{day.url}/overview")
    expect(page.get_by_role("heading", name="This page is for administrators")).to_be_visible()


def test_an_address_that_leads_nowhere_says_so(day: Any, somebody: Any) -> None:
    page = somebody(day).sign_in()
    page.goto(f"{day.url}/nowhere")
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()
    page.get_by_role("button", name="Go to Live").click()
    expect(page.get_by_role("heading", name="Live", exact=True)).to_be_visible()

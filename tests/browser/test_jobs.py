"""Long jobs and channels: shown as they come, whole after every gap, and never to those who may not see them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "seaweed on a rock"
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"

GUARDED = """
import sys
from pathlib import Path
import uvicorn
from holdfast.server.app import build_app
from holdfast.settings import load

app = build_app(load(channels="public:*"))


@app.state.parts.hold.channel("job:{id}")
def may_read(user, id):
    return Path(f"open-{id}-{user.name}").exists()


uvicorn.run(app, port=int(sys.argv[-1]), log_level="warning")
"""
"""The ready server, but that jobs are only for those whose names are on files."""


def publish(server: Any, job: str, data: Any) -> int:
    position = server.admin("POST", "/publish", channel=f"job:{job}", data=data)
    return int(position["offset"])


def announce(server: Any, job: str, **fields: Any) -> None:
    publish(server, "index", {"job": job, **fields})


def lines(page: Page) -> list[str]:
    return page.get_by_role("log").locator(".job-line-text").all_text_contents()


def panel(page: Page) -> Locator:
    return page.locator(".job-panel")


def standing(page: Page, word: str) -> None:
    expect(panel(page).locator(".state")).to_contain_text(word)


def nothing(route: Route) -> None:
    route.abort("connectionfailed")


# Jobs


def test_a_job_is_shown_as_it_goes_on_and_all_of_it_after_a_reload(day: Any, somebody: Any) -> None:
    page = somebody(day, "watcher").sign_in("/jobs")
    announce(day, "report", title="Quarterly report", state="running")
    row = page.get_by_role("link", name=re.compile("Quarterly report"))
    expect(row).to_contain_text("Running")
    publish(day, "report", {"title": "Quarterly report", "state": "running", "progress": 0, "log": ["began"]})
    row.click()
    assert page.url.endswith("/jobs/report")
    for percent in range(10, 101, 10):
        publish(day, "report", {"progress": percent / 100, "log": [f"{percent} percent"]})
    bar = panel(page).get_by_role("progressbar", name="Quarterly report")
    expect(bar).to_have_attribute("aria-valuenow", "100")
    expect(row.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "100")
    expect(row).to_contain_text("100 percent")
    publish(day, "report", {"state": "done", "result": {"pages": 12}})
    announce(day, "report", title="Quarterly report", state="done", progress=1)
    standing(page, "Done")
    expect(panel(page).get_by_role("status").first).to_have_text("Quarterly report: Done")
    whole = ["began", *(f"{percent} percent" for percent in range(10, 101, 10))]
    assert lines(page) == whole
    page.reload()
    standing(page, "Done")
    expect(panel(page)).to_contain_text('"pages": 12')
    expect(panel(page).get_by_role("log")).to_contain_text("100 percent")
    assert lines(page) == whole
    expect(page.get_by_role("link", name=re.compile("Quarterly report"))).to_contain_text("Done")


def test_offline_for_several_lifetimes_it_is_caught_up_exactly(
    brief: Any, somebody: Any, is_held: Any, wait_until: Any
) -> None:
    person = somebody(brief, "away")
    page = person.sign_in("/jobs/night")
    publish(brief, "night", {"title": "Night shift", "state": "running", "log": ["line 0"]})
    expect(panel(page).get_by_role("log")).to_contain_text("line 0")
    person.context.set_offline(True)
    page.route("**/auth/**", nothing)
    wait_until(lambda: not brief.connections("away"), "the server to end the connection")
    for number in range(1, 60):
        publish(brief, "night", {"progress": number / 60, "log": [f"line {number}"]})
    assert lines(page) == ["line 0"]
    person.context.set_offline(False)
    page.unroute("**/auth/**")
    is_held(page)
    standing(page, "Running")
    expect(panel(page).get_by_role("log")).to_contain_text("line 59")
    assert lines(page) == [f"line {number}" for number in range(60)]
    expect(panel(page).locator(".stale")).to_have_count(0)


def test_through_renewals_nothing_is_said_and_nothing_is_lost(
    brief: Any, somebody: Any, wait_until: Any
) -> None:
    page = somebody(brief, "renewing").sign_in("/jobs/day")
    (connection,) = brief.connections("renewing")
    publish(brief, "day", {"state": "running"})
    standing(page, "Running")

    told: list[str] = []

    def renewed() -> bool:
        told.append(f"line {len(told)}")
        publish(brief, "day", {"log": told[-1:]})
        (now,) = brief.connections("renewing")
        assert now["id"] == connection["id"]
        return sum(one["what"] == "renewed" for one in now["timeline"]) >= 3

    wait_until(renewed, "three renewals")
    expect(panel(page).locator(".job-line").last).to_contain_text(told[-1])
    assert lines(page) == told
    expect(panel(page).locator(".stale")).to_have_count(0)


def test_a_server_that_has_forgotten_the_job_is_told_of_until_the_job_tells_itself_anew(
    start_server: Any, somebody: Any, is_held: Any
) -> None:
    server = start_server()
    page = somebody(server, "watcher").sign_in("/jobs/report")
    publish(server, "report", {"title": "Report", "state": "running", "progress": 0.5, "log": ["half"]})
    standing(page, "Running")
    server.kill()
    standing(page, "Not live")
    server.start()
    is_held(page)
    trouble = panel(page).locator(".stale")
    expect(trouble).to_contain_text("the server had started over")
    expect(trouble).to_contain_text("Lines may be missing")
    expect(panel(page).get_by_role("log")).to_contain_text("half")
    publish(server, "report", {"progress": 0.75, "log": ["three quarters"]})
    expect(panel(page).get_by_role("progressbar")).to_have_attribute("aria-valuenow", "75")
    shown = panel(page).locator(".job-line").all_inner_texts()
    assert shown == ["half", "Lines may be missing here", "three quarters"]
    whole = {
        "title": "Report",
        "state": "running",
        "progress": 0.75,
        "log": ["half", "more", "three quarters"],
    }
    publish(server, "report", {**whole, "whole": True})
    expect(trouble).to_contain_text("The job has told everything anew")
    assert lines(page) == whole["log"]


def test_a_program_goes_on_through_a_restart_and_the_page_with_it(
    start_server: Any, somebody: Any, wait_until: Any
) -> None:
    """The example's own publisher."""
    server = start_server()
    page = somebody(server, "watcher").sign_in("/jobs")
    expect(page.get_by_role("heading", name="No jobs yet")).to_be_visible()
    command = [sys.executable, str(ROOT / "examples" / "jobs" / "publish.py"), server.url, "watcher", "15"]
    environment = {**os.environ, "HOLDFAST_EXAMPLE_PASSWORD": PASSWORD}
    with subprocess.Popen(command, env=environment) as program:
        try:
            page.get_by_role("link", name=re.compile("Nightly report")).click()
            expect(panel(page).get_by_role("log")).to_contain_text("part 30 of 300")
            server.kill()
            standing(page, "Not live")
            server.start()
            standing(page, "Done")
            assert program.wait(30) == 0
        finally:
            program.kill()
    expect(panel(page)).to_contain_text("The job has told everything anew")
    shown = lines(page)
    assert shown[-2:] == ["part 300 of 300", "done"]
    first = int(shown[1].split()[1])
    assert shown[1:-1] == [f"part {number} of 300" for number in range(first, 301)]
    for title, word in (("Nightly report", "Done"), ("Video", "Done"), ("Backup", "Failed")):
        expect(page.get_by_role("link", name=re.compile(title))).to_contain_text(word)
    expect(page.locator(".jobs-side .page-foot")).to_have_text("0 running, 3 finished")


def test_a_job_that_falls_silent_is_told_from_one_that_runs(day: Any, somebody: Any) -> None:
    person = somebody(day, "waiting")
    page = person.context.new_page()
    page.clock.install()
    page.goto(f"{day.url}/jobs/silent")
    person.give_password(page)
    publish(day, "silent", {"title": "Silent one", "state": "running", "progress": 0.3})
    standing(page, "Running")
    page.clock.fast_forward("00:25")
    standing(page, "Lost contact")
    expect(panel(page)).to_contain_text("What works at it may have stopped")
    publish(day, "silent", {"progress": 0.4})
    standing(page, "Running")
    publish(day, "silent", {"state": "cancelled"})
    standing(page, "Cancelled")
    page.clock.fast_forward("00:25")
    standing(page, "Cancelled")


def test_a_job_that_nobody_has_announced_is_followed_by_its_id(day: Any, somebody: Any) -> None:
    page = somebody(day, "asking").sign_in("/jobs")
    field = page.get_by_label("Job id")
    field.fill("not a name")
    expect(page.get_by_role("button", name="Follow")).to_be_disabled()
    field.fill("job:unheard")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Nothing has been told of this job")).to_be_visible()
    publish(day, "unheard", "a word")
    expect(panel(page).get_by_role("log")).to_contain_text("a word")
    page.get_by_role("link", name="Live", exact=True).click()
    page.get_by_role("link", name="Jobs", exact=True).click()
    expect(page.get_by_role("link", name=re.compile("unheard"))).to_be_visible()


def test_jobs_are_reached_by_keyboard_and_on_a_narrow_screen_one_at_a_time(day: Any, somebody: Any) -> None:
    announce(day, "narrow", title="Narrow one", state="running")
    page = somebody(day, "narrow", locale="ru-RU", viewport={"width": 390, "height": 700}).sign_in("/jobs")
    row = page.locator("[data-job=narrow] a")
    page.get_by_label("Id задания").focus()
    for _ in range(20):
        page.keyboard.press("Tab")
        if row.evaluate("link => link === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Narrow one")).to_be_visible()
    expect(row).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("link", name="Все задания").click()
    expect(row).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("shade", ["light", "dark"])
def test_these_pages_have_nothing_that_keeps_people_out(day: Any, somebody: Any, shade: str) -> None:
    """By the rules of WCAG 2.1 AA that a program can check."""
    announce(day, "told", title="Told one", state="running")
    publish(day, "told", {"title": "Told one", "state": "running", "progress": 0.5, "log": ["half"]})
    publish(day, "told", {"log": [{"text": "careful", "level": "warning"}, {"text": "oh", "level": "error"}]})
    page = somebody(day, f"seeing-{shade}", color_scheme=shade).sign_in("/jobs")
    for address, what in (
        ("/jobs/told", "careful"),
        ("/jobs/never", "Nothing has been told of this job"),
        ("/live?channel=job:told&channel=nobody:knows", "refused"),
    ):
        page.goto(f"{day.url}{address}")
        expect(page.locator("main")).to_contain_text(what)
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.evaluate("axe.run('main', { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] })")
        assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []


# Rights


@pytest.fixture
def guarded(day: Any, tmp_path: Path) -> Iterator[Any]:
    (tmp_path / "guarded.py").write_text(GUARDED, encoding="utf-8")
    server = type(day)(tmp_path, ACCESS_TOKEN_EXPIRE_MINUTES="0.1", HOLDFAST_LIVE_GRACE_SECONDS="6")
    server.command = ("guarded.py",)
    server.start()
    yield server
    server.kill()


def test_a_right_that_is_lost_is_told_and_what_comes_then_is_not_shown(
    guarded: Any, somebody: Any, is_held: Any, connection_id: Any
) -> None:
    right = guarded.where / "open-report-ann"
    right.touch()
    page = somebody(guarded, "ann").sign_in("/jobs/report")
    publish(guarded, "report", {"title": "Report", "state": "running", "progress": 0.5, "log": ["half"]})
    standing(page, "Running")
    right.unlink()
    standing(page, "Access ended")
    expect(panel(page)).to_contain_text("You may no longer follow this job")
    publish(guarded, "report", {"progress": 0.9, "log": ["secret"]})
    is_held(page)
    right.touch()
    standing(page, "Running")
    expect(panel(page).get_by_role("log")).to_contain_text("secret")
    assert lines(page) == ["half", "secret"]


def test_who_may_not_see_a_job_sees_nothing_of_it(guarded: Any, somebody: Any) -> None:
    (guarded.where / "open-report-ann").touch()
    (guarded.where / "open-index-ann").touch()
    publish(guarded, "report", {"title": "Secret report", "state": "running", "log": ["half"]})
    announce(guarded, "report", title="Secret report", state="running")
    ann = somebody(guarded, "ann").sign_in("/jobs")
    expect(ann.get_by_role("link", name=re.compile("Secret report"))).to_be_visible()
    bob = somebody(guarded, "bob").sign_in("/jobs/report")
    expect(bob.get_by_role("heading", name="You may not follow this job")).to_be_visible()
    expect(bob.locator(".jobs-side .stale")).to_contain_text("You may not read job:index")
    publish(guarded, "report", {"log": ["more"]})
    expect(ann.locator("[data-job=report]")).to_contain_text("more")
    text = bob.locator("body").inner_text()
    assert "Secret" not in text
    assert "more" not in text


# Live


def test_channels_are_chosen_shown_and_kept_through_a_reload(day: Any, somebody: Any) -> None:
    page = somebody(day, "listener").sign_in()
    page.get_by_role("textbox", name="Channels").fill("job:live")
    page.keyboard.press("Enter")
    chip = page.locator(".chip").filter(has_text="job:live")
    expect(chip).to_have_attribute("data-status", "subscribed")
    offset = publish(day, "live", {"n": 1})
    message = page.locator(".message[data-kind=channel]").first
    expect(message).to_contain_text(f"job:live#{offset}")
    expect(message).to_contain_text('{"n":1}')
    expect(chip).to_contain_text(f"#{offset}")
    assert page.url.endswith("/live?channel=job:live")
    page.reload()
    expect(chip).to_have_attribute("data-status", "subscribed")
    publish(day, "live", {"n": 2})
    expect(message).to_contain_text('{"n":2}')
    page.get_by_role("button", name="Unsubscribe from job:live").click()
    expect(chip).to_have_count(0)
    assert page.url.endswith("/live")
    page.get_by_role("textbox", name="Channels").fill("two words")
    expect(page.locator(".channels")).to_contain_text("printable ASCII")


def test_everybody_has_a_channel_and_other_peoples_are_refused(day: Any, somebody: Any) -> None:
    page = somebody(day, "owner").sign_in("/live?channel=user:somebody-else")
    chip = page.locator(".chip").filter(has_text="user:somebody-else")
    expect(chip).to_have_attribute("data-status", "refused")
    expect(page.locator(".message[data-kind=event]").first).to_contain_text("refused: You may not do this.")
    page.get_by_role("button", name=re.compile("Subscribe to user:")).click()
    mine = page.locator(".chip[data-status=subscribed]")
    channel = mine.locator("code").get_attribute("title")
    day.admin("POST", "/publish", channel=channel, data="for you")
    expect(page.locator(".message[data-kind=channel]")).to_contain_text("for you")


def test_who_may_publishes_and_who_may_not_is_told(day: Any, somebody: Any) -> None:
    address = "/live?channel=job:talk"
    admin, other = somebody(day).sign_in(address), somebody(day, "reader").sign_in(address)
    for page in (admin, other):
        expect(page.locator(".chip").filter(has_text="job:talk")).to_contain_text("2 here")
        page.get_by_label("To", exact=True).click()
        page.locator(".ant-select-item").filter(has_text="job:talk").click()
        page.locator("textarea").fill('"hello"')
        page.get_by_role("button", name="Publish").click()
    expect(other.locator(".send-problem")).to_have_text("You may not publish to job:talk.")
    expect(admin.locator(".message[data-kind=out]")).to_contain_text("job:talk#1")
    expect(admin.locator(".message[data-kind=channel]")).to_have_count(1)
    expect(other.locator(".message[data-kind=channel]")).to_contain_text('"hello"')


def test_a_return_that_lost_nothing_is_told_from_one_that_did(
    start_server: Any, somebody: Any, is_held: Any, connection_id: Any
) -> None:
    server = start_server()
    page = somebody(server, "listener").sign_in("/live?channel=job:live")
    expect(page.locator(".chip[data-status=subscribed]")).to_be_visible()
    publish(server, "live", 1)
    expect(page.locator(".message[data-kind=channel]")).to_have_count(1)
    server.admin("POST", f"/connections/{connection_id(page)}/disconnect")
    events = page.locator(".message[data-kind=event]")
    expect(events.filter(has_text="job:live is back, nothing is lost")).to_have_count(1)
    server.kill()
    server.start()
    is_held(page)
    expect(events.filter(has_text="job:live is back at #0, but what was missed")).to_have_count(1)


def test_a_connections_channels_are_listed_and_counted(day: Any, somebody: Any, connection_id: Any) -> None:
    watched = somebody(day, "subscribed").sign_in("/live?channel=job:one&channel=public:two")
    expect(watched.locator(".chip[data-status=subscribed]")).to_have_count(2)
    admin = somebody(day).sign_in(f"/connections/{connection_id(watched)}")
    expect(admin.get_by_role("dialog")).to_contain_text("job:one, public:two")
    admin.goto(f"{day.url}/overview")
    subscriptions = admin.locator(".fact").filter(has_text="Subscriptions")
    expect(subscriptions.locator("dd")).to_have_text(re.compile(r"[2-9]\d* .*channels"))

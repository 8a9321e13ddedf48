"""No token where a script, a person over the shoulder, or a reader of logs could find it; no script but ours."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from http.cookies import SimpleCookie
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Response, expect
from playwright.sync_api import Error as PlaywrightError

WHAT_SCRIPTS_CAN_READ = """async () => {
    const databases = await indexedDB.databases();
    const stores = [localStorage, sessionStorage].map((store) => ({ ...store }));
    const globals = Object.keys(window).filter((key) => !(key in Window.prototype))
        .map((key) => { try { return [key, JSON.stringify(window[key])]; } catch { return [key]; } });
    return JSON.stringify({
        databases,
        stores,
        cookie: document.cookie,
        url: location.href,
        referrer: document.referrer,
        history: [history.state, navigation.entries().map((entry) => [entry.url, entry.getState()])],
        title: document.title,
        name: window.name,
        caches: await caches.keys(),
        html: document.documentElement.outerHTML,
        typed: [...document.querySelectorAll('input, textarea')].map(({ value }) => value),
        globals,
    });
}"""


class Witness:
    """Collects what goes over the network and must not be seen anywhere else."""

    def __init__(self, context: BrowserContext) -> None:
        self.access: set[str] = set()
        self.refresh: set[str] = set()
        self.tickets: set[str] = set()
        self.bodies: list[dict[str, Any]] = []
        self.sockets: list[str] = []
        self.requested: list[str] = []
        context.on("page", lambda page: page.on("websocket", lambda it: self.sockets.append(it.url)))
        context.on("request", lambda it: self.requested.append(it.url))
        context.on("response", self._look)

    @property
    def secrets(self) -> set[str]:
        """All that has been seen until now."""
        return self.access | self.refresh | self.tickets

    def _look(self, answer: Response) -> None:
        path = answer.url.removesuffix("/").rpartition("/")[2]
        if path not in {"token", "refresh", "ticket"} or not answer.ok:
            return
        for line in (answer.header_value("set-cookie") or "").splitlines():
            self.refresh |= {morsel.value for morsel in SimpleCookie(line).values() if morsel.value}
        try:
            body = answer.json()
        except PlaywrightError:
            return  # the page that it was for has been left
        self.bodies.append(body)
        if path == "ticket":
            self.tickets.add(body["ticket"])
        else:
            self.access.add(body["access_token"])


def all_of(context: BrowserContext) -> Iterator[tuple[str, str]]:
    """What the scripts of each open page can read."""
    for page in context.pages:
        yield page.url, page.evaluate(WHAT_SCRIPTS_CAN_READ)


def test_no_secret_is_left_where_it_can_be_read(brief: Any, somebody: Any, is_held: Any) -> None:
    person = somebody(brief, "keeper", roles=["admin"])
    witness = Witness(person.context)
    page = person.open()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    person.give_password(page)
    is_held(page)
    # Through renewals, a reconnect, every page, a second tab, a reload and a new sign-in.
    expect(page.get_by_test_id("renewals")).to_have_text(re.compile("[2-9]"))
    connection = page.get_by_test_id("connection-id").get_attribute("data-id")
    brief.admin("POST", f"/connections/{connection}/disconnect")
    expect(page.get_by_test_id("reconnects")).to_have_text("1")
    for name in ("My sessions", "Connections", "Overview"):
        page.get_by_role("link", name=name).click()
        expect(page.get_by_role("heading", name=name)).to_be_visible()
    other = person.open("/connections")
    is_held(other)
    other.reload()
    is_held(other)
    # The form over the page has gone in both tabs when one has signed in again.
    brief.admin("POST", "/revoke", user="keeper")
    person.give_password(page)
    for each in (page, other):
        is_held(each)

    secrets = witness.secrets
    assert not [body for body in witness.bodies if "refresh_token" in body], "that is in the cookie alone"
    assert len(witness.access) >= 4
    assert len(witness.refresh) >= 3
    assert len(witness.tickets) >= 4
    places = dict(all_of(person.context))
    places["console"] = "\n".join(person.console)
    places["log"] = brief.text
    places["cookies"] = json.dumps([one for one in person.context.cookies() if not one["httpOnly"]])
    places["requests"] = "\n".join(witness.requested)
    for place, text in places.items():
        assert text, place
        assert not [secret for secret in secrets if secret in text], place


def test_sockets_are_opened_with_tickets_which_are_good_once(
    day: Any, somebody: Any, is_held: Any, wait_until: Any
) -> None:
    person = somebody(day, "ticketed")
    witness = Witness(person.context)
    page = person.sign_in()
    (url,) = witness.sockets
    assert re.fullmatch(rf"ws://127\.0\.0\.1:{day.port}/ws\?ticket=[\w.-]+", url)
    # An answer's body is asked of the browser, which may take longer than the page's own socket, and comes in while
    # the browser is asked something.
    ticket = url.partition("ticket=")[2]
    wait_until(lambda: page.evaluate("true") and ticket in witness.tickets, "an answer with the ticket in it")
    closed = page.evaluate(
        "(url) => new Promise((done) => { new WebSocket(url).onclose = ({ code }) => done(code); })", url
    )
    assert closed == 4003
    is_held(page)


def test_the_cookie_is_for_the_server_alone(day: Any, somebody: Any) -> None:
    person = somebody(day, "baker")
    page = person.sign_in()
    (cookie,) = person.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/")
    assert page.evaluate("document.cookie") == ""


# Scripts that are none of ours

INLINE = (
    "document.body.append(Object.assign(document.createElement('script'), { textContent: 'injected = 1' }))"
)
ATTRIBUTE = "document.body.insertAdjacentHTML('beforeend', '<img src=\"data:,\" onerror=\"injected = 1\">')"
ADDRESS = (
    "document.body.append(Object.assign(document.createElement('a'), { href: 'javascript:injected = 1' }))"
)
FOREIGN = "document.body.append(Object.assign(document.createElement('script'), { src: 'https://evil.example/x.js' }))"


@pytest.mark.parametrize("path", ["/", "/live", "/connections"])
def test_the_policy_of_the_built_page_allows_no_inline_script(day: Any, somebody: Any, path: str) -> None:
    page: Page = somebody(day).context.new_page()
    answer = page.goto(f"{day.url}{path}")
    assert answer is not None
    policy = dict(
        part.strip().split(" ", 1)
        for part in (answer.header_value("content-security-policy") or "").split(";")
    )
    assert policy["default-src"] == "'none'"
    assert re.fullmatch(r"'self' 'nonce-[\w-]{22}'", policy["script-src"])
    assert "unsafe" not in " ".join(policy.values())
    assert policy["frame-ancestors"] == "'none'"
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


@pytest.mark.parametrize("how", [INLINE, ATTRIBUTE, ADDRESS, FOREIGN])
def test_an_injected_script_does_not_run(day: Any, somebody: Any, wait_until: Any, how: str) -> None:
    person = somebody(day)
    page = person.sign_in()
    page.evaluate(
        "addEventListener('securitypolicyviolation', (event) => { window.refused = event.effectiveDirective; })"
    )
    page.evaluate(how)
    if how == ADDRESS:
        page.evaluate("document.querySelector('a[href^=javascript]').click()")
    refused = wait_until(lambda: page.evaluate("window.refused"), "the browser to refuse it")
    assert refused.startswith("script-src")
    assert page.evaluate("'injected' in window") is False
    # Chromium says so on the console, which is a complaint in every other test.
    assert [line for line in person.console if "Content Security Policy" in line]
    person.console.clear()

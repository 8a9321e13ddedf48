"""What takes minutes goes on while the other tests run: `test_…_begins` opens it, the rest of its module looks last."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Page

SIX_SECONDS = {"ACCESS_TOKEN_EXPIRE_MINUTES": "0.1", "HOLDFAST_LIVE_GRACE_SECONDS": "6"}
COUNT_SOCKETS = """
    window.seen = { sent: 0, echoed: [], opened: 0, closes: [] };
    window.WebSocket = class extends WebSocket {
        constructor(...how) {
            super(...how);
            window.seen.opened += 1;
            this.addEventListener('close', ({ code, reason }) => window.seen.closes.push([code, reason]));
            this.addEventListener('message', ({ data }) => {
                const { echo } = JSON.parse(data);
                if (echo) window.seen.echoed.push(echo.n);
            });
        }
    };
"""
SEND_NUMBERS = """() => {
    const form = document.querySelector('form.send');
    const box = form.querySelector('textarea');
    const put = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value').set;
    window.sameDocument = true;
    window.sending = setInterval(() => {
        put.call(box, JSON.stringify({ n: window.seen.sent + 1 }));
        box.dispatchEvent(new Event('input', { bubbles: true }));
        window.seen.sent += 1;
        form.requestSubmit();
    }, 250);
}"""


@dataclass(frozen=True)
class WorkingDay:
    """A page that has been left open, sending numbered messages, since `began`."""

    person: Any
    page: Page
    connection: str
    began: float


@pytest.fixture(scope="session")
def working_day(start_server: Any, somebody_all_day: Any, is_held: Any, connection_id: Any) -> WorkingDay:
    """Begin it, on a server of its own whose tokens live for 6 seconds."""
    person = somebody_all_day(start_server(**SIX_SECONDS), "worker")
    page = person.context.new_page()
    page.add_init_script(COUNT_SOCKETS)
    page.goto(f"{person.server.url}/live")
    person.give_password(page)
    is_held(page)
    began, connection = time.monotonic(), connection_id(page)
    page.evaluate(SEND_NUMBERS)
    return WorkingDay(person, page, connection, began)


TABS = 5
WITHOUT_LOCKS = "Object.defineProperty(Navigator.prototype, 'locks', { get: () => undefined })"
RENEW_ALL_AT_ONCE = """([tabs, rounds, pause]) => {
    const button = document.querySelector('[aria-label="Renew now"]');
    const count = () => Number(document.querySelector('[data-testid=renewals]').textContent);
    const channel = new BroadcastChannel('all at once');
    const until = (met) => new Promise((done) => {
        const turn = setInterval(() => { if (met()) { clearInterval(turn); done(); } }, 5);
    });
    const renew = async () => {
        await until(() => !button.disabled);
        const before = count();
        button.click();
        await until(() => count() > before && !button.disabled);
    };
    window.rounds = 0;
    if (tabs === 0) {
        channel.onmessage = async ({ data }) => {
            if (data !== 'now') return;
            await renew();
            window.rounds += 1;
            channel.postMessage('done');
        };
        return;
    }
    let done = 0;
    channel.onmessage = ({ data }) => { done += data === 'done'; };
    (async () => {
        while (window.rounds < rounds) {
            done = 1;
            channel.postMessage('now');
            await renew();
            await until(() => done === tabs);
            window.rounds += 1;
            await new Promise((later) => setTimeout(later, pause));
        }
    })();
}"""
"""Each tab presses its button when the first one says so; that one goes on when all of them have a new token."""


@dataclass(frozen=True)
class Tabs:
    """The tabs of one person, which renew all at once, again and again."""

    person: Any
    pages: list[Page]
    connections: list[str]


@pytest.fixture(scope="session")
def all_at_once(
    start_server: Any, somebody_all_day: Any, is_held: Any, connection_id: Any
) -> Callable[[bool, int], Tabs]:
    """Begin it, once for each kind of browser, on a server of its own whose tokens live for 3 seconds.

    The rotation window is under the pause between two rounds, so that every round rotates. Tabs with locks come one
    after the other; without them the window has to cover what lies between the first and the last of a round.
    """
    begun: dict[bool, Tabs] = {}

    def begin(locks: bool, rounds: int) -> Tabs:
        if locks in begun:
            return begun[locks]
        window = 0.3 if locks else 1.0
        server = start_server(
            ACCESS_TOKEN_EXPIRE_MINUTES="0.05",
            HOLDFAST_LIVE_GRACE_SECONDS="120",
            HOLDFAST_ROTATION_WINDOW_SECONDS=str(window),
        )
        person = somebody_all_day(server, "tabs")
        if not locks:
            person.context.add_init_script(WITHOUT_LOCKS)
        pages = [person.sign_in(), *(person.open() for _ in range(TABS - 1))]
        for page in pages:
            is_held(page)
        begun[locks] = Tabs(person, pages, [connection_id(page) for page in pages])
        for page in reversed(pages):
            page.evaluate(RENEW_ALL_AT_ONCE, [TABS if page is pages[0] else 0, rounds, 1000 * window + 100])
        return begun[locks]

    return begin

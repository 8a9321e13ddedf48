"""What takes minutes goes on while the other tests run: `test_…_begins` opens it, the rest of its module looks last."""

from __future__ import annotations

import time
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

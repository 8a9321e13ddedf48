"""Pictures of every page in both languages and themes, for docs/images: `make screenshots`, then look at them.

They are no tests: pytest collects this file only when it is named.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from holdfast.client import ClientError, Session

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
SCREEN = {"width": 1180, "height": 680}
WARM_UP = 100.0
"""Seconds that the server runs before the first picture, so that its plots have something to show."""
LANGUAGES = {"en": "en-US", "ru": "ru-RU"}
THEMES = ("light", "dark")
SETTINGS = {
    "ACCESS_TOKEN_EXPIRE_MINUTES": "0.7",
    "HOLDFAST_LIVE_GRACE_SECONDS": "12",
    "HOLDFAST_ROTATION_WINDOW_SECONDS": "1",
}
PEOPLE = ("anna.petrova", "boris", "chen.wei", "dora")
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148"
    " Safari/604.1"
)
LAPTOP = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
)
LOG = (
    "reading 48 regions",
    "region 17 has no prices for March, taking those of February",
    "model fitted in 41 s",
    "writing chapter 3 of 5",
)


class Crowd:
    """People and programs that are connected while the pictures are taken."""

    def __init__(self, server: Any, password: str) -> None:
        self.url = server.url
        self._password = password
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all()), daemon=True)
        self._going: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        assert self._loop is not None
        assert self._going is not None
        self._loop.call_soon_threadsafe(self._going.cancel)
        self._thread.join()

    async def _all(self) -> None:
        self._loop, self._going = asyncio.get_running_loop(), asyncio.current_task()
        with suppress(asyncio.CancelledError):
            async with asyncio.TaskGroup() as tasks:
                for name in PEOPLE:
                    tasks.create_task(self._holds(name))
                await self._expire()

    async def _holds(self, name: str) -> None:
        """Somebody whose connection is held."""
        async with Session(self.url) as session:
            await session.sign_in(name, self._password)
            while True:
                try:
                    async with session.connect("/ws") as live:
                        async for _ in live:
                            pass
                except ClientError:
                    return

    async def _expire(self) -> None:
        """Programs that never refresh: there is always one in its grace."""
        carriers = itertools.cycle(("query", "subprotocol", "authorization"))
        async with httpx.AsyncClient(base_url=self.url) as http, asyncio.TaskGroup() as tasks:
            while True:
                form = {"username": "script", "password": self._password, "client": "program"}
                token = (await http.post("/token", data=form)).json()["access_token"]
                tasks.create_task(self._once(token, next(carriers)))
                await asyncio.sleep(11)

    async def _once(self, token: str, carrier: str) -> None:
        url = self.url.replace("http", "ws") + "/ws"
        headers = {"Authorization": f"Bearer {token}"} if carrier == "authorization" else {}
        offered = [Subprotocol("holdfast.v1"), Subprotocol(f"holdfast.bearer.{token}")]
        try:
            async with connect(
                f"{url}?token={token}" if carrier == "query" else url,
                additional_headers=headers,
                subprotocols=offered if carrier == "subprotocol" else None,
            ) as socket:
                async for _ in socket:
                    pass
        except WebSocketException:
            return


@pytest.fixture(scope="session")
def busy(start_server: Any, password: str) -> Iterator[Any]:
    """A server that has been in use for a while."""
    server = start_server(**SETTINGS)
    for name in (*PEOPLE, "script"):
        server.user(name)
    began = time.monotonic()
    crowd = Crowd(server, password)
    crowd.start()
    told = {"title": "Quarterly report", "state": "running", "progress": 0.62}
    for job in (
        {"job": "import-2291", "title": "Import of 40,000 addresses", "state": "done", "progress": 1},
        {"job": "thumbnails", "title": "Thumbnails", "state": "failed", "progress": 0.31},
        {"job": "report-7", **told},
    ):
        server.admin("POST", "/publish", channel="job:index", data=job)
    lines = [*LOG[:1], {"text": LOG[1], "level": "warning"}, *LOG[2:]]
    server.admin("POST", "/publish", channel="job:report-7", data={**told, "log": lines})
    while time.monotonic() - began < WARM_UP:
        time.sleep(1)
        if server.connections("dora") and time.monotonic() - began > WARM_UP / 2:
            server.admin("POST", f"/connections/{server.connections('dora')[0]['id']}/disconnect")
            server.admin("POST", "/revoke", user="chen.wei", reason="lost laptop")
    yield server
    crowd.stop()


def picture(page: Page, name: str) -> None:
    """Take it with the pointer out of the way."""
    page.mouse.move(0, SCREEN["height"] - 1)
    page.evaluate("document.fonts.ready")
    IMAGES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=IMAGES / f"{name}.png")


def live(page: Page) -> None:
    box = page.locator("form.send textarea")
    for message in ('{"hello": "world"}', '{"job": "report-7", "progress": 0.62}', '{"n": 42}'):
        box.fill(message)
        box.press("Control+Enter")
    expect(page.locator(".message[data-kind=in]")).to_have_count(3)


def jobs(page: Page) -> None:
    expect(page.get_by_role("log")).to_contain_text(LOG[-1])


def sessions(page: Page) -> None:
    expect(page.locator(".device").nth(2)).to_be_visible()


def connections(page: Page) -> None:
    expect(page.locator(".lease[data-phase=grace]").first).to_be_visible()


def connection(page: Page) -> None:
    page.locator(".user-cell a", has_text="anna.petrova").first.click()
    expect(page.locator(".timeline li").nth(2)).to_be_visible()


def overview(page: Page) -> None:
    page.get_by_role("radiogroup").get_by_text(re.compile("^5")).click()
    expect(page.locator(".plot canvas").first).to_be_visible()


PAGES: tuple[tuple[str, Callable[[Page], None]], ...] = (
    ("/live", live),
    ("/jobs/report-7", jobs),
    ("/sessions", sessions),
    ("/connections", connections),
    ("/connections", connection),
    ("/overview", overview),
)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_pictures(busy: Any, somebody: Any, is_held: Any, password: str, language: str, theme: str) -> None:
    options = {"locale": LANGUAGES[language], "color_scheme": theme, "viewport": SCREEN}
    kind = f"{theme}-{language}"
    admin = somebody(busy, user_agent=LAPTOP, **options)
    page = admin.open()
    expect(page.locator("input[name=username]")).to_be_focused()
    picture(page, f"sign-in-{kind}")
    page.close()
    busy.admin("POST", "/revoke", user="admin")
    busy.forget()
    for agent, client in ((PHONE, "browser"), ("holdfast-report/2.4", "program")):
        form = {"username": "admin", "password": password, "client": client}
        httpx.post(f"{busy.url}/token", data=form, headers={"User-Agent": agent}).raise_for_status()
    page = admin.sign_in()
    for path, prepare in PAGES:
        page.goto(f"{busy.url}{path}")
        is_held(page)
        prepare(page)
        picture(page, f"{prepare.__name__}-{kind}")

    anna = somebody(busy, "anna", user_agent=LAPTOP, **options)
    page = anna.sign_in()
    live(page)
    page.locator("form.send textarea").fill('{"note": "half a sen')
    busy.admin("POST", "/revoke", user="anna", reason="password changed")
    expect(page.get_by_role("dialog").locator("input[name=password]")).to_be_focused()
    picture(page, f"sign-in-again-{kind}")

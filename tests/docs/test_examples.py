"""Every file in examples/ is served by a real uvicorn, or run against one, and does what it says."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from holdfast.client import Session
from holdfast.protocol import endings

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PASSWORD = "correct horse battery staple"
EXPIRED = "Token expired. Please refresh the page to get a new token."
BANNED = "Session ended: revoked (banned)."


@pytest.mark.parametrize("name", ["jobs_fastapi.py", "jobs_starlette.py"])
def test_a_live_endpoint_outlives_its_tokens(serve, ending, name):
    app = serve(EXAMPLES / name, ACCESS_TOKEN_EXPIRE_MINUTES=3 / 60)
    tokens = app.sign_in()
    assert app.get("/whoami", tokens["access_token"]).json()["name"] == "ann"
    assert app.get("/whoami").status_code == 401
    with app.plain("/jobs", tokens["access_token"]) as socket:
        for number in range(2):
            before = tokens["access_token"]
            while tokens["access_token"] == before or app.get("/whoami", before).status_code == 200:
                tokens = app.refresh(tokens)
            socket.send(json.dumps(number))
            assert json.loads(socket.recv(timeout=20)) == {"echo": number}
    with app.plain("/jobs", before) as late:
        assert ending(late) == (4003, EXPIRED)


def test_progress_arrives_and_a_ban_closes_every_connection(serve, ending):
    app = serve(EXAMPLES / "jobs_fastapi.py")
    ann, root = app.sign_in()["access_token"], app.sign_in("root")["access_token"]
    with app.plain("/jobs/7", ann) as watching, app.plain("/jobs", ann) as talking:
        assert json.loads(watching.recv(timeout=20)) == {"job": 7, "progress": 0}
        assert app.post("/ban/ann", headers={"Authorization": f"Bearer {ann}"}).status_code == 403
        assert app.post("/ban/ann", headers={"Authorization": f"Bearer {root}"}).json() == {"banned": "ann"}
        assert ending(watching) == (4001, BANNED)
        assert ending(talking) == (4001, BANNED)
    assert app.get("/whoami", ann).status_code == 401


def test_an_app_with_users_of_its_own_has_sessions_that_refresh_and_end(serve, ending):
    app = serve(EXAMPLES / "own_users.py", people=False)
    wrong = {"name": "ann", "password": "guess"}
    assert app.post("/login", json=wrong).status_code == 401
    assert app.post("/login", json={"name": "nobody", "password": PASSWORD}).status_code == 401
    browser = app.post("/login", json={"name": "ann", "password": PASSWORD})
    assert "HttpOnly" in browser.headers["set-cookie"]
    assert "refresh_token" not in browser.json()
    tokens = app.post("/login", json={"name": "ann", "password": PASSWORD, "client": "program"}).json()
    root = app.post("/login", json={"name": "root", "password": PASSWORD, "client": "program"}).json()
    tokens = app.refresh(tokens)
    with app.plain("/jobs", tokens["access_token"]) as socket:
        socket.send("1")
        assert json.loads(socket.recv(timeout=20)) == {"echo": 1, "to": "ann"}
        app.post("/ban/ann", headers={"Authorization": f"Bearer {root['access_token']}"})
        assert ending(socket) == (4001, BANNED)
    assert app.post("/login", json={"name": "ann", "password": PASSWORD}).status_code == 403
    guess = {"username": "ann", "password": PASSWORD}
    assert app.post("/token", data=guess).status_code == 401, "accounts of the app have no password here"


def test_the_curl_line_of_own_users_signs_in(serve):
    app = serve(EXAMPLES / "own_users.py", people=False)
    text = (EXAMPLES / "own_users.py").read_text(encoding="utf-8")
    command = re.search(r"curl .*?/login", text, re.DOTALL).group()
    done = subprocess.run(
        command.replace("http://127.0.0.1:8000", app.url),
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["user"]["name"] == "ann"


def test_the_script_follows_a_job_to_its_end(serve):
    app = serve(EXAMPLES / "jobs_fastapi.py", ACCESS_TOKEN_EXPIRE_MINUTES=3 / 60)

    def run(password: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, EXAMPLES / "script_client.py", app.url, "ann"]
        environment = {"HOLDFAST_EXAMPLE_PASSWORD": password}
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    done = run(PASSWORD)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "'name': 'ann'" in lines[0]
    assert lines[-1] == "{'job': 42, 'progress': 100}"
    assert len(lines) == 22, "each step of the job once"
    assert "a new token" in done.stderr, "the job outlasts the token"
    wrong = run("guess")
    assert wrong.returncode == 1
    assert wrong.stderr.strip() == "The user name or the password is not right."


# The page without a library


@pytest.fixture(scope="module")
def tab(chromium_path: str) -> Page:
    flags = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=flags)
        yield browser.new_context().new_page()
        browser.close()


def test_the_plain_page_holds_through_tokens_a_reload_and_a_second_tab_until_the_ban(serve, tab):
    app = serve(EXAMPLES / "jobs_fastapi.py", ACCESS_TOKEN_EXPIRE_MINUTES=3 / 60)
    sockets = []
    tab.on("websocket", lambda socket: sockets.append(socket))  # noqa: PLW0108  # Playwright marks its handlers
    tab.goto(app.url)
    tab.fill("[name=username]", "ann")
    tab.fill("[name=password]", "wrong")
    tab.click("text=Sign in")
    expect(tab.locator("#status")).to_have_text("The user name or the password is not right.")
    tab.fill("[name=password]", PASSWORD)
    tab.click("text=Sign in")
    expect(tab.locator("#status")).to_have_text("connected")

    other = tab.context.new_page()
    other.goto(app.url)
    expect(other.locator("#status")).to_have_text("connected")
    for _ in range(4):  # four refreshes are more than two lifetimes
        with tab.expect_response("**/auth/refresh", timeout=30_000) as refreshed:
            pass
        assert refreshed.value.status == 200
    tab.fill("[name=text]", "still here")
    tab.click("text=Send")
    expect(tab.locator("#log")).to_contain_text('{"echo":{"text":"still here"}}')
    assert len(sockets) == 1, "the same socket all the while"

    tab.reload()
    expect(tab.locator("#status")).to_have_text("connected")
    root = app.sign_in("root")["access_token"]
    app.post("/ban/ann", headers={"Authorization": f"Bearer {root}"})
    expect(tab.locator("#status")).to_have_text("signed out: session_ended")
    expect(other.locator("#status")).to_have_text("signed out: session_ended")


JOBS = EXAMPLES / "jobs" / "app.py"
KEEP_SOCKETS = """
    window.sockets = [];
    window.WebSocket = class extends WebSocket {
        constructor(...how) {
            super(...how);
            window.sockets.push(this);
        }
    };
"""
CLOSE_AS = """([code, reason]) => {
    const socket = window.sockets.at(-1);
    const { onclose } = socket;
    socket.onclose = null;
    socket.close();
    onclose.call(socket, new CloseEvent("close", { code, reason }));
}"""


def sign_in(page: Page, url: str) -> None:
    page.add_init_script(KEEP_SOCKETS)
    page.goto(url)
    page.fill("[name=username]", "ann")
    page.fill("[name=password]", PASSWORD)
    page.click("text=Sign in")
    expect(page.locator("#status")).to_have_text("connected")


@pytest.mark.parametrize("file", [EXAMPLES / "jobs_fastapi.py", JOBS], ids=lambda file: file.stem)
def test_a_page_without_a_library_does_after_each_close_what_the_protocol_says(serve, tab, file):
    app = serve(file)
    page = tab.context.new_page()
    page.clock.install()
    sign_in(page, app.url)
    asked = []
    page.on("request", lambda request: asked.append(request.url.removeprefix(app.url)))
    for ending in (*endings.TABLE, endings.Ending(1006, "", endings.Action.RECONNECT)):
        sockets = page.evaluate("window.sockets.length")
        asked.clear()
        page.evaluate(CLOSE_AS, [ending.code, ending.reason])
        page.clock.run_for(61_000)  # longer than any backoff
        if ending.action is endings.Action.STOP:
            expect(page.locator("#status")).to_contain_text(f"closed: {ending.code}")
            assert asked == [], ending
            page.reload()
        else:
            page.wait_for_function("before => window.sockets.length > before", arg=sockets)
            assert ("/auth/refresh" in asked) == (ending.code in {4001, 4003, 4010}), ending
        expect(page.locator("#status")).to_have_text("connected")


# Jobs


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def start_job(app, token: str, **order: object) -> dict:
    answer = app.post("/jobs", json=order, headers=bearer(token))
    assert answer.status_code == 201, answer.text
    return answer.json()


def follow(socket, job: dict) -> dict:
    """What a page makes of a job and its channel: the job at its end."""
    while job["state"] == "running":
        event = json.loads(socket.recv(timeout=20))
        assert event["channel"] == f"job:{job['id']}"
        if event["offset"] <= job["position"]["offset"]:
            continue
        assert event["offset"] == job["position"]["offset"] + 1, "nothing is missing, nothing comes twice"
        log = [*job["log"], *event["data"].pop("log")]
        job = {**job, **event["data"], "log": log, "position": {**job["position"], "offset": event["offset"]}}
    return job


def test_a_job_and_its_channel_make_one_whole_at_any_moment(serve):
    app = serve(JOBS)
    token = app.sign_in()["access_token"]
    started = start_job(app, token, title="A report", seconds=3)
    assert (started["state"], started["progress"], started["log"]) == ("running", 0.0, ["started"])
    with ExitStack() as stack:
        followers = []
        for _ in range(5):  # each comes later than the one before
            socket = stack.enter_context(app.plain(f"/ws?channel=job:{started['id']}", token))
            socket.recv(timeout=20)
            followers.append((socket, app.get(f"/jobs/{started['id']}", token).json()))
        assert followers[-1][1]["state"] == "running"
        ends = [follow(*follower) for follower in followers]
    for end in ends:
        assert (end["state"], end["progress"], end["result"]) == ("done", 1.0, {"parts": 100})
        assert end["log"] == ["started", *(f"part {n} of 100" for n in range(1, 101)), "done"]
    assert app.get("/jobs", token).json() == [{"id": started["id"], "title": "A report", "state": "done"}]


def test_a_job_belongs_to_whoever_started_it_and_can_be_cancelled(serve):
    app = serve(JOBS)
    ann, root = app.sign_in()["access_token"], app.sign_in("root")["access_token"]
    job = start_job(app, ann, seconds=60)
    path, channel = f"/jobs/{job['id']}", f"channel=job:{job['id']}"
    assert app.get(path, root).status_code == 404
    assert app.post(f"{path}/cancel", headers=bearer(root)).status_code == 404
    assert app.get("/jobs", root).json() == []
    with app.plain(f"/ws?{channel}", root) as socket:
        refused = json.loads(socket.recv(timeout=20))
        assert (refused["type"], refused["code"]) == ("error", "forbidden")
    with app.plain(f"/ws?{channel}", ann) as socket:
        socket.recv(timeout=20)
        assert app.post(f"{path}/cancel", headers=bearer(ann)).status_code == 202
        end = follow(socket, app.get(path, ann).json())
    assert (end["state"], end["log"][-1]) == ("cancelled", "cancelled")
    assert app.post(f"{path}/cancel", headers=bearer(ann)).status_code == 202, "once more is harmless"


def test_the_page_of_jobs_shows_all_of_a_job_through_tokens_a_reload_and_a_gap(serve, tab):
    app = serve(JOBS, ACCESS_TOKEN_EXPIRE_MINUTES=3 / 60)
    page = tab.context.new_page()
    sign_in(page, app.url)
    page.fill("[name=title]", "The long one")
    page.click("text=Start")
    expect(page.locator("#log")).to_contain_text("part 1 of 100")
    page.reload()
    expect(page.locator("#title")).to_have_text("The long one")
    expect(page.locator("#mine")).to_have_text("The long one: running")
    expect(page.locator("#log")).to_contain_text("part 20 of 100", timeout=20_000)
    page.evaluate("window.sockets.at(-1).close()")
    expect(page.locator("#status")).to_contain_text("closed")
    expect(page.locator("#state")).to_have_text("done", timeout=60_000)
    lines = page.locator("#log").inner_text().splitlines()
    assert lines == ["started", *(f"part {n} of 100" for n in range(1, 101)), "done"]
    expect(page.locator("#mine")).to_have_text("The long one: done")
    expect(page.locator("#result")).to_contain_text('"parts": 100')
    assert page.evaluate("window.sockets.length") == 2, (
        "after the reload: one, and one for the one that was cut"
    )


def cut(page):
    """End the page's connection; one that is still being opened would count as a try that failed."""
    page.wait_for_function("window.sockets.at(-1).readyState === WebSocket.OPEN")
    page.evaluate("window.sockets.at(-1).close()")


def test_the_page_of_jobs_says_what_it_does_not_know(serve, tab):
    app = serve(JOBS)
    page = tab.context.new_page()
    urls = []
    page.on("websocket", lambda socket: urls.append(socket.url))
    sign_in(page, app.url)
    start = page.get_by_role("button", name="Start")
    state, trouble = page.locator("#state"), page.locator("#trouble")
    page.route("**/jobs", lambda route: route.abort())
    start.click()
    expect(page.locator("#status")).to_have_text("not started: the server cannot be reached")
    page.unroute("**/jobs")
    start.click()
    expect(page.locator("#log")).to_contain_text("part 1 of 100")

    for answer, said in (
        (lambda route: route.abort(), "May be out of date: the server cannot be reached."),
        (lambda route: route.fulfill(status=503), "May be out of date: the server has answered 503."),
        (
            lambda route: route.fulfill(status=401),
            "May be out of date: the server does not take your sign-in.",
        ),
    ):
        page.route("**/jobs/*", answer)
        cut(page)
        expect(trouble).to_have_text(said)
        expect(state).to_have_text("running")
        page.unroute("**/jobs/*")
        cut(page)
        expect(trouble).to_have_text("")

    app.crash()
    expect(trouble).to_have_text("May be out of date: the server has no such job, or not any more.")
    expect(state).to_have_text("unknown")
    expect(page.locator("#cancel")).to_be_hidden()
    expect(page.locator("#log")).to_contain_text("part 1 of 100")
    page.reload()
    expect(trouble).to_have_text("Not shown: the server has no such job, or not any more.")
    expect(page.locator("#job")).to_be_hidden()
    assert len(urls) >= 8
    for url in urls:
        assert "ticket=" in url
        assert "token=" not in url


def history_of(app, channel: str) -> list:
    async def read() -> list:
        async with Session(app.url) as session:
            await session.sign_in("root", PASSWORD)
            async with session.connect("/ws") as live:
                return [event.data for event in (await live.history(channel, limit=1_000)).publications]

    with ThreadPoolExecutor(1) as own_loop:  # Playwright keeps one running in this thread
        return own_loop.submit(asyncio.run, read()).result()


def test_a_program_publishes_jobs_that_anybody_can_make_whole(serve, environment):
    app = serve(EXAMPLES / "jobs" / "publish.py", command=("-m", "holdfast.cli", "serve"))
    done = subprocess.run(
        [sys.executable, EXAMPLES / "jobs" / "publish.py", app.url, "ann", "2"],
        env={**environment, "HOLDFAST_EXAMPLE_PASSWORD": PASSWORD},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    channels = done.stdout.split()
    index = {f"job:{entry['job']}": entry for entry in history_of(app, "job:index")}
    assert list(index) == channels
    assert [index[name]["state"] for name in channels] == ["done", "done", "failed"]
    report = history_of(app, channels[0])
    assert report[0].get("whole") is None
    assert report[1]["whole"], "whoever comes later finds all of it"
    assert report[-1]["whole"]
    assert (report[-1]["title"], report[-1]["progress"]) == ("Nightly report", 1.0)
    lines = [line["text"] for told in report if not told.get("whole") for line in told["log"]]
    assert lines == ["started", *(f"part {n} of 300" for n in range(1, 301)), "done"]
    assert [line["text"] for line in report[-1]["log"]] == lines[-200:]

"""Every Python block of every page runs: an app is served and driven, a script is run against a server, tests are run.

A comment above a block, `<!-- sample: name -->`, says which check of this file drives it. One that begins with
`compiled;` gives the reason why it cannot run here. A block without a comment is run as it stands.
"""

from __future__ import annotations

import ast
import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from holdfast.client import RequestError, Session

ROOT = Path(__file__).resolve().parents[2]
BANNED = (4001, "Session ended: revoked (banned).")
EXPIRED = (4003, "Token expired. Please refresh the page to get a new token.")
PASSWORD = "correct horse battery staple"
MINE = f"""
from types import SimpleNamespace


def handle(user, message):
    return {{"from": user, "echo": message}}


def jobs_of(user):
    return [f"a job of {{user}}"]


def authenticate_user(name, password):
    if (name, password) == ("ann", {PASSWORD!r}):
        return SimpleNamespace(id="17", username="ann", roles=["editor"])
"""
"""What a reader of docs/migrating.md has already."""


def say(socket: Any, message: object) -> object:
    socket.send(json.dumps(message))
    return json.loads(socket.recv(timeout=20))


def tell(app: Any, path: str, token: str) -> Any:
    return app.post(path, headers={"Authorization": f"Bearer {token}"})


# One check for each name


FAST_LANE = [
    *("--ws", "holdfast.asgi.fastlane:Protocol"),
    *("--http", "holdfast.asgi.fastlane:HttpProtocol"),
    *("--loop", "holdfast.asgi.fastlane:new_event_loop"),
]


def check_jobs(it: SimpleNamespace) -> None:
    assert f"\nuvicorn app:app {' '.join(FAST_LANE)}\n" in it.text, "it is started in another way here"
    command = ("-m", "uvicorn", "{module}:app", *FAST_LANE)
    app = it.serve(it.code, command=command, ACCESS_TOKEN_EXPIRE_MINUTES=3 / 60)
    tokens = app.sign_in()
    first = tokens["access_token"]
    with app.plain("/jobs", first) as socket:
        while app.get("/auth/me", first).status_code == 200:
            tokens = app.refresh(tokens)
            assert say(socket, {"n": 1}) == {"echo": {"n": 1}}
        app.refresh(tokens)
        assert say(socket, {"n": 2}) == {"echo": {"n": 2}}
    with app.plain("/jobs", first) as late:
        assert it.ending(late) == EXPIRED


def check_ban(it: SimpleNamespace) -> None:
    app = it.serve(it.code)
    ann, root = app.sign_in()["access_token"], app.sign_in("root")["access_token"]
    with app.plain("/ws", ann) as socket:
        assert app.post("/ban/ann").status_code == 401
        assert app.post("/ban/ann", headers={"Authorization": f"Bearer {ann}"}).status_code == 403
        assert app.post("/ban/ann", headers={"Authorization": f"Bearer {root}"}).status_code == 200
        assert it.ending(socket) == BANNED


def check_progress(it: SimpleNamespace) -> None:
    app = it.serve(it.code)
    ann, root = app.sign_in()["access_token"], app.sign_in("root")["access_token"]
    watching, closed = (app.plain("/ws?channel=job:42", token) for token in (root, ann))
    with watching as socket, closed as other:
        assert json.loads(other.recv(timeout=20))["code"] == "forbidden"
        assert tell(app, "/jobs/42/progress?percent=7", ann).status_code == 403
        assert app.post("/jobs/42/progress?percent=7").status_code == 401
        assert tell(app, "/jobs/42/progress?percent=7", root).json() == {"offset": 1}
        assert json.loads(socket.recv(timeout=20)) == {
            "channel": "job:42",
            "offset": 1,
            "data": {"percent": 7},
        }


def check_starlette(it: SimpleNamespace) -> None:
    app = it.serve(it.code)
    token = app.sign_in()["access_token"]
    assert app.get("/whoami", token).json() == {"name": "ann"}
    assert app.get("/whoami").status_code == 401
    with app.plain("/jobs", token) as socket:
        assert say(socket, 1) == {"echo": 1}


def check_on_message(it: SimpleNamespace) -> None:
    app = it.serve(it.code)
    with app.plain("/ws", app.sign_in()["access_token"]) as socket:
        assert say(socket, 1) == {"to": "ann", "echo": 1}


def check_script(it: SimpleNamespace) -> None:
    """Against the sample next to it."""
    app = it.serve(it.sample("on message"))
    script = f"{it.code}\nasyncio.run(main({app.url!r}, 'ann', {PASSWORD!r}))\n"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "{'to': 'ann', 'echo': {'hello': 1}}\n", done.stderr


def check_rooms(it: SimpleNamespace) -> None:
    it.serve(it.code)


def check_rooms_script(it: SimpleNamespace) -> None:
    """Against the sample next to it."""
    app = it.serve(it.sample("rooms"))
    script = f"{it.code}\nasyncio.run(main({app.url!r}, 'ann', {PASSWORD!r}))\n"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    said = "{'say': 'hello'}"
    assert done.stdout == f"1 {said}\n[{said}] False\n['ann']\n", done.stderr


def check_migrated(it: SimpleNamespace) -> None:
    (it.home / "mine.py").write_text(MINE, encoding="utf-8")
    (it.home / "app.py").write_text(it.code, encoding="utf-8")
    app = it.serve(it.home / "app.py")
    token = app.sign_in()["access_token"]
    assert app.get("/jobs", token).json() == ["a job of ann"]
    refused = app.get("/jobs", "nonsense")
    assert (refused.status_code, refused.json()["detail"]["code"]) == (401, "invalid_token")
    with app.plain("/ws", token) as socket:
        assert say(socket, 1) == {"from": "ann", "echo": 1}


def check_own_sign_in(it: SimpleNamespace) -> None:
    (it.home / "mine.py").write_text(MINE, encoding="utf-8")
    (it.home / "app.py").write_text(it.code, encoding="utf-8")
    app = it.serve(it.home / "app.py", people=False)
    assert app.post("/login", json={"username": "ann", "password": "guess"}).status_code == 401
    answer = app.post("/login", json={"username": "ann", "password": PASSWORD})
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert app.get("/auth/me", answer.json()["access_token"]).json()["roles"] == ["editor"]


def check_readyz(it: SimpleNamespace) -> None:
    answer = it.serve(it.code).get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"problems": {}})


def check_backup(it: SimpleNamespace) -> None:
    app = it.serve(it.sample("readyz"))
    tokens = app.sign_in()
    target = it.home / "copy"
    target.mkdir()
    (app.home / "data" / "keys.json").touch(mode=0o600)
    names: dict[str, Any] = {}
    exec(compile(it.code, it.where, "exec"), names)
    names["back_up"](app.home / "data", target)
    assert (target / "keys.json").stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(target / "holdfast.db")) as copy:
        assert copy.execute("SELECT id FROM holdfast_session").fetchall() == [(tokens["session_id"],)]


def check_test(it: SimpleNamespace) -> None:
    """A block of tests, with the app of its page as `myapp`."""
    (it.home / "myapp.py").write_text(it.sample("testing app"), encoding="utf-8")
    (it.home / "test_it.py").write_text(it.code, encoding="utf-8")
    settings = ["asyncio_mode=auto", "asyncio_default_fixture_loop_scope=function", "pythonpath=."]
    options = [part for setting in settings for part in ("-o", setting)]
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *options]
    done = subprocess.run(
        command, cwd=it.home, env=it.environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def check_channels(it: SimpleNamespace) -> None:
    app = it.serve(it.code)
    ann, root = app.sign_in()["access_token"], app.sign_in("root")["access_token"]
    with app.plain("/ws?channel=order:17", root) as other:
        assert json.loads(other.recv(timeout=20))["code"] == "forbidden"
    with app.plain("/ws?channel=order:17", ann) as mine:
        assert app.post("/orders/17/ship", headers={"Authorization": f"Bearer {ann}"}).status_code == 403
        shipped = app.post("/orders/17/ship", headers={"Authorization": f"Bearer {root}"})
        assert shipped.json() == {"offset": 1}
        event = {"channel": "order:17", "offset": 1, "data": {"state": "shipped"}}
        assert json.loads(mine.recv(timeout=20)) == event


def check_channel_rules(it: SimpleNamespace) -> None:
    """Whom they ban reads and sees who is there, but does not publish."""
    app = it.serve(it.code)

    async def seen_by_root() -> tuple[list[str], str]:
        async with Session(app.url) as session:
            await session.sign_in("root", PASSWORD)
            async with session.connect("/ws") as live, live.subscribe("room:hall", presence=True) as room:
                await room.subscribed()
                with pytest.raises(RequestError) as refused:
                    await live.publish("room:hall", "spam")
                there = [member.name for member in await live.presence("room:hall")]
        return there, refused.value.refusal

    with ThreadPoolExecutor(1) as own_loop:  # Playwright keeps one running in this thread
        assert own_loop.submit(asyncio.run, seen_by_root()).result() == (["root"], "forbidden")


def check_channel_script(it: SimpleNamespace) -> None:
    """Against the rules next to it."""
    app = it.serve(it.sample("channel rules"))
    script = f"{it.code}\nasyncio.run(main({app.url!r}, 'ann', {PASSWORD!r}))\n"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=it.environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout == "1 hello from a script False\n", done.stderr


def check_channel_snapshot(it: SimpleNamespace) -> None:
    app = it.serve(it.code)
    ann, root = app.sign_in()["access_token"], app.sign_in("root")["access_token"]
    with app.plain("/ws?channel=match:score", ann) as socket:
        assert tell(app, "/goal/home", ann).status_code == 403
        for side in ("home", "away", "home"):
            assert tell(app, f"/goal/{side}", root).status_code == 200
        told = [json.loads(socket.recv(timeout=20)) for _ in range(3)]
    shown = app.get("/score").json()
    assert shown["score"] == {"home": 2, "away": 1}
    assert [one["data"] for one in told] == [{"home": 1}, {"away": 1}, {"home": 2}]
    assert shown["position"]["offset"] == told[-1]["offset"]


def check_by_running(it: SimpleNamespace) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", it.code],
        cwd=it.home, env=it.environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


CHECKS: dict[str | None, Callable[[SimpleNamespace], None]] = {
    None: check_by_running,
    "ban": check_ban,
    "backup": check_backup,
    "channel rules": check_channel_rules,
    "channel script": check_channel_script,
    "channel snapshot": check_channel_snapshot,
    "channels": check_channels,
    "progress": check_progress,
    "jobs": check_jobs,
    "migrated": check_migrated,
    "on message": check_on_message,
    "own sign-in": check_own_sign_in,
    "readyz": check_readyz,
    "rooms": check_rooms,
    "rooms script": check_rooms_script,
    "script": check_script,
    "starlette": check_starlette,
    "testing app": check_by_running,
    "testing broker": check_test,
    "testing channels": check_test,
    "testing clock": check_test,
    "testing logs": check_test,
    "testing store": check_test,
    "testing tests": check_test,
}


def test_the_sample_does_what_its_page_says(
    python_block: Any,
    all_blocks: list[Any],
    serve: Any,
    ending: Any,
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    name = python_block.name
    if name is not None and name.startswith("compiled;"):
        ast.parse(python_block.code, python_block.where)
        return
    home = tmp_path / "sample"
    home.mkdir()

    def sample(wanted: str) -> str:
        return next(
            block.code for block in all_blocks if (block.page, block.name) == (python_block.page, wanted)
        )

    text = (ROOT / python_block.page).read_text(encoding="utf-8")
    it = SimpleNamespace(
        code=python_block.code, where=python_block.where, text=text, home=home,
        serve=serve, ending=ending, environment=environment, sample=sample,
    )  # fmt: skip
    CHECKS[name](it)


def test_every_check_has_a_sample(all_blocks: list[Any]) -> None:
    assert {block.name for block in all_blocks} >= {name for name in CHECKS if name is not None}


def test_the_readmes_have_the_same_samples(all_blocks: list[Any]) -> None:
    """Comments may be in another language; the code may not be another."""
    trees = {
        page: [(block.name, ast.dump(ast.parse(block.code))) for block in all_blocks if block.page == page]
        for page in ("README.md", "README.ru.md")
    }
    assert trees["README.md"]
    assert trees["README.md"] == trees["README.ru.md"]


def test_the_first_sample_of_the_readme_is_not_far_down(all_blocks: list[Any]) -> None:
    for page in ("README.md", "README.ru.md"):
        first = next(block for block in all_blocks if block.page == page)
        assert first.line + first.code.count("\n") <= 35


@pytest.mark.parametrize("code", ["raise ValueError", "import nothing_of_that_name"])
def test_a_sample_that_fails_is_noticed(code: str, environment: dict[str, str], tmp_path: Path) -> None:
    it = SimpleNamespace(code=code, home=tmp_path, environment=environment)
    with pytest.raises(AssertionError):
        check_by_running(it)

"""Many processes on one SQLite file, and processes that die in the middle of a refresh."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from holdfast.core.policy import SessionPolicy
from holdfast.core.rotation import Outcome
from holdfast.ports import SessionStatus
from holdfast.stores import SqlStore
from holdfast.testing.store_suite.samples import ANN, NOW, a_session

PROGRAM = Path(__file__).with_name("refresher.py")
POLICY = SessionPolicy(rotation_window=10.0, idle_lifetime=1e9, absolute_lifetime=1e9)
PROCESSES = 8
ROUNDS = 200
KILLS = 50


class Refresher:
    """One process, told what to do and asked what came of it."""

    def __init__(self, url: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def tell(self, *words: object) -> None:
        assert self.process.stdin
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line.endswith("\n"), "the process is gone"
        return line.strip()

    def close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe
            pipe.close()
        self.process.wait()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path}/holdfast.db"


@pytest.fixture
def start_processes(url: str) -> Iterator[Callable[[int], list[Refresher]]]:
    with ExitStack() as stack:

        def start(count: int) -> list[Refresher]:
            every = [Refresher(url) for _ in range(count)]
            for one in every:
                stack.callback(one.close)
            assert [one.hear() for one in every] == ["ready"] * count
            return every

        yield start


async def a_store_with_a_session(url: str) -> SqlStore:
    store = SqlStore(url)
    await store.start()
    await store.add_user(ANN)
    opened = a_session(idle_expires_at=NOW + 1e9, absolute_expires_at=NOW + 1e9)
    await store.open_session(opened, now=NOW)
    return store


async def test_eight_processes_refresh_one_session_at_once(
    url: str, start_processes: Callable[[int], list[Refresher]]
) -> None:
    """They also start at once on a file that does not exist yet."""
    every = start_processes(PROCESSES)
    for one in every:
        one.tell("start")
    assert [one.hear() for one in every] == ["started"] * PROCESSES

    store = await a_store_with_a_session(url)
    for generation in range(1, ROUNDS + 1):
        for one in every:
            one.tell("refresh", generation, NOW + 20 * generation)
        answers = sorted(one.hear() for one in every)
        again = f"replayed {generation + 1}"
        assert answers == [again] * (PROCESSES - 1) + [f"rotated {generation + 1}"]

    session = await store.session("s-1")
    assert session is not None
    assert (session.status, session.generation) == (SessionStatus.ACTIVE, ROUNDS + 1)
    await store.aclose()


async def test_a_session_outlives_every_process_that_is_killed_while_refreshing_it(
    url: str, tmp_path: Path, start_processes: Callable[[int], list[Refresher]]
) -> None:
    """An honest client comes back with the last generation that it was handed."""
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")
    chance = random.Random(seed)
    store = await a_store_with_a_session(url)
    (zygote,) = start_processes(1)
    known = 1
    for kill in range(1, KILLS + 1):
        now = NOW + 100_000 * kill
        zygote.tell("run", known, now)
        child = int(zygote.hear())
        for _ in range(chance.randint(0, 5)):
            known = int(zygote.hear())
        until = time.perf_counter() + chance.uniform(0, 0.003)
        while time.perf_counter() < until:  # no wait for anything: the moment of death is drawn by lot
            pass
        os.kill(child, signal.SIGKILL)
        while (heard := zygote.hear()) != "dead":
            known = int(heard)

        answer = await store.rotate(
            "s-1", known, now=now + 90_000, policy=POLICY, kid="k1", access_expires_at=now + 90_060
        )
        assert answer.decision.outcome in (Outcome.ROTATE, Outcome.REPLAY)
        assert answer.session is not None
        assert answer.session.generation == known + 1
        known = answer.session.generation

    await store.aclose()
    with sqlite3.connect(tmp_path / "holdfast.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()

"""A process of its own for test_sql_concurrency: refreshes one session of a store when told to, line by line.

start               open the store, answer "started"
refresh GEN NOW     present a generation, answer "OUTCOME GENERATION"
run GEN NOW         in a fork: go on refreshing, one "GENERATION" per answer, until killed; then "dead"
"""

import asyncio
import os
import sys

from holdfast.core.policy import SessionPolicy
from holdfast.ports import Rotated
from holdfast.stores import SqlStore

SID = "s-1"
POLICY = SessionPolicy(rotation_window=10.0, idle_lifetime=1e9, absolute_lifetime=1e9)


async def refresh(store: SqlStore, generation: int, now: float) -> Rotated:
    return await store.rotate(SID, generation, now=now, policy=POLICY, kid="k1", access_expires_at=now + 60)


def say(what: object) -> None:
    os.write(sys.stdout.fileno(), f"{what}\n".encode())


async def refresh_until_killed(url: str, generation: int, now: float) -> None:
    store = SqlStore(url)
    await store.start()
    while True:
        now += 20
        session = (await refresh(store, generation, now)).session
        assert session is not None
        generation = session.generation
        say(generation)


def run_in_fork(url: str, generation: int, now: float) -> None:
    """Importing takes longer than dying, so this process stays and its children die."""
    child = os.fork()
    if child == 0:
        asyncio.run(refresh_until_killed(url, generation, now))
    say(child)
    os.waitpid(child, 0)
    say("dead")


def main(url: str) -> None:
    with asyncio.Runner() as runner:
        store = SqlStore(url)
        say("ready")
        for line in sys.stdin:
            match line.split():
                case ["start"]:
                    runner.run(store.start())
                    say("started")
                case ["refresh", generation, now]:
                    answer = runner.run(refresh(store, int(generation), float(now)))
                    handed = answer.session.generation if answer.session else None
                    say(f"{answer.decision.outcome} {handed}")
                case ["run", generation, now]:
                    run_in_fork(url, int(generation), float(now))
        runner.run(store.aclose())


if __name__ == "__main__":
    main(sys.argv[1])

"""Holdfast beside the FastAPI and PyJWT endpoint that people write by hand: run it with `make bench`.

    python benchmarks/bench.py [--rounds 5] [--only handshakes,refreshes,echoes,memory,revocations]

Figures are medians of rounds in which the subjects take turns. `x` is the ratio to the tutorial within a round: the
only number to compare between machines.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

import uvloop
from measures import echoes, handshakes, memory, refreshes, revocations
from servers import Servers

MEASURES: dict[str, Callable[[Servers, int], Awaitable[str]]] = {
    "handshakes": handshakes,
    "refreshes": refreshes,
    "echoes": echoes,
    "memory": memory,
    "revocations": revocations,
}
BUILD = Path(__file__).parent.parent / "build"
OPEN_FILES = 4_096
PATIENCE = 120
"""Seconds for one measure, after which something hangs."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Holdfast beside a hand-written endpoint.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(MEASURES), help="which, comma separated")
    given = parser.parse_args()
    wanted = given.only.split(",")
    if unknown := set(wanted) - set(MEASURES):
        parser.error(f"no such measure: {', '.join(sorted(unknown))}; there are {', '.join(MEASURES)}")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = OPEN_FILES if most == resource.RLIM_INFINITY else min(OPEN_FILES, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))
    gc.freeze()
    uvloop.run(run(wanted, given.rounds))


async def run(wanted: list[str], rounds: int) -> None:
    BUILD.mkdir(exist_ok=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=BUILD) as home:
        print(f"{os.cpu_count()} cores, Python {platform.python_version()} on {sys.platform}; ", end="")
        print(f"fsync {fsync_ms(Path(home)):.2f} ms; {rounds} rounds", flush=True)
        for name in wanted:
            servers = Servers(Path(home))
            try:
                async with asyncio.timeout(PATIENCE):
                    print(f"\n{await MEASURES[name](servers, rounds)}", flush=True)
            finally:
                await asyncio.to_thread(servers.stop_all)
    print(f"\n{time.monotonic() - started:.0f} s in all")


def fsync_ms(home: Path) -> float:
    """How long this disk takes to keep 4 KB."""
    taken = []
    with (home / "fsync").open("wb", buffering=0) as file:
        for _ in range(50):
            started = time.perf_counter()
            file.write(bytes(4096))
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - started)
    return median(taken) * 1000


if __name__ == "__main__":
    main()

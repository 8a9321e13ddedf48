"""Starts uvicorn as often as it is asked to, within a moment: everything is imported once, and each server is a fork.

A line of JSON on stdin, `{"environment", "arguments", "home", "log"}`, is answered with the pid of a server.
When there is no more to come, it ends those that are left.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from pathlib import Path

import fastapi  # noqa: F401  # so that no fork has to import it
import uvicorn.main

import holdfast.hold
import holdfast.server.app  # noqa: F401  # the same


def main() -> None:
    os.setpgrp()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks, so they must leave no zombies
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            become(order)
        print(pid, flush=True)
    # As a group, not one by one: the number of one that has ended long ago may be a stranger's by now.
    os.killpg(0, signal.SIGKILL)


def become(order: dict) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(0)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["home"])
    sys.path.insert(0, str(Path(__file__).parent))
    try:
        uvicorn.main.main(order["arguments"], standalone_mode=False)
    except BaseException:
        traceback.print_exc()  # or nobody would ever learn of it
        raise
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


if __name__ == "__main__":
    main()

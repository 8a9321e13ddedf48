"""The servers under test: uvicorn, each in a process of its own, and what the kernel says they use."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
START_DEADLINE = 30.0
SETTINGS = (
    "--loop",
    "uvloop",
    "--http",
    "httptools",
    "--ws",
    "websockets-sansio",
    "--timeout-keep-alive",
    "120",
)
"""Kept-alive connections wait for their next turn."""
WITHOUT_DEFLATE = ("--ws-per-message-deflate", "false")


@dataclass(frozen=True)
class Server:
    """A running uvicorn."""

    port: int
    process: subprocess.Popen[bytes]

    def cpu_seconds(self) -> float | None:
        """CPU time of all its threads; `None` where there is no /proc. Other programs' load does not show in it."""
        try:
            tasks = list(Path(f"/proc/{self.process.pid}/task").iterdir())
            return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
        except OSError:
            return None

    def memory_kb(self) -> float | None:
        """What it has in memory of its own and shared; `None` where there is no /proc."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return None
        return next(float(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Servers:
    """Starts servers, and stops all of them in the end."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._running: list[Server] = []
        self._secret = secrets.token_urlsafe(48)

    def start(
        self,
        app: str,
        settings: Mapping[str, object] | None = None,
        *,
        deflate: bool = False,
        data: str | None = None,
    ) -> Server:
        """Start one and wait until it listens; `data` names its data directory, to share one."""
        port = _free_port()
        name = data or f"{app}-{port}"
        (self.home / name).mkdir(exist_ok=True)
        ours = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
        environment = {
            **ours,
            "SECRET_KEY": self._secret,
            "HOLDFAST_DATA_DIR": str(self.home / name),
            "TUTORIAL_DIR": str(self.home / name),
            **{key: str(value) for key, value in (settings or {}).items()},
        }
        options = SETTINGS if deflate else SETTINGS + WITHOUT_DEFLATE
        command = [sys.executable, "-m", "uvicorn", f"{app}:app", "--port", str(port), *options]
        with (self.home / f"{app}-{port}.log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603  # our own apps, named above
                command, cwd=HERE, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        server = Server(port, process)
        self._running.append(server)
        _wait_for(server, self.home / f"{app}-{port}.log")
        return server

    def stop(self, server: Server) -> None:
        self._running.remove(server)
        server.stop()

    def stop_all(self) -> None:
        for server in list(self._running):
            self.stop(server)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _wait_for(server: Server, log: Path) -> None:
    deadline = time.monotonic() + START_DEADLINE
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", server.port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"a server did not start:\n{log.read_text()}")

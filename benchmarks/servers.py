"""Servers in processes of their own, on a core of their own, and what the kernel says they use."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from subjects import Subject

HERE = Path(__file__).parent
START_DEADLINE = 30.0
STOP_PATIENCE = 5.0
REALTIME_PRIORITY = 5
UVICORN = (
    "--loop",
    "uvloop",
    "--http",
    "httptools",
    "--ws",
    "websockets-sansio",
    "--timeout-keep-alive",  # kept-alive connections wait for their next turn
    "120",
    "--ws-per-message-deflate",
    "false",
)


class NotStartedError(Exception):
    """A server did not come up; says what it wrote last."""


@dataclass(frozen=True)
class Cores:
    """Where what runs; both the same on a machine with one core, or none where nothing can be pinned."""

    server: int | None
    load: int | None
    realtime: bool = False
    """What is measured runs before everything else on the machine. Only root may."""

    @classmethod
    def of_this_machine(cls, *, realtime: bool = False) -> Cores:
        if not hasattr(os, "sched_getaffinity"):
            return cls(None, None)
        allowed = sorted(os.sched_getaffinity(0))
        return cls(allowed[-1], allowed[0], realtime)

    @contextmanager
    def _placed(self, core: int | None) -> Iterator[None]:
        """What is started in here inherits the core and the priority."""
        if core is None:
            yield
            return
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {core})
        if self.realtime:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(REALTIME_PRIORITY))
        try:
            yield
        finally:
            if self.realtime:
                os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
            os.sched_setaffinity(0, before)

    def beside_server(self) -> None:
        """Keep this process, which measures in Python, off the server's core."""
        if self.load is not None:
            os.sched_setaffinity(0, {self.load})

    def start_server(self, command: Sequence[str], **options: object) -> subprocess.Popen[bytes]:
        with self._placed(self.server):
            return subprocess.Popen(command, **options)  # type: ignore[call-overload,no-any-return]  # noqa: S603

    def start_load(self, command: Sequence[str], **options: object) -> subprocess.Popen[bytes]:
        with self._placed(self.load):
            return subprocess.Popen(command, **options)  # type: ignore[call-overload,no-any-return]  # noqa: S603


@dataclass(frozen=True)
class Server:
    """A server that runs."""

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
        """Its share of what it has in memory (PSS); `None` where there is no /proc."""
        return self._kb("smaps_rollup", "Pss:")

    def forget_peak(self) -> None:
        """From here on `peak_kb` is counted anew."""
        try:
            Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        except OSError:
            return

    def peak_kb(self) -> float | None:
        """The most that it had in memory (RSS)."""
        return self._kb("status", "VmHWM:")

    def resident_kb(self) -> float | None:
        """What it has in memory (RSS)."""
        return self._kb("status", "VmRSS:")

    def pause(self) -> None:
        """Stop it where it is, so that it takes no time from what is measured."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self.resume()
        self.process.terminate()
        try:
            self.process.wait(STOP_PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _kb(self, file: str, name: str) -> float | None:
        try:
            lines = Path(f"/proc/{self.process.pid}/{file}").read_text().splitlines()
        except OSError:
            return None
        return next((float(line.split()[1]) for line in lines if line.startswith(name)), None)


class Servers:
    """Starts servers, and stops all of them in the end."""

    def __init__(self, home: Path, build: Path, cores: Cores) -> None:
        self.home = home
        self.secret = secrets.token_urlsafe(48)
        self._build = build
        self._cores = cores
        self._running: list[Server] = []

    def start(self, subject: Subject) -> Server:
        """Start one of the subjects, and wait until it listens.

        Raises:
            NotStartedError: it does not.
        """
        port = _free_port()
        data = self._directory(f"{subject.name}-{port}")
        words = {"port": str(port), "build": str(self._build), "data": str(data)}
        command = [word.format(**words) for word in subject.command]
        # The peers have interpreters and packages of their own, which PYTHONPATH would mix with ours.
        hidden = ("PYTHONPATH",) if subject.kit else ()
        return self._start(command, port, data, subject.environment, hidden)

    def start_uvicorn(
        self, app: str, settings: Mapping[str, object] | None = None, *, data: str | None = None
    ) -> Server:
        """Start an app of this directory; `data` names its data directory, to share one."""
        port = _free_port()
        command = [sys.executable, "-m", "uvicorn", f"{app}:app", "--port", str(port), *UVICORN]
        given = {name: str(value) for name, value in (settings or {}).items()}
        return self._start(command, port, self._directory(data or f"{app}-{port}"), given)

    def stop(self, server: Server) -> None:
        self._running.remove(server)
        server.stop()

    def stop_all(self) -> None:
        for server in list(self._running):
            self.stop(server)

    def _directory(self, name: str) -> Path:
        path = self.home / name
        path.mkdir(exist_ok=True)
        return path

    def _start(
        self,
        command: Sequence[str],
        port: int,
        data: Path,
        given: Mapping[str, str],
        hidden: Sequence[str] = (),
    ) -> Server:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("HOLDFAST_") and name not in hidden
        }
        environment = {
            **kept,
            "SECRET_KEY": self.secret,
            "HOLDFAST_DATA_DIR": str(data),
            "TUTORIAL_DIR": str(data),
            **given,
        }
        log = self.home / f"{data.name}-{port}.log"
        with log.open("wb") as out:
            process = self._cores.start_server(
                command, cwd=HERE, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        server = Server(port, process)
        self._running.append(server)
        try:
            _wait_for(server, log)
        except NotStartedError:
            self.stop(server)
            raise
        return server


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _wait_for(server: Server, log: Path) -> None:
    deadline = time.monotonic() + START_DEADLINE
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", server.port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    last = log.read_text(errors="replace").strip().splitlines() or ["without a word"]
    raise NotStartedError(f"did not start: {last[-1][:200]}")

from __future__ import annotations

import contextlib
import logging
import os
import queue
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import structlog
from argon2.profiles import CHEAPEST
from typer.testing import CliRunner

from holdfast.cli.main import app
from holdfast.sessions.passwords import Passwords
from holdfast.settings import Settings, env_name

DEADLINE = 60.0


def clean_environment(**added: str) -> dict[str, str]:
    """This machine's environment without its settings for Holdfast."""
    ours = {env_name(field) for field in Settings.model_fields}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return {**kept, "COLUMNS": "200", "PYTHONUNBUFFERED": "1", **added}


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


class Command:
    """Runs `holdfast` in this process, in a directory of its own, without the price of argon2id."""

    def __call__(self, *arguments: str, stdin: str = "", **environment: str) -> Done:
        ended = CliRunner().invoke(app, arguments, input=stdin, env=environment, prog_name="holdfast")
        if ended.exception is not None and not isinstance(ended.exception, SystemExit):
            raise ended.exception
        return Done(ended.exit_code, ended.stdout, ended.stderr)


class Process:
    """Runs `holdfast` as its users do: in a process of its own."""

    def __init__(self, where: Path) -> None:
        self.where = where

    def __call__(self, *arguments: str, stdin: str = "", **environment: str) -> Done:
        completed = subprocess.run(
            [sys.executable, "-W", "error", "-m", "holdfast.cli", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=self.where,
            env=clean_environment(**environment),
            timeout=DEADLINE,
            check=False,
        )
        return Done(completed.returncode, completed.stdout, completed.stderr)


class Serving:
    """A running `holdfast serve`, with what it has printed so far."""

    def __init__(self, where: Path, *arguments: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "holdfast.cli", "serve", "--port", "0", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=where,
            env=clean_environment(**environment),
        )
        self.out: list[str] = []
        self.err: list[str] = []
        self._news: queue.Queue[None] = queue.Queue()
        self._readers = [
            threading.Thread(target=self._read, args=(stream, lines), daemon=True)
            for stream, lines in ((self.process.stdout, self.out), (self.process.stderr, self.err))
        ]
        for reader in self._readers:
            reader.start()

    @property
    def url(self) -> str:
        """Where it listens, once it has said so."""
        return self.wait_for(r"Holdfast is ready: (http://\S+)")

    @property
    def text(self) -> str:
        return "".join(self.out) + "".join(self.err)

    def wait_for(self, pattern: str) -> str:
        """The first group of what it prints, as soon as it has."""
        until = time.monotonic() + DEADLINE
        while time.monotonic() < until:
            found = re.search(pattern, self.text)
            if found:
                return found[1]
            assert self.process.poll() is None or any(reader.is_alive() for reader in self._readers), (
                self.text
            )
            with contextlib.suppress(queue.Empty):
                self._news.get(timeout=0.1)
        raise AssertionError(f"{pattern!r} was not printed: {self.text}")

    def end(self, *signals: int) -> int:
        """Send these and wait; the exit code."""
        for sent in signals:
            self.process.send_signal(sent)
        code = self.process.wait(DEADLINE)
        for reader in self._readers:
            reader.join(DEADLINE)
        return code

    def _read(self, stream: Iterator[str], lines: list[str]) -> None:
        for line in stream:
            lines.append(line)
            self._news.put(None)


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """Commands in this process, whose logging and environment are put back."""
    for field in Settings.model_fields:
        monkeypatch.delenv(env_name(field), raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("holdfast.sessions.service.Passwords", partial(Passwords, profile=CHEAPEST))
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield Command()
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@pytest.fixture
def process(tmp_path: Path) -> Process:
    return Process(tmp_path)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    """Start servers; whatever still runs at the end is ended."""
    started: list[Serving] = []

    def start(*arguments: str, **environment: str) -> Serving:
        started.append(Serving(tmp_path, *arguments, **environment))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.end()
        for stream in (one.process.stdout, one.process.stderr):
            assert stream is not None
            stream.close()

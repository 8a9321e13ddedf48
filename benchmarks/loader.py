"""The load generator as its leader sees it: commands in, answers out."""

from __future__ import annotations

import json
import select
import subprocess
from pathlib import Path
from typing import Any

from servers import Cores, Server
from subjects import CHANNEL, Subject

PATIENCE = 60.0
"""Seconds that an answer may be late, on top of the time that its command takes."""


class LoadError(Exception):
    """A scene could not go on; says why."""


class Load:
    """One load generator, in front of one server."""

    def __init__(
        self, subject: Subject, server: Server, *, program: Path, tokens: Path, publisher: Path, cores: Cores
    ) -> None:
        command = [str(program), "--port", str(server.port), "--pid", str(server.process.pid)]
        command += ["--wire", subject.wire, "--path", subject.path, "--channel", CHANNEL]
        command += ["--publisher-wire", subject.publisher_wire or subject.wire]
        command += ["--publisher-path", subject.publisher_path or subject.path]
        command += ["--tokens", str(tokens), "--publisher-token", str(publisher)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._process = cores.start_load(command, **pipes)

    def ask(self, command: str, *, seconds: float = 0.0) -> dict[str, Any]:
        """The answer to a command that takes so many seconds.

        Raises:
            LoadError: it cannot go on, or does not answer.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(f"{command}\n".encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            raise LoadError("the load generator is gone") from None
        ready, _, _ = select.select([self._process.stdout], [], [], seconds + PATIENCE)
        if not ready:
            raise LoadError(f"no answer to {command!r} within {seconds + PATIENCE:.0f} s")
        answer: dict[str, Any] = json.loads(self._process.stdout.readline() or '{"error": "it ended"}')
        if "error" in answer:
            raise LoadError(answer["error"])
        return answer

    def close(self) -> None:
        """Reset all connections."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
            self._process.wait(5)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

"""Keys in the data directory: one JSON file, readable by its owner only, replaced as a whole or not at all."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from holdfast.errors import ConfigurationError

VERSION = 1

Stamp = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """One key as it is kept. What it may do at a given time follows from these times alone."""

    algorithm: str
    text: str = field(repr=False)
    """A secret, or a private key as PEM."""
    created_at: float
    signs_from: float
    retires_at: float | None = None
    """From then on no live token can bear its signature."""
    forget_at: float | None = None
    """From then on nothing at all can depend on it, and the next write drops it."""


Records = tuple[KeyRecord, ...]


class KeyFile:
    """The file `keys.json` of a data directory. Records are in the order of their making."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / "keys.json"

    def read(self) -> tuple[Records, Stamp | None]:
        """What is kept, and a stamp that changes with the file; nothing and `None` if there is no file.

        Raises:
            ConfigurationError: it cannot be read, is damaged, or others may read it.
        """
        try:
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                data = file.read()
        except FileNotFoundError:
            return (), None
        except OSError as error:
            raise ConfigurationError(f"cannot read {self.path}: {error.strerror}") from None
        if os.name == "posix" and status.st_mode & 0o077:
            raise ConfigurationError(f"others can read the keys in {self.path}; run: chmod 600 {self.path}")
        return self._parse(data), _stamp(status)

    def stamp(self) -> Stamp | None:
        """The present stamp, without reading; `None` if the file cannot be seen."""
        try:
            return _stamp(self.path.stat())
        except OSError:
            return None

    def update(self, change: Callable[[Records], Records]) -> tuple[Records, Stamp | None]:
        """Replace what is kept by what `change` makes of it, one process at a time."""
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _locked(self.directory / "keys.lock"):
                present, stamp = self.read()
                wanted = change(present)
                if wanted == present:
                    return present, stamp
                self._write(wanted)
                return self.read()
        except OSError as error:
            raise ConfigurationError(f"cannot keep keys in {self.directory}: {error.strerror}") from None

    def _write(self, records: Records) -> None:
        body = {"version": VERSION, "keys": [asdict(record) for record in records]}
        # mkstemp makes the file 0600 from the start: no moment at which others could open it.
        handle, name = tempfile.mkstemp(dir=self.directory, prefix=".keys-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(body, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self.path)  # noqa: PTH105 - mkstemp gives a str, and Path.replace does the same
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        _sync_directory(self.directory)

    def _parse(self, data: bytes) -> Records:
        try:
            body = json.loads(data)
            if body["version"] == VERSION:
                return tuple(_record(entry) for entry in body["keys"])
        except (ValueError, KeyError, TypeError, RecursionError):
            pass
        # Raised out here, so that no parser's error with the file's text in it hangs on to this one.
        raise ConfigurationError(
            f"{self.path} is not a key file that this version can read; restore it from a backup, "
            "or move it away to begin with new keys (everybody then signs in again)"
        )


def _record(entry: dict[str, Any]) -> KeyRecord:
    record = KeyRecord(**entry)
    times = (record.created_at, record.signs_from, record.retires_at, record.forget_at)
    if not isinstance(record.algorithm, str) or not isinstance(record.text, str):
        raise TypeError
    if not all(time is None or isinstance(time, int | float) for time in times) or None in times[:2]:
        raise TypeError
    return record


def _stamp(status: os.stat_result) -> Stamp:
    return (status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Held by one process at a time; the system lets go of it when a process dies."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _sync_directory(directory: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

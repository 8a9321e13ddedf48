"""SQLite under the store: one connection that writes and a few that read, each on a thread of its own.

A verb is one function of a connection, run whole on such a thread: one hop instead of one per statement, which is what
makes this several times faster than an async driver, and a caller who is cancelled leaves nothing half done. Writers
begin with BEGIN IMMEDIATE, so none is refused when it goes from reading to writing; those who wait together share one
commit, and so one fsync, each behind a savepoint of its own. Readers never wait for writers (WAL).
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event
from sqlalchemy.exc import DBAPIError, StatementError

from holdfast.errors import ConfigurationError, HoldfastError, MisuseError, Unavailable

T = TypeVar("T")
Body = Callable[[Connection], T]

LARGEST_BATCH = 64
"""How many writes may share a commit; bounds how long other processes wait for the file."""

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.0005, 0.005

_ADVICE = {
    "unable to open": "make its directory, and let this user write there",
    "readonly": "let this user write to the file and to its directory",
    "locked": "another program holds it for too long; close that program, or raise the busy timeout",
    "full": "make room on the disk",
    "malformed": "it is damaged; put a backup in its place",
    "not a database": "it is something else; name another file",
}


@dataclass(frozen=True, slots=True)
class _Job(Generic[T]):
    body: Body[T]
    future: Future[T]


class SqliteDatabase:
    """Runs functions of a connection as transactions on one SQLite file, or in memory if the URL names none."""

    def __init__(self, url: URL, *, busy_timeout: float, readers: int) -> None:
        self._path = _path(url)
        self._busy_timeout = busy_timeout
        # The file answers "busy" at once to who writes, see `_patiently`; but not while it is being opened.
        pragmas = ("foreign_keys=ON", "synchronous=FULL", "busy_timeout=0")
        self._writing = _engine(url, self._path, busy_timeout, *pragmas)
        event.listen(self._writing, "begin", self._begin)
        self._reading = _engine(url, self._path, busy_timeout, "query_only=ON").execution_options(
            isolation_level="AUTOCOMMIT"
        )
        self._reader_count = readers
        self._waiting: deque[_Job[Any]] = deque()
        self._write_connection: Connection | None = None
        self._read_connections: list[Connection] = []
        self._open = False

    async def start(self) -> None:
        """Make the file if there is none, and open it for writing."""
        self._writer = ThreadPoolExecutor(1, "holdfast-write")
        self._readers = ThreadPoolExecutor(self._reader_count, "holdfast-read")
        self._own = threading.local()
        self._open = True
        await asyncio.get_running_loop().run_in_executor(self._writer, self._prepare)

    async def aclose(self) -> None:
        """Finish what waits, then close every connection."""
        if self._open:
            self._open = False
            await asyncio.to_thread(self._close)

    async def read(self, body: Body[T]) -> T:
        """Run a body of one statement that writes nothing; it sees everything that was committed before."""
        if self._path is None:  # each connection to memory would be a database of its own
            return await self.write(body)
        self._must_be_open()
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, body)

    async def write(self, body: Body[T]) -> T:
        """Run a body as one transaction, durable once this returns; an error that it raises undoes it."""
        self._must_be_open()
        future: Future[T] = Future()
        self._waiting.append(_Job(body, future))
        self._writer.submit(self._drain)
        return await asyncio.wrap_future(future)

    def _must_be_open(self) -> None:
        if not self._open:
            raise MisuseError("the store is not open: `start()` comes first, and nothing after `aclose()`")

    def _prepare(self) -> None:
        if self._path is None:
            return
        try:
            # Before SQLite makes it readable for everybody: it holds password hashes.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise Unavailable(
                f"cannot open the SQLite file {self._path}: {error.strerror}; {_ADVICE['unable to open']}"
            ) from error
        try:
            self._use_wal(self._connection())
        except (DBAPIError, sqlite3.Error) as error:
            raise self._told(error) from error

    def _use_wal(self, connection: Connection) -> None:
        """Switch the file to WAL, once for all."""
        (mode,) = self._patiently(connection, "PRAGMA journal_mode=WAL").fetchone()
        if mode != "wal":
            raise ConfigurationError(
                f"the SQLite file {self._path} cannot be used by several at once (no WAL): put it on a local disk"
            )

    def _begin(self, connection: Connection) -> None:
        self._patiently(connection, "BEGIN IMMEDIATE")

    def _patiently(self, connection: Connection, statement: str) -> sqlite3.Cursor:
        """Wait for the file's lock by asking often: SQLite itself sleeps up to 0.1 s for a lock held for 1 ms."""
        raw = connection.connection.dbapi_connection
        assert isinstance(raw, sqlite3.Connection)
        waited, pause = 0.0, _SHORTEST_PAUSE
        while True:
            try:
                return raw.execute(statement)
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or waited >= self._busy_timeout:
                    raise
            time.sleep(pause)
            waited += pause
            pause = min(1.5 * pause, _LONGEST_PAUSE)

    def _connection(self) -> Connection:
        if self._write_connection is None:
            self._write_connection = self._writing.connect()
        return self._write_connection

    def _drain(self) -> None:
        """Commit what waits, together; runs on the writing thread, once for each job that was added."""
        jobs: list[_Job[Any]] = []
        while self._waiting and len(jobs) < LARGEST_BATCH:
            job = self._waiting.popleft()
            if job.future.set_running_or_notify_cancel():
                jobs.append(job)
        if not jobs:
            return
        try:
            outcomes = self._commit(jobs)
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to those who wait, not to this thread
            outcomes = [self._told(error) for _ in jobs]
        for job, outcome in zip(jobs, outcomes, strict=True):
            if isinstance(outcome, Exception):
                job.future.set_exception(outcome)
            else:
                job.future.set_result(outcome)

    def _commit(self, jobs: list[_Job[Any]]) -> list[Any]:
        connection = self._connection()
        try:
            with connection.begin():
                if len(jobs) == 1:
                    return [jobs[0].body(connection)]
                return [self._attempt(connection, job) for job in jobs]
        except (DBAPIError, sqlite3.Error):
            if self._path is not None:  # the next gets a fresh connection, but one to memory would be empty
                connection.close()
                self._write_connection = None
            raise

    def _attempt(self, connection: Connection, job: _Job[Any]) -> Any:
        try:
            with connection.begin_nested():
                return job.body(connection)
        except DBAPIError:
            raise  # SQLite may have rolled back everything, so the whole batch fails
        except Exception as error:  # noqa: BLE001 - it is this job's alone
            return self._told(error)

    def _read(self, body: Body[T]) -> T:
        connection: Connection | None = getattr(self._own, "connection", None)
        try:
            if connection is None:
                connection = self._own.connection = self._reading.connect()
                self._read_connections.append(connection)
            return body(connection)
        except DBAPIError as error:
            if connection is not None:
                del self._own.connection
                self._read_connections.remove(connection)
                connection.close()
            raise self._told(error) from error

    def _close(self) -> None:
        self._readers.shutdown()
        self._writer.shutdown()
        if self._write_connection is not None:
            self._read_connections.append(self._write_connection)
        for connection in self._read_connections:
            connection.close()
        self._write_connection, self._read_connections = None, []

    def _told(self, error: Exception) -> Exception:
        """The same in our words; statements and their values stay out of it."""
        told: HoldfastError
        match error:
            case DBAPIError() | sqlite3.Error():
                problem = str(error.orig if isinstance(error, DBAPIError) else error)
                never = "not a database" in problem
                told = (ConfigurationError if never else Unavailable)(self._text(problem))
            case StatementError():
                told = MisuseError(f"this cannot be stored: {error.orig}")
            case _:
                return error
        told.__cause__ = error
        return told

    def _text(self, problem: str) -> str:
        advice = next((text for sign, text in _ADVICE.items() if sign in problem), "see the server's disk")
        return f"the SQLite file {self._path or 'in memory'} cannot be used: {problem}; {advice}"


def _path(url: URL) -> Path | None:
    name = url.database
    if not name or name == ":memory:":
        return None
    if name.startswith("file:"):
        raise ConfigurationError("write the SQLite file as sqlite:///name.db, without `file:`")
    return Path(name).absolute()  # a program that changes its directory keeps its store


def _engine(url: URL, path: Path | None, busy_timeout: float, *pragmas: str) -> Engine:
    engine = create_engine(
        url.set(drivername="sqlite+pysqlite", database=str(path) if path else None),
        poolclass=NullPool,
        hide_parameters=True,
        # Its own thread opens a connection, but closing time comes on another.
        connect_args={"timeout": busy_timeout, "isolation_level": None, "check_same_thread": False},
    )

    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    event.listen(engine, "connect", prepare)
    return engine

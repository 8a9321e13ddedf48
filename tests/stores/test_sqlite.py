"""What SQLite under the store does about files, locks, failures and people who wait together."""

import asyncio
import sqlite3
import stat
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event, make_url, text

from holdfast import errors
from holdfast.ports import AuditEvent
from holdfast.stores import SqlStore, log
from holdfast.stores.sqlite import LARGEST_BATCH, SqliteDatabase
from holdfast.testing.store_suite.samples import ANN, HASH, NOW, a_session, happened

THING = AuditEvent(kind="app.thing", at=NOW)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "holdfast.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqlStore]:
    store = SqlStore(f"sqlite:///{path}", busy_timeout=0.05)
    await store.start()
    yield store
    await store.aclose()


@pytest.fixture
async def database() -> AsyncIterator[SqliteDatabase]:
    database = SqliteDatabase(make_url("sqlite://"), busy_timeout=1, readers=1)
    await database.start()
    await database.write(lambda connection: connection.execute(text("CREATE TABLE t (n INTEGER UNIQUE)")))
    yield database
    await database.aclose()


def put(n: int) -> Callable[[Connection], int]:
    def body(connection: Connection) -> int:
        connection.execute(text("INSERT INTO t VALUES (:n)"), {"n": n})
        return n

    return body


def rows(connection: Connection) -> list[int]:
    return list(connection.execute(text("SELECT n FROM t ORDER BY n")).scalars())


@contextmanager
def commits() -> Iterator[list[Connection]]:
    seen: list[Connection] = []

    def see(connection: Connection) -> None:
        seen.append(connection)

    event.listen(Engine, "commit", see)
    try:
        yield seen
    finally:
        event.remove(Engine, "commit", see)


class Gate:
    """A body that keeps the writing thread busy until it is opened."""

    def __init__(self) -> None:
        self.entered: Future[None] = Future()
        self._open = threading.Event()

    def __call__(self, _connection: Connection) -> None:
        self.entered.set_result(None)
        assert self._open.wait(30)

    def open(self) -> None:
        self._open.set()


async def behind_a_gate(database: SqliteDatabase, *bodies: Callable[[Connection], int]) -> list[object]:
    """What becomes of bodies that all wait when the writing thread is free again."""
    gate = Gate()
    holding = asyncio.create_task(database.write(gate))
    await asyncio.wrap_future(gate.entered)
    waiting = [asyncio.create_task(database.write(body)) for body in bodies]
    await asyncio.sleep(0)  # lets each of them join the queue
    gate.open()
    await holding
    return list(await asyncio.gather(*waiting, return_exceptions=True))


class TestTheFile:
    async def test_only_its_owner_may_read_it(self, store: SqlStore, path: Path) -> None:
        await store.add_user(ANN)
        files = list(path.parent.glob("holdfast.db*"))
        assert len(files) == 3
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}

    async def test_it_is_safe_against_a_power_cut_and_lets_readers_read(self, path: Path) -> None:
        database = SqliteDatabase(make_url(f"sqlite:///{path}"), busy_timeout=1, readers=1)
        await database.start()

        def settings(connection: Connection) -> list[object]:
            names = ("journal_mode", "synchronous", "foreign_keys")
            return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

        full = 2
        assert await database.write(settings) == ["wal", full, 1]
        await database.aclose()

    async def test_it_stays_where_it_was_when_the_program_moves(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        store = SqlStore("sqlite:///holdfast.db")
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        await store.start()
        await store.aclose()
        assert (tmp_path / "holdfast.db").exists()
        assert list((tmp_path / "elsewhere").iterdir()) == []

    async def test_a_missing_directory_is_named(self, tmp_path: Path) -> None:
        store = SqlStore(f"sqlite:///{tmp_path}/nowhere/holdfast.db")
        with pytest.raises(
            errors.Unavailable, match=r"nowhere/holdfast\.db: No such file.*make its directory"
        ):
            await store.start()

    async def test_a_directory_is_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(errors.Unavailable, match="Is a directory"):
            await SqlStore(f"sqlite:///{tmp_path}").start()

    async def test_something_else_than_a_database_is_left_alone(self, path: Path) -> None:
        path.write_bytes(b"a letter to my aunt, and not a database at all" * 100)
        with pytest.raises(errors.ConfigurationError, match="not a database"):
            await SqlStore(f"sqlite:///{path}").start()
        assert path.read_bytes().startswith(b"a letter to my aunt")

    async def test_a_store_that_failed_to_start_can_be_started_once_that_is_mended(self, path: Path) -> None:
        store = SqlStore(f"sqlite:///{path.parent}/later/holdfast.db")
        with pytest.raises(errors.Unavailable):
            await store.start()
        (path.parent / "later").mkdir()
        await store.start()
        await store.ping()
        await store.aclose()


class TestOpenAndClosed:
    async def test_nothing_works_before_the_start_or_after_the_end(self, path: Path) -> None:
        store = SqlStore(f"sqlite:///{path}")
        for _ in range(2):
            with pytest.raises(errors.MisuseError, match=r"start\(\)"):
                await store.ping()
            with pytest.raises(errors.MisuseError, match=r"start\(\)"):
                await store.add_user(ANN)
            await store.start()
            await store.ping()
            await store.aclose()

    async def test_closing_twice_is_fine(self, store: SqlStore) -> None:
        await store.aclose()
        await store.aclose()

    async def test_closing_leaves_one_file_and_no_log_beside_it(self, store: SqlStore, path: Path) -> None:
        await asyncio.gather(store.add_user(ANN), store.ping(), store.ping())
        await store.aclose()
        assert [file.name for file in path.parent.iterdir()] == ["holdfast.db"]

    async def test_what_was_asked_for_before_closing_is_done(self, store: SqlStore, path: Path) -> None:
        writing = [asyncio.create_task(store.record(THING)) for _ in range(200)]
        await asyncio.sleep(0)
        await store.aclose()
        await asyncio.gather(*writing)
        again = SqlStore(f"sqlite:///{path}")
        await again.start()
        assert len(await happened(again)) == 200
        await again.aclose()


class TestLocks:
    async def test_a_file_that_is_held_too_long_is_unavailable_to_write_and_good_to_read(
        self, store: SqlStore, path: Path
    ) -> None:
        await store.add_user(ANN)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(errors.Unavailable, match="is locked; another program holds it"):
                await store.set_roles(ANN.id, ["reader"], now=NOW)
            assert await store.user(ANN.id) == ANN
            other.execute("ROLLBACK")
        await store.set_roles(ANN.id, ["reader"], now=NOW)

    async def test_a_writer_waits_for_a_lock_that_is_given_back_in_time(self, path: Path) -> None:
        patient = SqlStore(f"sqlite:///{path}", busy_timeout=60)
        await patient.start()
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            adding = asyncio.create_task(patient.add_user(ANN))
            assert await patient.users() == []
            other.execute("ROLLBACK")
            assert await adding == ANN
        await patient.aclose()


class TestWaitingTogether:
    async def test_those_who_wait_share_a_commit(self, database: SqliteDatabase) -> None:
        with commits() as seen:
            await behind_a_gate(database, *[put(n) for n in range(LARGEST_BATCH)])
        assert len(seen) == 2
        assert await database.read(rows) == list(range(LARGEST_BATCH))

    async def test_no_more_than_so_many(self, database: SqliteDatabase) -> None:
        with commits() as seen:
            await behind_a_gate(database, *[put(n) for n in range(LARGEST_BATCH + 1)])
        assert len(seen) == 3

    async def test_each_is_undone_alone(self, database: SqliteDatabase) -> None:
        def refused(connection: Connection) -> int:
            put(2)(connection)
            raise errors.NotFound

        def broken(connection: Connection) -> int:
            put(3)(connection)
            raise KeyError("a bug")

        first, second, third, fourth = await behind_a_gate(database, put(1), refused, broken, put(4))
        assert (first, fourth) == (1, 4)
        assert isinstance(second, errors.NotFound)
        assert isinstance(third, KeyError)
        assert await database.read(rows) == [1, 4]

    async def test_when_the_database_fails_all_are_undone_and_told(self, database: SqliteDatabase) -> None:
        def failing(connection: Connection) -> int:
            connection.execute(text("INSERT INTO nowhere VALUES (1)"))
            return 0

        outcomes = await behind_a_gate(database, put(1), failing, put(2))
        assert [type(outcome) for outcome in outcomes] == [errors.Unavailable] * 3
        assert len({id(outcome) for outcome in outcomes}) == 3
        assert await database.read(rows) == []
        assert await database.write(put(5)) == 5

    async def test_one_alone_is_undone_too(self, database: SqliteDatabase) -> None:
        def refused(connection: Connection) -> int:
            put(2)(connection)
            raise errors.NotFound

        with pytest.raises(errors.NotFound):
            await database.write(refused)
        assert await database.read(rows) == []

    async def test_who_gives_up_while_waiting_writes_nothing(self, database: SqliteDatabase) -> None:
        gate = Gate()
        holding = asyncio.create_task(database.write(gate))
        await asyncio.wrap_future(gate.entered)
        waiting = asyncio.create_task(database.write(put(1)))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        gate.open()
        await holding
        assert await database.read(rows) == []

    async def test_who_gives_up_in_the_middle_writes_everything(self, database: SqliteDatabase) -> None:
        gate = Gate()

        def slow(connection: Connection) -> int:
            put(1)(connection)
            gate(connection)
            return put(2)(connection)

        writing = asyncio.create_task(database.write(slow))
        await asyncio.wrap_future(gate.entered)
        writing.cancel()
        gate.open()
        with pytest.raises(asyncio.CancelledError):
            await writing
        assert await database.read(rows) == [1, 2]


class TestFailures:
    async def test_an_event_that_cannot_be_kept_is_misuse_and_harms_nobody_else(
        self, store: SqlStore
    ) -> None:
        bad, good = await asyncio.gather(
            store.record(AuditEvent(kind="app.thing", at=NOW, data={"what": object()})),
            store.record(THING),
            return_exceptions=True,
        )
        assert isinstance(bad, errors.MisuseError)
        assert await happened(store) == [good]

    async def test_no_error_shows_what_was_to_be_written(self, store: SqlStore, path: Path) -> None:
        with closing(sqlite3.connect(path)) as other:
            other.execute("DROP TABLE holdfast_user")
        with pytest.raises(errors.Unavailable) as raised:
            await store.add_user(ANN)
        chain: BaseException | None = raised.value
        while chain is not None:
            assert HASH not in str(chain)
            chain = chain.__cause__

    async def test_a_damaged_table_is_unavailable_until_it_is_mended(
        self, store: SqlStore, path: Path
    ) -> None:
        with closing(sqlite3.connect(path)) as other:
            other.execute("ALTER TABLE holdfast_session RENAME TO away")
            with pytest.raises(errors.Unavailable):
                await store.session("s-1")
            other.execute("ALTER TABLE away RENAME TO holdfast_session")
        await store.add_user(ANN)
        opened = await store.open_session(a_session(), now=NOW)
        assert await store.session("s-1") == opened


async def test_a_body_that_only_reads_cannot_write(store: SqlStore, path: Path) -> None:
    database = SqliteDatabase(make_url(f"sqlite:///{path}"), busy_timeout=1, readers=1)
    await database.start()
    with pytest.raises(errors.Unavailable, match="readonly"):
        await database.read(lambda connection: log.append(connection, THING))
    await database.aclose()
    assert await happened(store) == []

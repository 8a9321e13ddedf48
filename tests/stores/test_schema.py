"""The revisions and the tables are one schema, and a start brings any database to it."""

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect
from sqlalchemy.schema import CreateTable

from holdfast import errors
from holdfast.stores import SqlStore, schema, tables


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "holdfast.db"


async def started(path: Path) -> None:
    store = SqlStore(f"sqlite:///{path}")
    await store.start()
    await store.aclose()


async def test_the_revisions_make_the_tables(path: Path) -> None:
    await started(path)
    options = {"version_table": tables.REVISION_TABLE, "compare_type": True, "compare_server_default": True}
    with create_engine(f"sqlite:///{path}").connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, tables.metadata) == []


async def test_sqlite_never_gives_an_event_id_again(path: Path) -> None:
    """AUTOINCREMENT is what no comparison of schemas sees."""
    await started(path)
    with closing(sqlite3.connect(path)) as database:
        (made,) = database.execute("SELECT sql FROM sqlite_master WHERE name = 'holdfast_event'").fetchone()
    meant = str(CreateTable(tables.event).compile(dialect=sqlite_dialect()))
    assert "AUTOINCREMENT" in made
    assert "AUTOINCREMENT" in meant


def test_the_newest_revision_is_the_one_that_a_start_asks_for() -> None:
    with create_engine("sqlite://").connect() as connection:
        scripts = ScriptDirectory.from_config(schema._config(connection))
    assert scripts.get_heads() == [tables.REVISION]


async def test_a_database_that_is_up_to_date_is_left_alone(path: Path) -> None:
    await started(path)
    before = path.read_bytes()
    await started(path)
    assert path.read_bytes() == before


def test_a_database_that_is_up_to_date_is_started_without_alembic(path: Path) -> None:
    asyncio.run(started(path))
    program = (
        "import asyncio, sys; from holdfast.stores import SqlStore\n"
        "async def main():\n"
        "    store = SqlStore(sys.argv[1]); await store.start(); await store.ping(); await store.aclose()\n"
        "asyncio.run(main()); sys.exit('alembic' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, f"sqlite:///{path}"], check=True)


async def test_a_database_of_a_newer_holdfast_is_refused_and_left_alone(path: Path) -> None:
    await started(path)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE holdfast_revision SET version_num = '9999'")
    before = path.read_bytes()
    with pytest.raises(errors.ConfigurationError, match=r"newer Holdfast \(schema '9999'"):
        await started(path)
    assert path.read_bytes() == before


async def test_an_upgrade_that_fails_half_way_leaves_nothing_behind(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE holdfast_event (something TEXT)")
    with pytest.raises(errors.Unavailable, match="holdfast_event already exists"):
        await started(path)
    with closing(sqlite3.connect(path)) as database:
        made = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    assert made == [("holdfast_event",)]


async def test_tables_of_an_app_in_the_same_database_are_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE users (id INTEGER)")
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
        database.execute("INSERT INTO alembic_version VALUES ('of the app')")
    await started(path)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT * FROM alembic_version").fetchall() == [("of the app",)]

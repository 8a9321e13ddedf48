"""`SqlStore` keeps every promise of the port, in a file and in memory."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from holdfast import errors
from holdfast.ports import SessionStore
from holdfast.stores import SqlStore
from holdfast.testing.store_suite import StoreSuite


class TestSqliteFile(StoreSuite):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[SessionStore]:
        store = SqlStore(f"sqlite+aiosqlite:///{tmp_path}/holdfast.db")
        await store.start()
        yield store
        await store.aclose()


class TestSqliteMemory(StoreSuite):
    @pytest.fixture
    async def store(self) -> AsyncIterator[SessionStore]:
        store = SqlStore("sqlite+aiosqlite://")
        await store.start()
        yield store
        await store.aclose()


@pytest.mark.parametrize("url", ["postgresql://ann:hunter2@db/app", "mysql+aiomysql://ann:hunter2@db/app"])
def test_a_database_that_there_is_no_store_for_is_a_configuration_error(url: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="there is no store for") as raised:
        SqlStore(url)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["", "holdfast.db", "://", "sqlite:/holdfast.db", "sqlite:///file:x?mode=memory"]
)
def test_a_url_that_cannot_be_read_says_how_to_write_one(url: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="sqlite:///"):
        SqlStore(url)


def test_a_url_that_cannot_be_read_is_not_shown() -> None:
    with pytest.raises(errors.ConfigurationError) as raised:
        SqlStore("postgresql ann:hunter2@db")
    assert "hunter2" not in str(raised.value)
    assert raised.value.__suppress_context__


def test_a_store_says_which_database_it_is() -> None:
    assert repr(SqlStore("sqlite+aiosqlite:///holdfast.db")) == "SqlStore('sqlite+aiosqlite:///holdfast.db')"

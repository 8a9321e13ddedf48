"""A Holdfast for one command: the server's own database and keys; it learns of changes from the audit log."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from holdfast.cli.options import Given
from holdfast.errors import ConfigurationError, NotFound
from holdfast.settings import Settings

if TYPE_CHECKING:
    from holdfast.hold import Holdfast
    from holdfast.ports import User


@asynccontextmanager
async def opened(given: Given, *, create: bool = False) -> AsyncIterator[Holdfast]:
    """An open store, and sessions that act on it.

    `create` makes the data directory, database and secret where there are none; without it a mistyped path is an error
    instead of an empty database.

    Raises:
        ConfigurationError: there is nothing there.
    """
    settings = given.settings()
    if create:
        make_directory(settings)
    else:
        need_database(settings)
    from holdfast.hold import Holdfast
    from holdfast.server import logs

    logs.configure(settings.model_copy(update={"log_level": "error"}))
    async with Holdfast(settings, create_secret=True) as hold:
        yield hold


def make_directory(settings: Settings) -> None:
    """Make the data directory. Raises `ConfigurationError` if that cannot be, or nothing can be written there."""
    where = settings.data_dir
    try:
        where.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=where):
            pass
    except OSError as error:
        raise ConfigurationError(
            f"HOLDFAST_DATA_DIR: cannot write in {where}: {error.strerror}; choose another with --data-dir"
        ) from None


def need_database(settings: Settings) -> None:
    """Raise `ConfigurationError` if the data directory holds no database."""
    path = settings.data_dir / "holdfast.db"
    if settings.database_url is None and not path.exists():
        raise ConfigurationError(
            f"there is no database at {path}: start `holdfast serve` once, "
            "or say where it is with --data-dir or HOLDFAST_DATA_DIR"
        )


async def user_of(hold: Holdfast, name_or_id: str) -> User:
    """The user of this name or id. Raises `NotFound`."""
    found = await hold.store.user_named(name_or_id) or await hold.store.user(name_or_id)
    if found is None:
        raise NotFound(f"there is no user {name_or_id!r}; `holdfast users list` shows who there is")
    return found

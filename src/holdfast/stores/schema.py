"""Brings a database up to date: the revisions in migrations/, run inside the caller's transaction.

Alembic is loaded only when there is something to do; a database that is up to date is told by one read.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, String, column, inspect, select, table

from holdfast.errors import ConfigurationError
from holdfast.stores.tables import REVISION, REVISION_TABLE

if TYPE_CHECKING:
    from alembic.config import Config

_HERE = Path(__file__).parent / "migrations"
_applied = table(REVISION_TABLE, column("version_num", String))
_one_at_a_time = threading.Lock()
"""Alembic keeps the migration that runs in module globals."""


def applied(connection: Connection) -> str | None:
    """The revision that the database stands at; `None` for one that Holdfast has never seen."""
    if not inspect(connection).has_table(REVISION_TABLE):
        return None
    return connection.execute(select(_applied.c.version_num)).scalar_one_or_none()


def upgrade(connection: Connection) -> None:
    """Run what is missing. The caller's transaction must keep every other process from writing meanwhile.

    Raises:
        ConfigurationError: the database is of a newer Holdfast.
    """
    revision = applied(connection)
    if revision == REVISION:
        return
    from alembic import command
    from alembic.script import ScriptDirectory

    config = _config(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise ConfigurationError(
            f"the database was made by a newer Holdfast (schema {revision!r}, this one knows {REVISION!r}): "
            "run that Holdfast, or go back to a backup from before the upgrade"
        )
    with _one_at_a_time:
        command.upgrade(config, REVISION)


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    return config

"""`holdfast check-config`: what every setting is and where it comes from, and what would keep the server from starting.

It changes nothing: no directory, key or table is made.
"""

from __future__ import annotations

import difflib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape

from holdfast.asgi.fastlane import tuning
from holdfast.cli.options import GROUPS, Given, Source, default_text, flagged, is_secret, takes_settings
from holdfast.cli.output import MISUSED, OK, as_json, note, problems, prose, table
from holdfast.errors import ConfigurationError
from holdfast.settings import Settings, env_name

HELP = prose("""Show every setting, where it comes from, and what is wrong.

Takes the flags of [bold]serve[/]. Secrets are never shown. Exit code 2 when the server would not start.

    HOLDFAST_PORT=99999 holdfast check-config
""")

PREFIX = "HOLDFAST_"
OTHERS_CAN_READ = 0o077


@dataclass(frozen=True, slots=True)
class Finding:
    """Something an operator should know: an `error` keeps the server from starting, a `warning` does not."""

    level: Literal["error", "warning"]
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """One setting."""

    setting: str
    value: str
    source: Source


@takes_settings(*flagged())
def check_config(
    given: Given, json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False
) -> None:
    """Show every setting, where it comes from, and what is wrong."""
    found = list(findings(given))
    bad = any(finding.level == "error" for finding in found)
    if json:
        as_json(
            {
                "ok": not bad,
                "settings": [
                    {"setting": line.setting, "value": line.value, "source": str(line.source)}
                    for line in lines(given)
                ],
                "findings": [{"level": finding.level, "text": finding.text} for finding in found],
            }
        )
    else:
        rows = [(line.setting, line.value, str(line.source)) for line in lines(given)]
        table(("setting", "value", "from"), rows, empty="")
        for finding in found:
            colour = "red" if finding.level == "error" else "yellow"
            note(f"[bold {colour}]{finding.level}:[/] {escape(finding.text)}")
        note("[bold green]ok[/]: the server would start" if not bad else "the server would not start")
    raise typer.Exit(MISUSED if bad else OK)


def lines(given: Given) -> Iterator[Line]:
    """Every setting as it was given, good or bad; of secrets only whether there is one."""
    for names in GROUPS.values():
        for name in names:
            source = given.source(name)
            match source:
                case Source.FLAG:
                    value = given.flags[name]
                case Source.ENVIRONMENT:
                    value = os.environ[env_name(name)]
                case Source.DEFAULT:
                    value = default_text(name)
            yield Line(env_name(name), "(set, not shown)" if is_secret(name) and value else value, source)


def findings(given: Given) -> Iterator[Finding]:
    """Everything that is wrong, or worth a thought."""
    yield from _unknown_variables()
    try:
        settings = given.settings()
    except ConfigurationError as error:
        for problem in problems(error):
            yield Finding("error", problem)
        return
    yield from _directory(settings)
    yield from _keys(settings)
    yield from _database(settings)
    yield from _address(settings)


def _unknown_variables() -> Iterator[Finding]:
    known = {env_name(name) for name in Settings.model_fields} | {tuning.SWITCH}
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            yield Finding("warning", f"{name}: there is no such setting{hint}")


def _directory(settings: Settings) -> Iterator[Finding]:
    where = settings.data_dir
    existing = next(path for path in (where, *where.absolute().parents) if path.exists())
    if not existing.is_dir():
        yield Finding("error", f"HOLDFAST_DATA_DIR: {existing} is not a directory")
    elif not os.access(existing, os.W_OK | os.X_OK):
        yield Finding(
            "error", f"HOLDFAST_DATA_DIR: {existing} cannot be written; choose another with --data-dir"
        )
    elif existing == where and where.stat().st_mode & OTHERS_CAN_READ and os.name == "posix":
        yield Finding("warning", f"HOLDFAST_DATA_DIR: others can look into {where}; run: chmod 700 {where}")


def _keys(settings: Settings) -> Iterator[Finding]:
    from holdfast.tokens.keyfile import KeyFile

    if settings.secret_key is not None and settings.algorithm == "HS256":
        return
    try:
        KeyFile(settings.data_dir).read()
    except ConfigurationError as error:
        yield Finding("error", str(error))


def _database(settings: Settings) -> Iterator[Finding]:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    from holdfast.stores.tables import REVISION, REVISION_TABLE

    path: Path | None = settings.data_dir / "holdfast.db"
    if settings.database_url is not None:
        try:
            url = make_url(settings.database_url.get_secret_value())
        except ArgumentError:
            yield Finding("error", "HOLDFAST_DATABASE_URL: cannot be read; write it as sqlite:///holdfast.db")
            return
        if url.get_backend_name() != "sqlite":
            yield Finding("error", f"HOLDFAST_DATABASE_URL: there is no store for {url.get_backend_name()!r}")
            return
        path = Path(url.database) if url.database and url.database != ":memory:" else None
    if path is None:
        yield Finding("warning", "HOLDFAST_DATABASE_URL: a database in memory is gone when the server stops")
        return
    if not path.exists():
        return
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            row = database.execute(f"SELECT version_num FROM {REVISION_TABLE}").fetchone()  # noqa: S608  # our own name
    except sqlite3.Error as error:
        yield Finding("error", f"{path} is not a database that can be read: {error}")
        return
    if row is not None and row[0] > REVISION:
        yield Finding(
            "error", f"{path} was made by a newer Holdfast (schema {row[0]!r}; this one: {REVISION!r})"
        )


def _address(settings: Settings) -> Iterator[Finding]:
    from holdfast.server.runner import bind

    try:
        bind(settings.host, settings.port).close()
    except ConfigurationError as error:
        yield Finding("error", str(error))
    try:
        local = ip_address(settings.host).is_loopback
    except ValueError:
        local = settings.host == "localhost"
    if not local and not settings.trusted_proxies:
        yield Finding(
            "warning",
            f"HOLDFAST_HOST: {settings.host} is reached from other machines over plain http; put a proxy with TLS in "
            "front and name it in HOLDFAST_TRUSTED_PROXIES",
        )

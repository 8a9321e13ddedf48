"""What commands say and how: results on stdout, everything else on stderr, and an exit code that means something.

0  done
1  it could not be done: nobody by that name, the database cannot be reached
2  it was asked for in a way that cannot work: a bad flag or setting
"""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from collections.abc import Coroutine, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from typer.core import TyperGroup

from holdfast.errors import ConfigurationError, HoldfastError

OK, FAILED, MISUSED = 0, 1, 2

T = TypeVar("T")

_BETWEEN_PROBLEMS = re.compile(r"; (?=(?:--[a-z]|(?:SECRET_KEY|ALGORITHM|ACCESS_TOKEN_|HOLDFAST_)[A-Z_]*: ))")


class Commands(TyperGroup):
    """Commands whose expected failures are a sentence and an exit code, not a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            fail(*problems(error), code=MISUSED)
        except HoldfastError as error:
            fail(str(error))


def prose(text: str) -> str:
    """Help text as the terminal wraps it: one line a paragraph, indented lines as they are."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(
        one if one.startswith(" ") else " ".join(line.strip() for line in one.splitlines())
        for one in paragraphs
    )


def problems(error: ConfigurationError) -> list[str]:
    """The single problems that a configuration error tells of."""
    return _BETWEEN_PROBLEMS.split(str(error))


def fail(*reasons: str, code: int = FAILED) -> NoReturn:
    """Say what is wrong on stderr and leave with `code`."""
    for reason in reasons:
        note(f"[bold red]error:[/] {escape(reason)}")
    raise typer.Exit(code)


def note(markup: str) -> None:
    """Tell a person something that is not the command's result."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(markup)


def say(markup: str) -> None:
    """Print the command's result."""
    Console(highlight=False, soft_wrap=True).print(markup)


def as_json(value: Any) -> None:
    """Print the result for a program: one JSON document."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """Print the result for a person."""
    lines = [[escape(cell) for cell in row] for row in rows]
    if not lines:
        note(empty)
        return
    grid = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for line in lines:
        grid.add_row(*line)
    console = Console(highlight=False)
    if not console.is_terminal:
        # Piped into another program, a row stays one line however long it is.
        console.width = 10_000
    console.print(grid)


def moment(at: float | None) -> str:
    """A time as people read it, in UTC."""
    return "" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Wait for a command's work."""
    return asyncio.run(work)

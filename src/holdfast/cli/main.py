"""The `holdfast` command: puts the commands together."""

from __future__ import annotations

from typing import Annotated

import typer

import holdfast
from holdfast.cli import check, keys, sessions, users
from holdfast.cli import demo as showing
from holdfast.cli import serve as serving
from holdfast.cli.output import Commands, prose

HELP = prose("""Sign in once, stay connected: sessions and live connections that hold through every token.

Start with [bold]holdfast serve[/]. Every command takes --help, and reads the same settings from the environment.

Exit codes: 0 done, 1 it could not be done, 2 it was asked for in a way that cannot work.
""")

app = typer.Typer(
    name="holdfast",
    cls=Commands,
    help=HELP,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"holdfast {holdfast.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """What holds for every command."""


app.command("serve", help=serving.HELP)(serving.serve)
app.command("demo", help=showing.HELP)(showing.demo)
app.add_typer(users.app, name="users")
app.add_typer(sessions.app, name="sessions")
app.add_typer(keys.app, name="keys")
app.command("check-config", help=check.HELP)(check.check_config)


def main() -> None:
    """Run the command line."""
    app()

"""`holdfast users`: who can sign in. A running server follows at once: it reads the same audit log."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from holdfast.cli.opened import opened, user_of
from holdfast.cli.options import Given, takes_settings
from holdfast.cli.output import Commands, as_json, fail, moment, note, run, table
from holdfast.ports import User

app = typer.Typer(cls=Commands, help="Who can sign in.", no_args_is_help=True, rich_markup_mode="rich")

Name = Annotated[str, typer.Argument(help="The user's name, or id.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from the first line of standard input.")
]


@app.command("list")
@takes_settings("data_dir")
def list_users(given: Given, json: Json = False) -> None:
    """Show everybody, by name."""

    async def work() -> list[User]:
        async with opened(given) as hold:
            return list(await hold.store.users())

    found = run(work())
    if json:
        as_json([_row(user) for user in found])
        return
    table(
        ("name", "roles", "state", "added (UTC)", "id"),
        [
            (
                user.name,
                ", ".join(user.roles),
                "disabled" if user.disabled else "",
                moment(user.created_at),
                user.id,
            )
            for user in found
        ],
        empty="Nobody yet: `holdfast users add NAME` adds somebody.",
    )


@app.command("add")
@takes_settings("data_dir")
def add(
    given: Given,
    name: Annotated[str, typer.Argument(help="What the user signs in with.", show_default=False)],
    role: Annotated[
        list[str] | None,
        typer.Option(help="A role, such as admin; give it again for more.", show_default=False),
    ] = None,
    password_stdin: FromStdin = False,
) -> None:
    """Add somebody who can sign in; asks for the password, twice.

    In a script: printf '%s\\n' "$PASSWORD" | holdfast users add ann --password-stdin
    """
    given.settings()
    password = _password(password_stdin)

    async def work() -> User:
        async with opened(given, create=True) as hold:
            return await hold.sessions.add_user(name, password, tuple(role or ()))

    added = run(work())
    note(f"Added {added.name}{' as ' + ', '.join(added.roles) if added.roles else ''}.")


@app.command("disable")
@takes_settings("data_dir")
def disable(given: Given, name: Name) -> None:
    """Keep somebody out, and end all of their sessions and connections now."""
    _set_disabled(given, name, True)


@app.command("enable")
@takes_settings("data_dir")
def enable(given: Given, name: Name) -> None:
    """Let somebody sign in again."""
    _set_disabled(given, name, False)


@app.command("password")
@takes_settings("data_dir")
def password(given: Given, name: Name, password_stdin: FromStdin = False) -> None:
    """Set somebody's password, and end all of their sessions; asks for it, twice."""
    given.settings()

    async def find() -> User:
        async with opened(given) as hold:
            return await user_of(hold, name)

    user = run(find())
    new = _password(password_stdin)

    async def work() -> None:
        async with opened(given) as hold:
            await hold.sessions.set_password(user.id, new)

    run(work())
    note(f"{user.name} has a new password; their sessions have been ended.")


def _set_disabled(given: Given, name: str, disabled: bool) -> None:
    async def work() -> User:
        async with opened(given) as hold:
            user = await user_of(hold, name)
            await hold.sessions.set_disabled(user.id, disabled)
            return user

    user = run(work())
    note(
        f"{user.name} is disabled; their sessions have been ended."
        if disabled
        else f"{user.name} can sign in again."
    )


def _password(from_stdin: bool) -> str:
    """A password from a prompt or standard input; never from the arguments, which every process can read."""
    if from_stdin:
        given = sys.stdin.readline().rstrip("\r\n")
        if not given:
            fail("standard input held no password")
        return given
    if not sys.stdin.isatty():
        fail("there is no terminal to ask for the password; give it with --password-stdin", code=2)
    asked: str = typer.prompt("Password", hide_input=True, confirmation_prompt="Again", err=True)
    return asked


def _row(user: User) -> dict[str, object]:
    return {
        "id": user.id,
        "name": user.name,
        "roles": list(user.roles),
        "disabled": user.disabled,
        "created_at": user.created_at,
    }

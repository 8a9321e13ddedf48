"""`holdfast sessions`: who is signed in, and throwing them out."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.cli.opened import opened, user_of
from holdfast.cli.options import Given, takes_settings
from holdfast.cli.output import MISUSED, Commands, as_json, fail, moment, note, run, table
from holdfast.errors import NotFound
from holdfast.ports import Session

app = typer.Typer(
    cls=Commands,
    help="Who is signed in, and throwing them out.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

REASON = "by an administrator"


@app.command("list")
@takes_settings("data_dir")
def list_sessions(
    given: Given,
    user: Annotated[str | None, typer.Option(help="Only those of this user, by name or id.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Those that have ended, too.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Show sessions, newest first: each is one sign-in on one device."""

    async def work() -> tuple[list[Session], dict[str, str]]:
        async with opened(given) as hold:
            user_id = (await user_of(hold, user)).id if user is not None else None
            active_at = None if all_ else hold.clock.now()
            found = await hold.store.sessions(user_id=user_id, active_at=active_at)
            return list(found), {person.id: person.name for person in await hold.store.users()}

    found, names = run(work())
    if json:
        as_json([_row(session, names) for session in found])
        return
    table(
        ("session", "user", "client", "address", "signed in (UTC)", "last seen (UTC)", "ended"),
        [
            (
                session.id,
                names.get(session.user_id, session.user_id),
                session.client,
                session.address or "",
                moment(session.created_at),
                moment(session.last_seen_at),
                f"{moment(session.ended_at)} {session.ended_reason or ''}".strip(),
            )
            for session in found
        ],
        empty="Nobody is signed in.",
    )


@app.command("revoke")
@takes_settings("data_dir")
def revoke(
    given: Given,
    session: Annotated[
        str | None, typer.Argument(help="The session's id, from `sessions list`.", show_default=False)
    ] = None,
    user: Annotated[str | None, typer.Option(help="All sessions of this user, by name or id.")] = None,
    elsewhere: Annotated[
        str | None,
        typer.Option(
            "--issuer",
            metavar="URL",
            help="The outside issuer whom the user is of; --user is then what it has as `sub`.",
        ),
    ] = None,
    reason: Annotated[str, typer.Option(help="The person is shown this.")] = REASON,
) -> None:
    """End a session, or all of a user: with every live connection, on every server, within a second."""
    if (session is None) == (user is None):
        fail("name one session, or a user with --user", code=MISUSED)
    if elsewhere is not None and user is None:
        fail("--issuer goes with --user", code=MISUSED)

    async def work() -> None:
        async with opened(given) as hold:
            if session is not None and await hold.store.session(session) is None:
                raise NotFound(f"there is no session {session!r}; `holdfast sessions list` shows them")
            known = elsewhere in (None, hold.settings.issuer)
            user_id = (await user_of(hold, user)).id if user is not None and known else user
            await hold.revoke(session=session, user=user_id, issuer=elsewhere, reason=reason)

    run(work())
    note("The session has been ended." if session else f"All sessions of {user} have been ended.")


def _row(session: Session, names: dict[str, str]) -> dict[str, object]:
    return {
        "id": session.id,
        "user_id": session.user_id,
        "user": names.get(session.user_id),
        "client": session.client,
        "status": str(session.status),
        "created_at": session.created_at,
        "last_seen_at": session.last_seen_at,
        "idle_expires_at": session.idle_expires_at,
        "absolute_expires_at": session.absolute_expires_at,
        "ended_at": session.ended_at,
        "ended_reason": session.ended_reason,
        "address": session.address,
        "user_agent": session.user_agent,
    }

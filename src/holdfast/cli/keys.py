"""`holdfast keys`: what tokens are signed with. A running server notices a rotation within seconds."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.asgi.clock import SystemClock
from holdfast.cli.options import Given, takes_settings
from holdfast.cli.output import Commands, as_json, moment, note, table
from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    from holdfast.settings import Settings
    from holdfast.tokens.keys import KeyRing

app = typer.Typer(
    cls=Commands, help="What tokens are signed with.", no_args_is_help=True, rich_markup_mode="rich"
)


@app.command("list")
@takes_settings("data_dir", "algorithm")
def list_keys(
    given: Given, json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False
) -> None:
    """Show the keys and what each may do now, oldest first; never the keys themselves."""
    rows = _ring(given.settings()).keys(SystemClock().now())
    if json:
        as_json([asdict(row) for row in rows])
        return
    table(
        ("key", "algorithm", "state", "made (UTC)", "signs from (UTC)", "good until (UTC)"),
        [
            (
                row.kid,
                row.algorithm,
                str(row.state),
                moment(row.created_at),
                moment(row.signs_from),
                moment(row.retires_at),
            )
            for row in rows
        ],
        empty="There are no keys.",
    )


@app.command("rotate")
@takes_settings("data_dir", "algorithm")
def rotate(
    given: Given,
    leaked: Annotated[
        bool,
        typer.Option(
            "--leaked",
            help="The present key is in the wrong hands: everything it has signed is worth nothing from now on, "
            "and everybody signs in again.",
        ),
    ] = False,
) -> None:
    """Put a new key beside the present one; what is signed already stays good to its end."""
    settings = given.settings()
    try:
        ring = _ring(settings)
    except ConfigurationError:
        row = _ring(settings, create=True).keys(SystemClock().now())[-1]
        note(f"There was no key yet. The first one is {row.kid}; it signs from now on.")
        return
    now = SystemClock().now()
    if leaked:
        row = ring.rotate(now, token_lifetime=0, cache_seconds=0, session_lifetime=0)
    else:
        row = ring.rotate(
            now,
            token_lifetime=settings.access_lifetime,
            session_lifetime=settings.session_policy.absolute_lifetime,
        )
    note(f"The new key is {row.kid}; it signs from {moment(row.signs_from) or 'now'} UTC on.")


def _ring(settings: Settings, *, create: bool = False) -> KeyRing:
    from holdfast.tokens.keys import KeyRing

    return KeyRing.load(settings, now=SystemClock().now(), create=create)

"""`holdfast serve`: the ready server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rich.markup import escape

from holdfast.cli.opened import make_directory
from holdfast.cli.options import Given, flagged, takes_settings
from holdfast.cli.output import FAILED, fail, note, prose, say
from holdfast.settings import Settings

if TYPE_CHECKING:
    import socket

    from holdfast.server.first_start import FirstAdmin

HELP = prose("""Run the server.

The first start makes the data directory, a secret and an administrator, whose password is printed once. Every flag is
an environment variable too; passwords and secrets are only that.

    holdfast serve
    holdfast serve --port 0 --data-dir /tmp/try
    ACCESS_TOKEN_EXPIRE_MINUTES=0.5 holdfast serve

The second takes any free port, the third gives tokens 30 seconds, to watch connections outlive them.

SIGTERM and Ctrl-C go down gently: live connections are told when to come back. A second one quits at once.
""")


@takes_settings(*flagged())
def serve(given: Given) -> None:
    """Run the server."""
    settings = given.settings()
    from holdfast.asgi.fastlane import new_event_loop
    from holdfast.server import logs, runner

    logs.configure(settings)
    make_directory(settings)
    listener = runner.bind(settings.host, settings.port)
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as loop:
            quit_early = loop.run(_serve(settings, listener))
    finally:
        listener.close()
    if quit_early:
        fail("stopped at once, before every connection had been told", code=FAILED)


async def _serve(settings: Settings, listener: socket.socket) -> bool:
    """Whether it was made to quit before it was done."""
    from holdfast.server import runner
    from holdfast.server.app import build_app
    from holdfast.server.first_start import ensure_admin
    from holdfast.server.front import Front

    app = build_app(settings)
    hold = app.state.parts.hold
    # Started here, not by the app's lifespan, so that what is wrong becomes an error message.
    await hold.start()
    server: runner.Server | None = None
    try:
        admin = await ensure_admin(hold)
        server = runner.Server(
            runner.configuration(Front(app, hold.ws), settings),
            drain=hold.drain,
            ready=lambda: _ready(runner.url(settings.host, listener), admin),
        )
        await server.serve(sockets=[listener])
    finally:
        # Whoever asked twice does not wait for connections that take their time.
        await (hold.store.aclose() if server and server.force_exit else hold.aclose())
    return server.force_exit


def _ready(url: str, admin: FirstAdmin | None) -> None:
    if admin is not None:
        note(_first_start(admin))
    say(f"Holdfast is ready: [bold]{escape(url)}[/]")


def _first_start(admin: FirstAdmin) -> str:
    if admin.password is None:
        return f"First start: the administrator is [bold]{escape(admin.name)}[/]."
    return (
        f"First start: sign in as [bold]{escape(admin.name)}[/] with the password "
        f"[bold]{escape(admin.password)}[/]\n"
        f"It is shown only now; for another one: holdfast users password {escape(admin.name)}\n"
    )

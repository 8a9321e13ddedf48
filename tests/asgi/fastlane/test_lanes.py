"""What connections of a server share, and how a call of the app is begun."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import Any

import pytest

Connect = Callable[..., Any]

ACCEPT = {"type": "websocket.accept"}


class Eager:
    """An app that may begin outside of a task, on one path."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[Any] | None] = []
        self.asked: list[str] = []
        self.go_on: asyncio.Event | None = None

    def holdfast_eager(self, scope: dict) -> bool:
        self.asked.append(scope["path"])
        return scope["path"] == "/ws"

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        self.tasks.append(asyncio.current_task())
        await receive()
        await send(ACCEPT)
        scope["extensions"]["holdfast.lane"]["lane"].adopt(Ear())
        if self.go_on is not None:
            await self.go_on.wait()
            self.tasks.append(asyncio.current_task())


class Ear:
    def received(self, data: str | bytes) -> None: ...

    def disconnected(self, code: int) -> None: ...


class Wrapped:
    """As uvicorn's middleware wraps an app."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


@pytest.mark.parametrize("wrap", [lambda app: app, Wrapped, lambda app: Wrapped(Wrapped(app))])
async def test_an_app_that_says_so_is_begun_at_once_and_without_a_task(connect: Connect, wrap: Any) -> None:
    app = Eager()
    peer = await connect(wrap(app), path="/ws")
    assert peer.head.startswith(b"HTTP/1.1 101")
    assert app.tasks == [None]
    assert peer.state.tasks == set()


async def test_on_its_other_paths_it_has_a_task(connect: Connect) -> None:
    app = Eager()
    await connect(app, path="/jobs")
    assert app.asked == ["/jobs"]
    assert None not in app.tasks


async def test_one_that_has_to_wait_goes_on_in_a_task_that_the_server_knows(connect: Connect) -> None:
    app = Eager()
    app.go_on = asyncio.Event()
    peer = await connect(app, path="/ws")
    (task,) = peer.state.tasks
    app.go_on.set()
    await peer.ticks()
    assert app.tasks == [None, task]
    assert peer.state.tasks == set()


async def test_one_that_fails_at_once_is_a_500(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Eager):
        async def __call__(self, scope: dict, receive: Any, send: Any) -> None:  # noqa: ARG002  # it fails first
            raise LookupError("on purpose")

    peer = await connect(Failing(), path="/ws")
    assert (await peer.answer()).startswith(b"HTTP/1.1 500")
    assert "on purpose" in caplog.text


@pytest.mark.parametrize("path", ["/ws", "/jobs"])
async def test_context_variables_stay_within_a_call(connect: Connect, path: str) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="clean")
    seen = []

    class Setting(Eager):
        async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
            seen.append(variable.get())
            variable.set("dirty")
            await super().__call__(scope, receive, send)

    for _ in range(2):
        await connect(Setting(), path=path)
    assert seen == ["clean", "clean"]
    assert variable.get() == "clean"


@pytest.mark.parametrize(("reset", "expected"), [(False, "outer"), (True, "default")])
async def test_a_call_may_be_kept_from_the_servers_context(
    connect: Connect, reset: bool, expected: str
) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="default")
    variable.set("outer")
    seen = []

    async def app(scope: dict, receive: Any, send: Any) -> None:  # only its context counts
        seen.append(variable.get())
        await send({"type": "websocket.close"})

    await connect(app, reset_contextvars=reset)
    assert seen == [expected]


async def test_connections_of_a_server_share_their_lanes_and_servers_do_not(connect: Connect) -> None:
    first = await connect(Eager())
    second = await connect(Eager(), like=first)
    stranger = await connect(Eager())
    assert first.protocol.lanes is second.protocol.lanes
    assert first.protocol.lanes is not stranger.protocol.lanes


async def test_lanes_of_one_tick_are_flushed_together(connect: Connect) -> None:
    first = await connect(Eager())
    second = await connect(Eager(), like=first)
    calls = []
    lanes = first.protocol.lanes
    loop = lanes.loop
    lanes.loop = type(
        "Loop", (), {"call_soon": lambda _self, call: (calls.append(call), loop.call_soon(call))}
    )()
    for _ in range(3):
        for peer in (first, second):
            peer.protocol.write(b"\x81\x00")
    await first.ticks()
    assert len(calls) == 1
    assert len(await first.frames()) == len(await second.frames()) == 3

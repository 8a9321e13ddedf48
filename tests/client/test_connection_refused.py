"""Refusals that say nothing about the session, and another person on the same object."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.client import ClientError, LiveState, Session
from holdfast.protocol.endings import Action

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from holdfast.client import LiveConnection

    Eventually = Callable[[Callable[[], bool]], Awaitable[None]]

INVALID = "Invalid token. Please refresh the page to get a new token."


async def entered(server: Any, session: Session) -> tuple[LiveConnection, Any]:
    """A ready connection and the server's end of it; the session closes it."""
    live = session.connect("/ws")
    opening = asyncio.ensure_future(live.__aenter__())
    line = await (await server.socket()).welcome()
    return await opening, line


def other_user(server: Any, reply: Any) -> None:
    """The next sign-in is bob's."""
    grant = {**server.grant(), "session_id": "s2", "user": {"id": "u2", "name": "bob", "roles": []}}
    server.reply("/token", reply(body=grant))


async def test_a_proxys_401_is_waited_for(
    server: Any, signed_in: Session, refusal: Any, clocks: Any, eventually: Eventually
) -> None:
    answers = [refusal(401, body="<h1>401 Unauthorized</h1>")] * 3
    server.refuse_socket = lambda _: answers.pop() if answers else None
    live = signed_in.connect("/ws")
    opening = asyncio.ensure_future(live.__aenter__())
    for left in (2, 1, 0):
        await eventually(lambda left=left: len(answers) == left and live.state is LiveState.WAITING)
        clocks.move(5)
    await (await server.socket()).welcome()
    await opening
    assert server.to("/auth/refresh") == []


async def test_a_token_that_is_refused_twice_is_replaced_until_the_server_takes_one(
    server: Any, signed_in: Session, clocks: Any, eventually: Eventually
) -> None:
    live, line = await entered(server, signed_in)
    await line.end(4003, INVALID, "relogin")
    await (await server.socket()).end(4003, INVALID, "relogin")
    with pytest.raises(ClientError, match="Invalid token") as raised:
        await anext(live)
    assert raised.value.action is Action.RELOGIN
    await eventually(lambda: live.state is LiveState.PARKED)
    assert len(server.to("/auth/refresh")) == 1
    clocks.move(5)
    line = await (await server.socket()).welcome()
    assert line.token == "access-3"
    await line.send({"healed": True})
    assert await anext(live) == {"healed": True}


async def test_somebody_else_gets_a_socket_of_their_own_and_nothing_of_the_first(
    server: Any, signed_in: Session, reply: Any, eventually: Eventually
) -> None:
    live, line = await entered(server, signed_in)
    await line.send({"of": "ann"})
    await eventually(lambda: bool(live._inbox))
    other_user(server, reply)
    await signed_in.sign_in("bob", "correct horse")
    assert live.state is LiveState.CONNECTING
    line = await (await server.socket()).welcome(user="u2")
    assert await server.lines[0].closed() in (1000, 1001, 1006)
    await line.send({"of": "bob"})
    assert await anext(live) == {"of": "bob"}


async def test_that_is_so_after_a_sign_out_that_the_server_was_not_told_of(
    server: Any, signed_in: Session, reply: Any
) -> None:
    await entered(server, signed_in)
    await signed_in.sign_out()
    other_user(server, reply)
    await signed_in.sign_in("bob", "correct horse")
    line = await (await server.socket()).welcome(user="u2")
    assert line.token == "access-2"
    assert server.lines[0] is not line


async def test_the_same_person_keeps_the_socket(server: Any, signed_in: Session) -> None:
    live, line = await entered(server, signed_in)
    await signed_in.sign_in("ann", "correct horse")
    assert live.state is LiveState.READY
    assert (await line.hear())["token"] == "access-2"

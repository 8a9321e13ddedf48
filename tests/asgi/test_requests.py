"""What a connection is told when what it asks cannot be decided."""

from __future__ import annotations

import asyncio
from typing import Any

from holdfast.asgi.rules import ChannelRule, Rules
from holdfast.core.policy import Retention

KEPT = Retention(size=10, seconds=60)
UNDECIDED = "this could not be decided just now for 'room:1'"


def failing_rules() -> Rules:
    def fails(user: Any) -> bool:
        raise RuntimeError("the database is away")

    rule = ChannelRule("room:*", fails, retention=KEPT, presence=False)
    rule.publisher(fails)
    rules = Rules(KEPT)
    rules.add(rule)
    return rules


async def told(socket: Any) -> dict[str, Any]:
    """The error that comes."""
    await socket.until(lambda: errors(socket))
    return errors(socket)[-1]


def errors(socket: Any) -> list[dict[str, Any]]:
    return [frame for frame in socket.frames() if frame["type"] == "error"]


async def test_who_asks_a_rule_that_fails_is_told_to_ask_again_and_when(make_node, live, fake_socket):
    node = make_node(rules=failing_rules())
    await node.start()
    socket = fake_socket()
    async with live(node, socket):
        socket.say({"type": "publish", "id": 1, "channel": "room:1", "data": 1})
        assert await told(socket) == {
            "type": "error",
            "id": 1,
            "code": "try_later",
            "message": f"{UNDECIDED}; send this again later",
            "retry_after_ms": 1_000,
        }
    await node.aclose()


async def test_what_waits_to_be_published_is_bounded_in_size_too(make_node, live, fake_socket):
    decided = asyncio.Event()

    async def slow(user: Any) -> bool:
        return await decided.wait()

    rule = ChannelRule("room:*", slow, retention=KEPT, presence=False)
    rule.publisher(slow)
    rules = Rules(KEPT)
    rules.add(rule)
    node = make_node(rules=rules)
    await node.start()
    socket = fake_socket()
    async with live(node, socket):
        for n in range(8):
            socket.say({"type": "publish", "id": n, "channel": "room:1", "data": "x" * 59_998})
        await socket.until(lambda: len(errors(socket)) == 3)
        assert [error["id"] for error in errors(socket)] == [5, 6, 7]
        assert (errors(socket)[0]["code"], errors(socket)[0]["retry_after_ms"]) == ("try_later", 1_000)
        decided.set()
        await socket.until(lambda: sum(frame["type"] == "ok" for frame in socket.frames()) == 5)
        for n in range(8, 12):
            socket.say({"type": "publish", "id": n, "channel": "room:1", "data": "x" * 59_998})
        await socket.until(lambda: sum(frame["type"] == "ok" for frame in socket.frames()) == 9)
    await node.aclose()


async def test_when_to_subscribe_again_is_the_clients_backoff(make_node, live, fake_socket):
    """All of them would come each second otherwise, to a database that is down already."""
    node = make_node(rules=failing_rules())
    await node.start()
    socket = fake_socket()
    async with live(node, socket):
        socket.say({"type": "subscribe", "id": 2, "channel": "room:1"})
        assert await told(socket) == {
            "type": "error",
            "id": 2,
            "code": "try_later",
            "message": f"{UNDECIDED}; send this again later",
        }
    await node.aclose()


async def test_a_plain_socket_is_told_of_which_channel_and_what_it_can_do(make_node, live, fake_socket):
    node = make_node(rules=failing_rules())
    await node.start()
    socket = fake_socket(query="token=ann&channel=room:1", v1=False)
    async with live(node, socket):
        assert await told(socket) == {
            "type": "error",
            "code": "try_later",
            "message": f"{UNDECIDED}; connect again later",
        }
    await node.aclose()

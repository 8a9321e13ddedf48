"""How long a rule's answer holds: asked of connections, whose rules count how often they are asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from starlette.exceptions import HTTPException

from holdfast.asgi import rights
from holdfast.asgi.rules import ChannelRule, Rules
from holdfast.core.policy import Retention
from holdfast.ports import AuditEvent
from holdfast.testing.logs import capture_logs

KEPT = Retention(size=100, seconds=600)


class Counting:
    """A rule that remembers what it was asked, and answers as it is told to."""

    def __init__(self, *, waits: bool) -> None:
        self.asked: list[str] = []
        self.answer: Any = True
        self.raises: Exception | None = None
        self.comes_to_no_end: dict[str, str] = {}
        self.rule: Callable[..., Any] = self._waiting if waits else self._at_once

    def _at_once(self, _user: Any, id: str) -> Any:
        self.asked.append(id)
        if self.raises is not None:
            raise self.raises
        return self.answer

    async def _waiting(self, user: Any, id: str) -> Any:
        match self.comes_to_no_end.get(id):
            case "cancels":
                raise asyncio.CancelledError
            case "hangs":
                await asyncio.Event().wait()
        return self._at_once(user, id)


class Conversation:
    """A socket of which each request has been answered before the next one is made."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._asked = 0

    async def ask(self, kind: str, channel: str = "room:1", **fields: Any) -> str:
        """What type of frame answers it."""
        self._asked += 1
        request = f"r{self._asked}"
        self._socket.say({"type": kind, "id": request, "channel": channel, **fields})

        def answers() -> list[dict[str, Any]]:
            return [frame for frame in self._socket.frames() if frame.get("id") == request]

        await self._socket.until(answers)
        self.newest = answers()[0]
        return self.newest["type"]

    async def until(self, kind: str, count: int) -> list[dict[str, Any]]:
        """Return once so many frames of a type have come: all of them."""

        def found() -> list[dict[str, Any]]:
            return [frame for frame in self._socket.frames() if frame["type"] == kind]

        await self._socket.until(lambda: len(found()) >= count)
        return found()

    async def publish(self, channel: str = "room:1") -> str:
        return await self.ask("publish", channel, data=1)

    async def renew(self) -> None:
        self._asked += 1
        self._socket.say({"type": "auth", "id": self._asked, "token": "ann"})
        await self._socket.until(lambda: any(f.get("id") == self._asked for f in self._socket.frames()))


@pytest.fixture
def reader() -> Counting:
    return Counting(waits=True)


@pytest.fixture(params=[True])
def publisher(request: Any) -> Counting:
    return Counting(waits=request.param)


@pytest.fixture
async def node(make_node, reader, publisher):
    rule = ChannelRule("room:{id}", reader.rule, retention=KEPT, presence=True)
    rule.publisher(publisher.rule)
    rules = Rules(KEPT)
    rules.add(rule)
    made = make_node(rules=rules)
    await made.start()
    yield made
    await made.aclose()


@pytest.fixture
async def ann(node, live, fake_socket):
    socket = fake_socket()
    async with live(node, socket):
        yield Conversation(socket)


async def test_a_publisher_that_has_to_wait_is_asked_once_for_each_channel_until_the_next_renewal(
    ann, publisher
):
    for channel in ("room:1", "room:1", "room:2", "room:1", "room:2"):
        assert await ann.publish(channel) == "ok"
    assert publisher.asked == ["1", "2"]
    await ann.renew()
    publisher.answer = False
    assert [await ann.publish(), await ann.publish()] == ["error", "error"]
    assert publisher.asked == ["1", "2", "1", "1"]


@pytest.mark.parametrize("publisher", [False], indirect=True)
async def test_a_publisher_that_answers_at_once_is_asked_every_time(ann, publisher):
    assert await ann.publish() == "ok"
    publisher.answer = False
    assert await ann.publish() == "error"
    assert publisher.asked == ["1", "1"]


async def test_what_a_rule_was_about_to_say_when_the_app_had_rules_asked_again_counts_no_more(
    ann, publisher, node
):
    """It has looked before the right was taken away, and would be kept for a day."""
    looked, may_say = asyncio.Event(), asyncio.Event()

    async def slow(_user: Any, id: str) -> bool:
        answer = publisher.answer
        looked.set()
        await may_say.wait()
        return answer

    node.hub.rules.find("room:1")[0].publisher(slow)
    publishing = asyncio.ensure_future(ann.publish())
    await asyncio.wait_for(looked.wait(), 20)
    publisher.answer = False
    for driver in node.connections:
        node.hub.recheck(driver)
    may_say.set()
    assert await publishing == "error"
    assert ann.newest["code"] == "forbidden"
    assert await ann.publish() == "error"


async def test_a_no_is_not_kept(ann, publisher):
    publisher.answer = False
    assert await ann.publish() == "error"
    publisher.answer = True
    assert [await ann.publish(), await ann.publish()] == ["ok", "ok"]
    assert publisher.asked == ["1", "1"]


async def test_a_rule_that_failed_is_asked_again(ann, publisher):
    class Unsure:
        def __bool__(self) -> bool:
            raise RuntimeError("who knows")

    publisher.answer = Unsure()
    assert await ann.publish() == "error"
    publisher.answer = True
    assert await ann.publish() == "ok"


@pytest.mark.parametrize(("status", "code"), [(404, "forbidden"), (499, "forbidden"), (500, "try_later")])
async def test_a_rule_may_say_no_as_a_route_does(ann, publisher, status, code):
    publisher.raises = HTTPException(status)
    assert await ann.publish() == "error"
    assert ann.newest["code"] == code


@pytest.mark.parametrize("failure", ["cancels", "hangs"])
async def test_a_rule_that_comes_to_no_end_gives_no_right_and_keeps_no_other_from_being_asked(
    ann, reader, monkeypatch, failure
):
    for channel in ("room:1", "room:2", "room:3"):
        assert await ann.ask("subscribe", channel) == "subscribed"
    monkeypatch.setattr(rights, "PATIENCE", 0.0)
    reader.answer, reader.comes_to_no_end = False, {"1": failure}
    with capture_logs() as logs:
        await ann.renew()
        gone = [await ann.until("unsubscribed", count) for count in (1, 2, 3)][-1]
    assert {frame["channel"] for frame in gone} == {"room:1", "room:2", "room:3"}
    assert [line["channel"] for line in logs if line["event"] == "a rule failed"] == ["room:1"]


@pytest.mark.parametrize("failure", ["cancels", "hangs"])
async def test_who_asks_a_rule_that_comes_to_no_end_is_answered(ann, reader, monkeypatch, failure):
    monkeypatch.setattr(rights, "PATIENCE", 0.0)
    reader.comes_to_no_end = {"1": failure}
    assert await ann.ask("subscribe") == "error"
    assert ann.newest["code"] == "try_later"


@pytest.mark.parametrize(
    ("kind", "channel", "why"),
    [
        ("subscribe", "elsewhere:1", "no rule has a pattern for it"),
        ("subscribe", "room:1", "its rule says no"),
        ("publish", "user:ann", "its rule has no publisher"),
    ],
)
async def test_the_log_says_why_a_channel_was_refused_and_its_client_is_not_told(
    ann, reader, kind, channel, why
):
    reader.answer = False
    with capture_logs() as logs:
        assert await ann.ask(kind, channel, data=1) == "error"
    (line,) = [line for line in logs if line["event"] == "channel refused"]
    told = {key: line[key] for key in ("user", "channel", "request", "code", "reason")}
    assert told == {"user": "ann", "channel": channel, "request": kind, "code": "forbidden", "reason": why}
    assert why not in ann.newest["message"]


async def test_to_read_is_asked_at_each_subscription_and_not_again_for_what_is_read_meanwhile(ann, reader):
    for kind in ("subscribe", "history", "presence", "unsubscribe", "subscribe", "history"):
        assert await ann.ask(kind) in ("subscribed", "ok")
    assert reader.asked == ["1", "1"]


async def test_a_subscription_that_is_refused_takes_the_right_to_read_along(ann, reader):
    assert await ann.ask("history") == "ok"
    reader.answer = False
    assert await ann.ask("subscribe") == "error"
    assert await ann.ask("history") == "error"


async def test_to_read_gives_no_right_to_publish(ann, publisher):
    assert await ann.ask("subscribe") == "subscribed"
    publisher.answer = False
    assert await ann.publish() == "error"


async def test_what_somebody_else_may_is_asked_apart(node, live, fake_socket, ann, publisher):
    assert await ann.publish() == "ok"
    publisher.answer = False
    socket = fake_socket(query="token=bob")
    async with live(node, socket):
        assert await Conversation(socket).publish() == "error"


@pytest.mark.parametrize("user", ["ann", None])
async def test_the_app_may_have_rules_asked_again_for_one_or_for_everybody(
    node, live, fake_socket, ann, reader, user
):
    socket = fake_socket(query="token=bob")
    async with live(node, socket):
        bob = Conversation(socket)
        for one in (ann, bob):
            assert await one.ask("subscribe") == "subscribed"
        reader.answer = False
        node.hear(AuditEvent(kind="channel.rights_changed", at=0.0, user_id=user))
        await ann.until("unsubscribed", 1)
        if user is None:
            await bob.until("unsubscribed", 1)
        assert node.hub.subscriptions() == (0 if user is None else 1)


async def test_nothing_is_kept_of_a_connection_that_has_ended(node, live, fake_socket):
    socket = fake_socket()
    async with live(node, socket):
        assert await Conversation(socket).publish() == "ok"
        assert len(node.hub.rights) == 1
    assert len(node.hub.rights) == 0


async def test_who_publishes_to_ever_new_channels_fills_no_memory(ann, publisher, node, monkeypatch):
    monkeypatch.setattr(rights, "MOST_KEPT", 2)
    for channel in ("room:1", "room:2", "room:2", "room:3", "room:3", "room:1"):
        assert await ann.publish(channel) == "ok"
    assert publisher.asked == ["1", "2", "3", "1"]

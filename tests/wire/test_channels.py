"""Channels over real sockets, on every server: rights, order, recovery, presence, plain sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from holdfast.testing.peer import Peer

SKIP = ("ping", "auth.due", "presence.join", "presence.leave")


@asynccontextmanager
async def speaking(served: Any, token: str, **more: Any) -> AsyncIterator[Peer]:
    async with await Peer.connect(f"{served.ws}/ws", carrier="subprotocol", token=token, **more) as peer:
        await peer.expect("welcome")
        yield peer


async def subscribe(peer: Peer, channel: str, **fields: Any) -> dict[str, Any]:
    await peer.send({"type": "subscribe", "id": "s", "channel": channel, **fields})
    return await peer.expect("subscribed", skip=("ping", "auth.due", "event"))


async def refused(peer: Peer, kind: str, channel: str, **fields: Any) -> str:
    await peer.send({"type": kind, "id": 1, "channel": channel, **fields})
    return (await peer.expect("error"))["code"]


async def publish(peer: Peer, channel: str, data: Any, **fields: Any) -> dict[str, Any]:
    await peer.send({"type": "publish", "id": "p", "channel": channel, "data": data, **fields})
    return (await peer.expect("ok", skip=("ping", "event")))["result"]


async def events(peer: Peer, count: int) -> list[tuple[int, Any]]:
    found = [await peer.expect("event", skip=SKIP) for _ in range(count)]
    return [(event["offset"], event["data"]) for event in found]


@pytest.fixture
def channel(request: pytest.FixtureRequest) -> str:
    """A name of this test's own: the servers are shared."""
    return "room:" + request.node.name.replace("[", "-").replace("]", "")


async def test_p1_publications_come_once_and_in_order_to_everybody_who_is_subscribed(shared, channel):
    token = shared.token(60)
    async with (
        speaking(shared, token) as one,
        speaking(shared, token) as other,
        speaking(shared, token) as by,
    ):
        assert (await subscribe(one, channel))["offset"] == 0
        assert (await subscribe(other, channel))["recovered"] is False
        sent = [await publish(by, channel, {"n": n}) for n in range(20)]
        assert [position["offset"] for position in sent] == list(range(1, 21))
        expected = [(n + 1, {"n": n}) for n in range(20)]
        assert await events(one, 20) == expected
        assert await events(other, 20) == expected


async def test_p2_a_position_brings_back_all_that_was_missed_before_anything_newer(shared, channel):
    token = shared.token(60)
    async with speaking(shared, token) as by:
        async with speaking(shared, token) as peer:
            first = await subscribe(peer, channel)
            await publish(by, channel, 1)
            assert await events(peer, 1) == [(1, 1)]
        for n in (2, 3, 4):
            await publish(by, channel, n)
        async with speaking(shared, token) as peer:
            back = await subscribe(peer, channel, since={"epoch": first["epoch"], "offset": 1})
            assert (back["recovered"], back["offset"], back["positioned"]) == (True, 4, True)
            await publish(by, channel, 5)
            assert await events(peer, 4) == [(2, 2), (3, 3), (4, 4), (5, 5)]


@pytest.mark.parametrize("since", [{"epoch": "another", "offset": 1}, {"offset": 99}])
async def test_p2_a_position_that_cannot_be_continued_says_so_and_brings_no_part(shared, channel, since):
    token = shared.token(60)
    async with speaking(shared, token) as by, speaking(shared, token) as peer:
        epoch = (await publish(by, channel, 1))["epoch"]
        back = await subscribe(peer, channel, since={"epoch": epoch, **since})
        assert (back["recovered"], back["offset"], back["epoch"]) == (False, 1, epoch)
        await publish(by, channel, 2)
        assert await events(peer, 1) == [(2, 2)]


async def test_p3_what_no_rule_opens_is_closed_and_reading_is_not_publishing(shared):
    async with speaking(shared, shared.token(60)) as peer:
        assert await refused(peer, "subscribe", "nobody:knows") == "forbidden"
        assert await refused(peer, "subscribe", "closed:1") == "forbidden"
        assert await refused(peer, "history", "closed:1") == "forbidden"
        await subscribe(peer, "read:1")
        assert await refused(peer, "publish", "read:1", data=1) == "forbidden"
        assert await refused(peer, "presence", "read:1") == "forbidden"
        assert await refused(peer, "subscribe", "broken:1") == "try_later"
        assert await refused(peer, "subscribe", "two words") == "bad_channel"
        assert await refused(peer, "subscribe", "read:1") == "already_subscribed"


async def test_p3_everybody_has_a_channel_of_their_own(shared):
    async with speaking(shared, shared.token(60, user="ann")) as peer:
        await subscribe(peer, "user:ann")
        assert await refused(peer, "subscribe", "user:bob") == "forbidden"
        answer = await asyncio.to_thread(
            shared.http.post, f"{shared.url}/publish", json={"channel": "user:ann", "data": "hello"}
        )
        assert answer.status_code == 200
        assert (await events(peer, 1))[0][1] == "hello"


async def test_p4_a_right_lost_at_a_renewal_ends_that_subscription_and_nothing_else(shared, channel):
    async with speaking(shared, shared.token(60)) as peer:
        await subscribe(peer, "fickle:1")
        await subscribe(peer, channel)
        await asyncio.to_thread(shared.http.post, f"{shared.url}/fickle", json=False)
        await peer.send({"type": "auth", "id": 1, "token": shared.token(90)})
        gone = await peer.expect("unsubscribed", skip=("ping", "auth.ok"))
        assert (gone["channel"], gone["reason"]) == ("fickle:1", "revoked")
        await publish(peer, channel, "still here")
        assert (await peer.expect("event"))["data"] == "still here"
        await asyncio.to_thread(shared.http.post, f"{shared.url}/fickle", json=True)


async def test_p6_a_key_that_comes_again_publishes_nothing(shared, channel):
    async with speaking(shared, shared.token(60)) as peer:
        await subscribe(peer, channel)
        first = await publish(peer, channel, "once", key="k")
        assert await publish(peer, channel, "once", key="k") == first
        await publish(peer, channel, "two")
        history = {"type": "history", "id": 7, "channel": channel}
        await peer.send(history)
        read = (await peer.expect("ok", skip=("ping", "event")))["result"]
        assert [one["data"] for one in read["publications"]] == ["once", "two"]


async def test_p7_those_who_asked_see_who_comes_and_goes(shared, channel):
    room = channel
    async with speaking(shared, shared.token(60, user="ann")) as ann:
        there = await subscribe(ann, room, presence=True)
        assert [member["user"] for member in there["presence"]] == ["ann"]
        async with speaking(shared, shared.token(60, user="bob")) as bob:
            assert "presence" not in await subscribe(bob, room)
            assert (await ann.expect("presence.join"))["user"] == "bob"
            await ann.send({"type": "presence", "id": 2, "channel": room})
            members = (await ann.expect("ok"))["result"]["members"]
            assert [member["user"] for member in members] == ["ann", "bob"]
        assert (await ann.expect("presence.leave"))["user"] == "bob"


async def test_a_plain_socket_loses_a_channel_with_the_role_that_opened_it(shared):
    """It is renewed through its session, without a word, and then is what the session's newest token says."""
    tokens = await asyncio.to_thread(shared.sign_in)
    tokens |= await asyncio.to_thread(have_roles, shared, tokens, ["staff"])
    url = f"{shared.ws}/ws?channel=staff:room&channel=room:open&channel=closed:1"
    async with await Peer.connect(url, carrier="plain", token=tokens["access_token"]) as peer:
        assert "closed:1" in (await peer.expect("error"))["message"]  # it was asked for last
        await said(shared, "staff:room", "to the staff")
        assert (await peer.message())["data"] == "to the staff"
        await asyncio.to_thread(have_roles, shared, tokens, [])
        assert (await peer.expect("error"))["code"] == "forbidden"
        await said(shared, "staff:room", "without them")
        await said(shared, "room:open", "to everybody")
        assert (await peer.message())["data"] == "to everybody"


async def test_a_right_that_the_app_takes_away_is_gone_at_once_on_every_node(serve, tmp_path):
    database = {"HOLDFAST_DATABASE_URL": f"sqlite:///{tmp_path / 'shared.db'}"}
    here, there = serve("uvicorn", **database), serve("uvicorn", **database)
    tokens = await asyncio.to_thread(here.sign_in)
    async with (
        speaking(here, tokens["access_token"]) as ann,
        speaking(here, here.token(60)) as somebody,
    ):
        for peer in (ann, somebody):
            await subscribe(peer, "fickle:1")
            await subscribe(peer, "room:1")
        for served in (here, there):
            assert await asyncio.to_thread(post, served, "/fickle", json=False)
        assert await asyncio.to_thread(post, there, "/recheck", json="ann")
        gone = await ann.expect("unsubscribed")
        assert (gone["channel"], gone["reason"]) == ("fickle:1", "revoked")
        for channel in ("fickle:1", "room:1"):
            assert await asyncio.to_thread(post, here, "/publish", json={"channel": channel, "data": 1})
        assert (await ann.expect("event"))["channel"] == "room:1"
        assert [(await somebody.expect("event"))["channel"] for _ in range(2)] == ["fickle:1", "room:1"]


def post(served: Any, path: str, **body: Any) -> bool:
    return served.http.post(served.url + path, **body).status_code == 200


def have_roles(served: Any, tokens: dict[str, Any], roles: list[str]) -> dict[str, Any]:
    """The next tokens, which say them."""
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert served.http.post(f"{served.url}/staff", json=roles, headers=bearer).status_code == 200
    answer = served.refresh(tokens["refresh_token"])
    assert answer.status_code == 200
    return answer.json()


async def said(served: Any, channel: str, data: str) -> None:
    """The app itself publishes it."""
    answer = await asyncio.to_thread(
        served.http.post, f"{served.url}/publish", json={"channel": channel, "data": data}
    )
    assert answer.status_code == 200


async def test_p8_a_plain_socket_asks_in_its_url_and_gets_bare_objects(shared, channel):
    token = shared.token(60)
    url = f"{shared.ws}/ws?channel={channel}&channel=read:2&channel=closed:1"
    async with await Peer.connect(url, carrier="plain", token=token) as peer:
        error = await peer.expect("error")
        assert error["code"] == "forbidden"
        assert "closed:1" in error["message"]
        async with speaking(shared, token) as by:
            await publish(by, channel, {"n": 1})
        assert await peer.message() == {"channel": channel, "offset": 1, "data": {"n": 1}}


async def test_unsubscribing_ends_it_and_asking_twice_is_harmless(shared, channel):
    async with speaking(shared, shared.token(60)) as peer:
        await subscribe(peer, channel)
        for _ in range(2):
            await peer.send({"type": "unsubscribe", "id": 3, "channel": channel})
            assert (await peer.expect("ok"))["result"] == {}
        await publish(peer, channel, "unheard")
        await peer.send({"type": "ping", "id": "end"})
        assert (await peer.expect("pong"))["id"] == "end"


async def test_p5_in_grace_events_go_on_and_requests_wait_for_a_proof(shared, channel):
    token = shared.token(60)
    async with speaking(shared, token) as by, speaking(shared, shared.token(2)) as peer:
        await subscribe(peer, channel)
        await peer.expect("auth.grace", skip=("ping", "auth.due"), timeout=10)
        assert await refused(peer, "publish", channel, data=1) == "auth_required"
        await publish(by, channel, "through")
        assert await events(peer, 1) == [(1, "through")]
        await peer.send({"type": "auth", "token": token})
        await peer.expect("auth.ok")
        assert (await publish(peer, channel, "again"))["offset"] == 2


async def test_limits_of_a_connection_are_told(serve):
    served = serve("uvicorn", HOLDFAST_MAX_CHANNELS_PER_CONNECTION=2)
    async with speaking(served, served.token(60)) as peer:
        await subscribe(peer, "room:1")
        await subscribe(peer, "room:2")
        assert await refused(peer, "subscribe", "room:3") == "too_many_channels"

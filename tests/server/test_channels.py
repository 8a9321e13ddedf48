"""The ready server's own channels: who reads and publishes, and what is counted of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import websockets
from prometheus_client.parser import text_string_to_metric_families

PASSWORD = "seaweed on a rock"


@pytest.fixture
async def admin(running: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with await running.as_admin() as client:
        yield client


@pytest.fixture
async def token(running: Any) -> str:
    """Of a program that is nobody in particular."""
    await running.parts.hold.sessions.add_user("ann", PASSWORD)
    found: str = await running.token("ann", PASSWORD)
    return found


async def counts(http: httpx.AsyncClient) -> dict[str, float]:
    text = (await http.get("/metrics")).text
    return {
        f"{sample.name} {' '.join(sample.labels.values())}".strip(): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_publications_deliveries_and_subscriptions_are_counted(
    running: Any, admin: httpx.AsyncClient, token: str
) -> None:
    url = f"{running.ws_url}/ws?token={token}&channel=job:1"
    async with websockets.connect(url) as one, websockets.connect(f"{url}&channel=public:news") as other:
        for socket in (one, other):
            await socket.send("{}")  # the echo comes after the subscription
            await socket.recv()
        for channel in ("job:1", "job:1", "public:news", "job:nobody"):
            body = {"channel": channel, "data": {"n": 1}}
            assert (await admin.post("/admin/publish", json=body)).status_code == 200
        assert json.loads(await one.recv()) == {"channel": "job:1", "offset": 1, "data": {"n": 1}}
        found = await counts(running.http)
        assert found["holdfast_publications_total"] == 4
        assert found["holdfast_deliveries_total live"] == 5, "nobody was subscribed to the fourth"
        assert (found["holdfast_subscriptions"], found["holdfast_channels"]) == (3, 2)
        stats = (await admin.get("/admin/stats")).json()
        assert stats["channels"] == 2
        assert (stats["totals"]["publications"], stats["totals"]["deliveries"]) == (4, 5)
        assert stats["totals"]["subscriptions"] == 3
        shown = (await admin.get("/admin/connections")).json()["connections"]
        assert sorted(sorted(one["channels"]) for one in shown) == [["job:1"], ["job:1", "public:news"]]
    async with asyncio.timeout(10):
        while (found := await counts(running.http))["holdfast_subscriptions"]:
            pass  # the sockets are closed, and the server hears of it in its own time
    assert found["holdfast_channels"] == 0


async def test_what_is_sent_to_make_up_for_a_gap_is_counted_apart(
    running: Any, admin: httpx.AsyncClient, token: str
) -> None:
    positions = [
        (await admin.post("/admin/publish", json={"channel": "job:2", "data": n})).json() for n in range(3)
    ]
    protocols = ["holdfast.v1", f"holdfast.bearer.{token}"]
    async with websockets.connect(f"{running.ws_url}/ws", subprotocols=protocols) as socket:
        assert json.loads(await socket.recv())["type"] == "welcome"
        await socket.send(
            json.dumps({"type": "subscribe", "id": 1, "channel": "job:2", "since": positions[0]})
        )
        assert json.loads(await socket.recv())["recovered"] is True
        assert [json.loads(await socket.recv())["offset"] for _ in range(2)] == [2, 3]
        found = await counts(running.http)
        assert (found["holdfast_deliveries_total recovered"], found["holdfast_deliveries_total live"]) == (
            2,
            0,
        )


async def test_p6_an_idempotency_key_publishes_once_in_its_channel_whatever_comes_with_it(
    running: Any, admin: httpx.AsyncClient
) -> None:
    async def publish(channel: str, data: str, key: str) -> httpx.Response:
        body = {"channel": channel, "data": data}
        return await admin.post("/admin/publish", json=body, headers={"Idempotency-Key": key})

    first = await publish("public:news", "hello", "17")
    again = await publish("public:news", "hello", "17")
    other_data = await publish("public:news", "good bye", "17")
    assert [answer.status_code for answer in (first, again, other_data)] == [200, 200, 200]
    assert first.json() == again.json() == other_data.json()
    hold = running.parts.hold
    assert (await hold.publish("public:news", "from the app", key="17")).offset == 1
    assert [one.data for one in (await hold.history("public:news")).publications] == ["hello"]
    assert (await publish("public:others", "hello", "17")).json()["offset"] == 1
    assert len((await hold.history("public:others")).publications) == 1
    assert (await publish("public:news", "next", "18")).json()["offset"] == 2
    for bad in ("", "k" * 129):
        refused = await publish("public:news", "hello", bad)
        assert (refused.status_code, refused.json()["code"]) == (422, "bad_input")


@pytest.mark.parametrize(
    ("publishers", "who"),
    [
        ("admins", {"admin"}),
        ("programs", {"admin", "program"}),
        ("everyone", {"admin", "program", "browser"}),
    ],
)
async def test_p3_the_settings_say_who_publishes_and_everybody_reads(
    start_server: Any, publishers: str, who: set[str]
) -> None:
    running = await start_server(publishers=publishers)
    hold = running.parts.hold
    user = await hold.sessions.add_user("ann", PASSWORD)
    kept = {}
    for name, client, roles in (
        ("program", "program", ()),
        ("browser", "browser", ()),
        ("admin", "browser", ("admin",)),
    ):
        grant = await hold.sign_in(user.id, name="ann", roles=roles, client=client)
        kept[name] = grant.access_token
    may = set()
    for name, token in kept.items():
        url = f"{running.ws_url}/ws"
        head = {"Authorization": f"Bearer {token}"}
        async with websockets.connect(url, subprotocols=["holdfast.v1"], additional_headers=head) as socket:
            await socket.recv()
            await socket.send('{"type":"publish","id":1,"channel":"job:1","data":1}')
            if json.loads(await socket.recv())["type"] == "ok":
                may.add(name)
            await socket.send('{"type":"subscribe","id":2,"channel":"job:1"}')
            assert json.loads(await socket.recv())["type"] == "subscribed"
            await socket.send('{"type":"publish","id":3,"channel":"elsewhere:1","data":1}')
            assert json.loads(await socket.recv())["code"] == "forbidden"
    assert may == who


async def test_a_handler_that_fails_ends_its_connection_and_says_so(running: Any, token: str) -> None:
    @running.parts.hold.on_message
    async def broken(socket: Any, message: Any) -> None:  # a handler's own shape
        raise RuntimeError("on purpose")

    async with websockets.connect(f"{running.ws_url}/ws?token={token}") as socket:
        await socket.send("{}")
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1011


async def test_more_than_is_carried_is_refused_with_a_413(admin: httpx.AsyncClient) -> None:
    for size, status in ((262_142, 200), (262_143, 413), (3_000_000, 413)):
        answer = await admin.post("/admin/publish", json={"channel": "job:1", "data": "x" * size})
        assert answer.status_code == status
    assert answer.json()["code"] == "too_large"
    assert "262144 bytes" in answer.json()["message"]


async def test_messages_of_a_connection_are_handled_one_after_the_other(running: Any, token: str) -> None:
    at_once = []

    @running.parts.hold.on_message
    async def slow(socket: Any, message: Any) -> None:
        at_once.append(message["n"])
        await asyncio.sleep(0)
        await socket.send_json({"done": message["n"], "at_once": len(at_once)})
        at_once.remove(message["n"])

    async with websockets.connect(f"{running.ws_url}/ws?token={token}") as socket:
        for n in range(20):
            await socket.send(json.dumps({"n": n}))
        answers = [json.loads(await socket.recv()) for _ in range(20)]
    assert answers == [{"done": n, "at_once": 1} for n in range(20)]

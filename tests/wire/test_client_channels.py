"""The Python client and the server, together: what each of them is tested for alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from holdfast.client import LiveConnection, RequestError, Session, Subscription, SubscriptionState

PATIENCE = 20.0


@pytest.fixture(params=["uvicorn", "uvicorn-fastlane"])
def served(request: pytest.FixtureRequest, serve: Callable[..., Any]) -> Any:
    return serve(request.param, ACCESS_TOKEN_EXPIRE_MINUTES=0.05)  # three seconds: every test sees renewals


@asynccontextmanager
async def connected(served: Any) -> AsyncIterator[tuple[Session, LiveConnection]]:
    async with Session(served.url) as session:
        await session.sign_in("ann", "correct horse battery staple")
        async with session.connect("/ws") as live:
            yield session, live


async def take(subscription: Subscription, count: int) -> list[Any]:
    async with asyncio.timeout(PATIENCE):
        return [(await anext(subscription)).data for _ in range(count)]


async def until(subscription: Subscription, state: SubscriptionState) -> None:
    reached = asyncio.Event()
    subscription.on(state, lambda _: reached.set())
    if subscription.state is not state:
        async with asyncio.timeout(PATIENCE):
            await reached.wait()


async def test_p5_what_one_publishes_the_other_hears_through_many_tokens(served: Any) -> None:
    async with connected(served) as (_, by), connected(served) as (session, live):
        job = live.subscribe("room:1")
        await job.subscribed()
        refreshed: asyncio.Queue[object] = asyncio.Queue()
        session.on("refreshed", refreshed.put_nowait)
        for renewal in range(3):
            for number in range(5):
                await by.publish("room:1", [renewal, number])
            async with asyncio.timeout(PATIENCE):
                await refreshed.get()
        assert await take(job, 15) == [[renewal, number] for renewal in range(3) for number in range(5)]
        assert [member.name for member in await live.presence("room:1")] == ["ann"]
        found = await live.history("room:1", limit=2)
        assert [event.data for event in found.publications] == [[2, 3], [2, 4]]


async def test_p4_a_right_that_ends_and_comes_back_loses_nothing(served: Any) -> None:
    async with connected(served) as (_, live):
        job, other = live.subscribe("fickle:1"), live.subscribe("room:1")
        await job.subscribed()
        await other.subscribed()
        assert served.http.post(f"{served.url}/fickle", json=False).status_code == 200
        await until(job, SubscriptionState.UNSUBSCRIBED)  # at the next renewal
        with pytest.raises(RequestError, match="revoked"):
            await anext(job)
        served.http.post(f"{served.url}/publish", json={"channel": "fickle:1", "data": "missed"})
        await live.publish("room:1", "still here")
        assert await take(other, 1) == ["still here"]
        served.http.post(f"{served.url}/fickle", json=True)
        assert await take(job, 1) == ["missed"]


async def test_what_there_is_no_rule_for_is_refused(served: Any) -> None:
    async with connected(served) as (_, live):
        with pytest.raises(RequestError, match="forbidden"):
            await live.subscribe("nothing:1").subscribed()
        with pytest.raises(RequestError, match="bad_channel"):
            await live.publish("no such name", 1)
        with pytest.raises(RequestError, match="forbidden"):
            await live.publish("read:1", 1)


@pytest.mark.parametrize("kind", ["uvicorn", "uvicorn-fastlane"])
async def test_more_channels_than_frames_in_a_second_are_subscribed_at_once(
    serve: Callable[..., Any], kind: str
) -> None:
    """The first time, and by whoever comes back, who would be sent away again and again."""
    limits = {"HOLDFAST_MAX_FRAMES_PER_SECOND": 10, "HOLDFAST_MAX_CHANNELS_PER_CONNECTION": 500}
    served = serve(kind, **limits)
    async with connected(served) as (_, live):
        lost: list[Any] = []
        live.on("lost", lost.append)
        rooms = [live.subscribe(f"room:{number}") for number in range(500)]
        there: asyncio.Queue[object] = asyncio.Queue()
        for room in rooms:
            room.on(SubscriptionState.SUBSCRIBED, there.put_nowait)
        await count(there, 500)
        assert served.http.post(f"{served.url}/disconnect").status_code == 200
        await count(there, 500)
        assert [announced.code for announced in lost] == [1001]
        await live.publish("room:499", "here")
        assert await take(rooms[499], 1) == ["here"]


async def count(there: asyncio.Queue[object], many: int) -> None:
    async with asyncio.timeout(PATIENCE):
        for _ in range(many):
            await there.get()

"""An app's own observer is told of everything, and may fail at all of it."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import httpx

from holdfast import Holdfast, Principal
from holdfast.testing.clock import ManualClock
from holdfast.testing.peer import Peer

DEADLINE = 20.0


class Broken:
    """Hears everything, and raises at all of it."""

    def __init__(self) -> None:
        self.heard: set[str] = set()

    def connection(self, what: str, *, detail: str = "", seconds: float | None = None) -> None:
        self._hear(f"connection {what}", detail, seconds)

    def session(self, what: str) -> None:
        self._hear(f"session {what}")

    def channel(self, what: str, count: int = 1) -> None:
        self._hear(f"channel {what}", count)

    def _hear(self, what: str, *_: Any) -> None:
        self.heard.add(what)
        raise RuntimeError(f"cannot count {what}")


def with_rooms(hold: Holdfast) -> Any:
    from starlette.applications import Starlette

    @hold.channel("room:{name}")
    def room(user: Principal, name: str) -> bool:
        return bool(user.id and name)

    return Starlette(routes=list(hold.routes), lifespan=hold.lifespan)


async def test_an_observer_that_raises_keeps_no_lease_from_ending(holdfast_factory, caplog) -> None:
    caplog.set_level(logging.ERROR, "holdfast")
    clock, observer = ManualClock(), Broken()
    server = holdfast_factory(
        with_rooms, clock=clock, observer=observer, access_token_expire_minutes=0.1, live_grace_seconds=0
    )
    token = await asyncio.to_thread(server.token, "ann")
    async with await Peer.connect(f"{server.ws_url}/ws", carrier="subprotocol", token=token) as peer:
        await peer.expect("welcome")
        await peer.send({"type": "subscribe", "id": 1, "channel": "room:1"})
        await peer.expect("subscribed")
        for number in range(3):
            await asyncio.to_thread(server.run, server.hold.publish("room:1", number))
            assert (await peer.expect("event"))["data"] == number
        await asyncio.to_thread(server.run, clock.advance(5))
        await peer.expect("auth.due")
        await asyncio.to_thread(server.run, clock.advance(2))
        assert (await peer.closed()).code == 4003
    assert observer.heard >= {"connection proven", "connection due", "connection ended", "channel delivered"}
    told = [record.getMessage() for record in caplog.records if "observer failed" in record.getMessage()]
    assert len(told) == len(set(told)) == len(observer.heard)


async def test_an_observer_that_raises_changes_no_answer(holdfast_factory) -> None:
    observer = Broken()
    server = holdfast_factory(observer=observer)
    await asyncio.to_thread(server.user, "ann")
    async with httpx.AsyncClient(base_url=server.url) as client:
        answer = await client.post("/token", data={"username": "ann", "password": "not hers at all"})
    assert answer.status_code == 401
    assert "session user.sign_in_failed" in observer.heard

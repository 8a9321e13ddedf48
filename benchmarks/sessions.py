"""The scenes over HTTP: refreshes, and how soon a revocation has closed everything. The clients are in Python here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop
from figures import in_turn
from peer import TEXT, LiveWire, Page, Upgrade, dial, masked
from scenes import Bench
from servers import Server

AT_ONCE = 32
CONNECTIONS = 1_000
REFRESHES = 200
"""In one round."""
PATIENCE = 300.0
"""Seconds for one scene, after which something hangs."""

QUESTION = masked(TEXT, b'{"note": "is anybody there?"}')
TUTORIAL, STORED, REFRESH = "tutorial", "tutorial-stored", "holdfast"
ROOMY = {"HOLDFAST_MAX_FRAMES_PER_SECOND": 100_000, "HOLDFAST_MAX_CONNECTIONS_PER_USER": 10_000}
ROTATING = {"HOLDFAST_ROTATION_WINDOW_SECONDS": 0}
"""Every refresh rotates; within the window a repeated one would get the same token again."""


def play(bench: Bench) -> None:
    """The scenes of this module that were asked for."""
    wanted = [scene for scene in (refreshes, revocations) if scene.__name__ in bench.options.scenes]
    if wanted:
        bench.cores.beside_server()
    for scene in wanted:
        uvloop.run(_in_time(scene(bench)))
        bench.servers.stop_all()


async def _in_time(scene: Awaitable[None]) -> None:
    async with asyncio.timeout(PATIENCE):
        await scene


async def session(server: Server, user: str) -> dict[str, Any]:
    """A new session's tokens."""
    page = Page(server.port)
    status, tokens = await page.post(f"/bench/session?user={user}")
    await page.close()
    assert status == 200, status
    return tokens


# Refreshes


async def refreshes(bench: Bench) -> None:
    """The tutorial's refresh stores nothing, or one row; Holdfast's rotates, audits, and tells every process."""
    by_hand = bench.servers.start_uvicorn("subject_tutorial")
    ours = bench.servers.start_uvicorn("subject_holdfast", ROTATING)
    ways = {
        TUTORIAL: await Refreshing.of(by_hand, "/auth/refresh", "a"),
        STORED: await Refreshing.of(by_hand, "/auth/refresh-stored", "b"),
        REFRESH: await Refreshing.of(ours, "/auth/refresh", "c"),
    }
    for way in ways.values():
        await way.run(AT_ONCE)
    for at_once in (1, AT_ONCE):
        for number, name in in_turn(list(ways), bench.options.rounds):
            await ways[name].measure(bench, at_once, number, name)
        bench.tell(f"refreshes@{at_once}", f"refresh-cpu@{at_once}")
    for way in ways.values():
        await way.close()


class Refreshing:
    """Sessions of one server, each with the connection that it refreshes over."""

    def __init__(self, server: Server, path: str, tokens: list[str]) -> None:
        self._server = server
        self._path = path
        self._tokens = tokens
        self._pages = [Page(server.port) for _ in tokens]

    @classmethod
    async def of(cls, server: Server, path: str, user: str) -> Refreshing:
        opened = [await session(server, f"{user}{number}") for number in range(AT_ONCE)]
        return cls(server, path, [tokens["refresh_token"] for tokens in opened])

    async def measure(self, bench: Bench, at_once: int, number: int, name: str) -> None:
        cpu = self._server.cpu_seconds()
        started = time.perf_counter()
        await self.run(at_once)
        seconds = time.perf_counter() - started
        after = self._server.cpu_seconds()
        bench.results.add(f"refreshes@{at_once}", name, number, REFRESHES / seconds)
        if cpu is not None and after is not None:
            bench.results.add(f"refresh-cpu@{at_once}", name, number, (after - cpu) / REFRESHES * 1e6)

    async def run(self, at_once: int) -> None:
        await share_out(REFRESHES, at_once, self._refresh)

    async def close(self) -> None:
        for page in self._pages:
            await page.close()

    async def _refresh(self, worker: int) -> None:
        status, tokens = await self._pages[worker].post(self._path, {"refresh_token": self._tokens[worker]})
        assert status == 200, tokens
        self._tokens[worker] = tokens["refresh_token"]


# Revocations


async def revocations(bench: Bench) -> None:
    """A tutorial's endpoint has nothing to compare with: its connections go on until they leave by themselves."""
    here = bench.servers.start_uvicorn("subject_holdfast", ROOMY | ROTATING, data="shared")
    there = bench.servers.start_uvicorn("subject_holdfast", ROOMY | ROTATING, data="shared")
    ways: dict[str, tuple[Server, End]] = {
        "logout": (here, log_out),
        "user-disabled": (here, disable),
        "token-reused": (here, reuse),
        "logout-elsewhere": (there, log_out),
    }
    key = f"revoked@{CONNECTIONS}"
    for number, name in in_turn(list(ways), bench.options.rounds):
        asked_server, end = ways[name]
        last = await revoke(here, asked_server, end, f"{name}-{number}")
        bench.results.add(key, name, number, last)
    bench.tell(key)


End = Callable[[Server, dict[str, Any]], Awaitable[None]]


async def revoke(here: Server, asked_server: Server, end: End, user: str) -> float:
    """Milliseconds until the last of the user's connections, half of them plain, has been told.

    The connections are at `here`; the request goes to the other.
    """
    tokens = {**await session(here, user), "user": user}
    if end is reuse:
        tokens |= await refreshed_twice(here, tokens["refresh_token"])
    upgrades = (plain(tokens["access_token"]), speaking(tokens["access_token"]))
    halves = [await open_idle(here, upgrade, CONNECTIONS // 2) for upgrade in upgrades]
    wires = [wire for half in halves for wire in half]
    started = asyncio.get_running_loop().time()
    await end(asked_server, tokens)
    endings = await asyncio.gather(*(wire.ended for wire in wires))
    assert {ending.code for ending in endings} == {4001}, {ending.code for ending in endings}
    return max((ending.at - started) * 1000 for ending in endings)


async def log_out(server: Server, tokens: dict[str, Any]) -> None:
    await asked(server, "/auth/logout", 204, Authorization=f"Bearer {tokens['access_token']}")


async def disable(server: Server, tokens: dict[str, Any]) -> None:
    await asked(server, f"/bench/disable?user={tokens['user']}", 200)


async def reuse(server: Server, tokens: dict[str, Any]) -> None:
    await asked(server, "/auth/refresh", 401, {"refresh_token": tokens["old"]})


async def refreshed_twice(server: Server, first: str) -> dict[str, Any]:
    page, token = Page(server.port), first
    tokens: dict[str, Any] = {}
    for _ in range(2):
        _, tokens = await page.post("/auth/refresh", {"refresh_token": token})
        token = tokens["refresh_token"]
    await page.close()
    return {**tokens, "old": first}


async def asked(
    server: Server, path: str, expected: int, body: dict[str, Any] | None = None, **headers: str
) -> None:
    page = Page(server.port)
    status, answer = await page.post(path, body, **headers)
    await page.close()
    assert status == expected, (status, answer)


def plain(token: str) -> Upgrade:
    return Upgrade(f"/live?token={token}")


def speaking(token: str) -> Upgrade:
    protocols = f"Sec-WebSocket-Protocol: holdfast.v1, holdfast.bearer.{token}\r\n"
    return Upgrade("/live", protocols, unasked=1)


async def open_idle(server: Server, upgrade: Upgrade, count: int) -> list[LiveWire]:
    """Connections that have been answered once, and now wait."""
    wires: list[LiveWire] = []

    async def one() -> None:
        wires.append(await answered_once(server, upgrade))

    await share_out(count, AT_ONCE, lambda _: one())
    return wires


async def answered_once(server: Server, upgrade: Upgrade) -> LiveWire:
    answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    wire = await dial(upgrade, server.port, lambda _: answered.done() or answered.set_result(None))
    wire.say(QUESTION)
    await answered
    return wire


async def share_out(count: int, workers: int, work: Callable[[int], Awaitable[None]]) -> None:
    """Do something so often, by so many at once."""
    left = iter(range(count))

    async def worker(number: int) -> None:
        for _ in left:
            await work(number)

    await asyncio.gather(*(worker(number) for number in range(workers)))

"""What is measured: one function for each table."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import nan
from statistics import median
from typing import Any

from peer import DEFLATE, TEXT, LiveWire, Page, Upgrade, dial, ignore, masked
from rounds import SECONDS, Figure, Sample, measure, take_turns, up_to
from servers import Server, Servers

AT_ONCE = 32
CONNECTIONS = 1_000
HANDSHAKES = 200
"""In one round; five rounds make a thousand."""
REFRESHES = 200
ECHOES = 3_000
MESSAGE = masked(TEXT, json.dumps({"progress": 42, "note": "n" * 96}).encode())
"""128 bytes with its header."""

TUTORIAL, PLAIN, V1 = "tutorial", "holdfast, plain", "holdfast.v1"
DEFLATED = "tutorial, deflate"
STORED, REFRESH = "tutorial, 1 write", "holdfast"
ROOMY = {"HOLDFAST_MAX_FRAMES_PER_SECOND": 100_000, "HOLDFAST_MAX_CONNECTIONS_PER_USER": 10_000}
ROTATING = {"HOLDFAST_ROTATION_WINDOW_SECONDS": 0}
"""Every refresh rotates; within the window a repeated one would get the same token again."""


@dataclass(frozen=True)
class Subject:
    """A server and how to speak with it."""

    server: Server
    upgrade: Upgrade


async def live_subjects(servers: Servers) -> dict[str, Subject]:
    """The tutorial first: it is what the others are held to."""
    started: dict[tuple[str, bool], Server] = {}

    def server_of(app: str, deflate: bool) -> Server:
        key = (app, deflate)
        if key not in started:
            started[key] = servers.start(app, ROOMY, deflate=deflate)
        return started[key]

    return {name: await live_subject(name, server_of) for name in (TUTORIAL, PLAIN, V1, DEFLATED)}


async def live_subject(name: str, server_of: Callable[[str, bool], Server]) -> Subject:
    app = "subject_tutorial" if name in (TUTORIAL, DEFLATED) else "subject_holdfast"
    server = server_of(app, name == DEFLATED)
    token = (await session(server, "ann"))["access_token"]
    if name == V1:
        return Subject(server, speaking(token))
    return Subject(server, plain(token, DEFLATE if name == DEFLATED else ""))


def plain(token: str, headers: str = "") -> Upgrade:
    return Upgrade(f"/live?token={token}", headers)


def speaking(token: str) -> Upgrade:
    protocols = f"Sec-WebSocket-Protocol: holdfast.v1, holdfast.bearer.{token}\r\n"
    return Upgrade("/live", protocols, unasked=1)


async def session(server: Server, user: str) -> dict[str, Any]:
    """A new session's tokens."""
    page = Page(server.port)
    status, tokens = await page.post(f"/bench/session?user={user}")
    await page.close()
    assert status == 200, status
    return tokens


# Handshakes


async def handshakes(servers: Servers, rounds: int) -> str:
    subjects = await live_subjects(servers)
    for subject in subjects.values():
        await connect_each(subject, HANDSHAKES, AT_ONCE)
    tables = [
        await take_turns(list(subjects), rounds, partial(handshake, subjects, each)) for each in (1, AT_ONCE)
    ]
    title = f"Handshakes a second: token checked, first message echoed, closed; rounds of {HANDSHAKES}"
    return table(title, ("one after another", f"{AT_ONCE} at once"), tables)


async def handshake(subjects: dict[str, Subject], at_once: int, name: str) -> Sample:
    subject = subjects[name]
    return await measure(subject.server, HANDSHAKES, partial(connect_each, subject, HANDSHAKES, at_once))


async def connect_each(subject: Subject, count: int, at_once: int) -> None:
    async def one() -> None:
        await (await answered_once(subject)).close()

    await share_out(count, at_once, lambda _: one())


# Refreshes


async def refreshes(servers: Servers, rounds: int) -> str:
    by_hand = servers.start("subject_tutorial")
    ours = servers.start("subject_holdfast", ROTATING)
    ways = {
        TUTORIAL: await Refreshing.of(by_hand, "/auth/refresh", "a"),
        STORED: await Refreshing.of(by_hand, "/auth/refresh-stored", "b"),
        REFRESH: await Refreshing.of(ours, "/auth/refresh", "c"),
    }
    for way in ways.values():
        await way.run(REFRESHES, AT_ONCE)
    tables = [
        await take_turns(list(ways), rounds, partial(Refreshing.turn, ways, each)) for each in (1, AT_ONCE)
    ]
    for way in ways.values():
        await way.close()
    title = f"Refreshes a second over HTTP, kept alive; rounds of {REFRESHES}"
    return table(title, ("one session", f"{AT_ONCE} sessions at once"), tables)


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

    @staticmethod
    async def turn(ways: dict[str, Refreshing], at_once: int, name: str) -> Sample:
        way = ways[name]
        return await measure(way._server, REFRESHES, partial(way.run, REFRESHES, at_once))

    async def run(self, count: int, at_once: int) -> None:
        await share_out(count, at_once, self._refresh)

    async def close(self) -> None:
        for page in self._pages:
            await page.close()

    async def _refresh(self, worker: int) -> None:
        status, tokens = await self._pages[worker].post(self._path, {"refresh_token": self._tokens[worker]})
        assert status == 200, tokens
        self._tokens[worker] = tokens["refresh_token"]


# Echoes


async def echoes(servers: Servers, rounds: int) -> str:
    subjects = await live_subjects(servers)
    ways = {"1 connection": (1, 1), "1, 32 in flight": (1, 32), "100 connections": (100, 1)}
    tables = []
    for connections, in_flight in ways.values():
        open_ = {name: await Echoing.of(each, connections, in_flight) for name, each in subjects.items()}
        for echoing in open_.values():
            await echoing.run()
        tables.append(await take_turns(list(subjects), rounds, partial(Echoing.turn, open_)))
        for echoing in open_.values():
            await echoing.close()
    return table(f"JSON messages echoed a second, 128 bytes each; rounds of {ECHOES}", tuple(ways), tables)


class Echoing:
    """Connections that send again as soon as they are answered, from within the read."""

    def __init__(self, subject: Subject, in_flight: int) -> None:
        self._subject = subject
        self._in_flight = in_flight
        self._to_send = self._to_come = 0
        self._wires: list[LiveWire] = []
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    async def of(cls, subject: Subject, connections: int, in_flight: int) -> Echoing:
        made = cls(subject, in_flight)
        made._wires = [
            await dial(subject.upgrade, subject.server.port, made._answered) for _ in range(connections)
        ]
        await asyncio.gather(*(wire.ready for wire in made._wires))
        return made

    @staticmethod
    async def turn(open_: dict[str, Echoing], name: str) -> Sample:
        return await measure(open_[name]._subject.server, ECHOES, open_[name].run)

    async def run(self) -> None:
        self._to_send = self._to_come = ECHOES
        self._done = asyncio.get_running_loop().create_future()
        for _ in range(self._in_flight):
            for wire in self._wires:
                self._send(wire)
        await self._done

    async def close(self) -> None:
        await asyncio.gather(*(wire.close() for wire in self._wires))

    def _send(self, wire: LiveWire) -> None:
        if self._to_send:
            self._to_send -= 1
            wire.say(MESSAGE)

    def _answered(self, wire: LiveWire) -> None:
        self._to_come -= 1
        if not self._to_come:
            self._done.set_result(None)
        self._send(wire)


# Memory


async def memory(servers: Servers, _rounds: int) -> str:
    lines = [f"KB of the server for one idle connection, of {CONNECTIONS}, each echoed once"]
    base = None
    for name in (TUTORIAL, PLAIN, V1, DEFLATED):
        subject = await live_subject(name, lambda app, deflate: servers.start(app, ROOMY, deflate=deflate))
        await connect_each(subject, 2 * AT_ONCE, AT_ONCE)
        before = subject.server.memory_kb()
        wires = await open_idle(subject, CONNECTIONS)
        after = subject.server.memory_kb()
        await asyncio.gather(*(wire.close() for wire in wires))
        await asyncio.to_thread(servers.stop_all)
        if before is None or after is None:
            return f"{lines[0]}: not known here, as there is no /proc"
        each = (after - before) / CONNECTIONS
        base = base or each
        lines.append(f"  {name:<20}{each:>10.1f}   x{each / base:.2f}")
    return "\n".join(lines)


async def open_idle(subject: Subject, count: int) -> list[LiveWire]:
    """Connections that have been answered once, and now wait."""
    wires: list[LiveWire] = []

    async def one() -> None:
        wires.append(await answered_once(subject))

    await share_out(count, AT_ONCE, lambda _: one())
    return wires


async def answered_once(subject: Subject) -> LiveWire:
    answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    wire = await dial(subject.upgrade, subject.server.port, lambda _: answered.set_result(None))
    wire.say(MESSAGE)
    await answered
    wire.on_text = ignore
    return wire


# Revocations


async def revocations(servers: Servers, rounds: int) -> str:
    here = servers.start("subject_holdfast", ROOMY | ROTATING, data="shared")
    there = servers.start("subject_holdfast", ROOMY | ROTATING, data="shared")
    ways = {
        "logout": (here, log_out),
        "user disabled": (here, disable),
        "refresh token reused": (here, reuse),
        "logout, at another process": (there, log_out),
    }
    taken: dict[str, list[Revoked]] = {name: [] for name in ways}
    for number in up_to(rounds, 2 * SECONDS):
        for name, (asked, end) in ways.items():
            user = f"{end.__name__}-{asked.port}-{number}"
            taken[name].append(await revoke(here, asked, end, user))
    done = len(taken["logout"])
    title = f"Milliseconds from a request to {CONNECTIONS} close frames (4001); {done} rounds"
    lines = [title, f"  {'':<28}{'first':>10}{'last':>10}{'at worst':>10}{'CPU':>10}"]
    for name, times in taken.items():
        shown = [median(each.first for each in times), median(each.last for each in times)]
        shown += [max(each.last for each in times), median(each.cpu for each in times)]
        lines.append(f"  {name:<28}" + "".join(f"{each:>10.0f}" for each in shown))
    lines.append(
        "  The endpoint written by hand closes none: its connections go on until they leave by themselves."
    )
    return "\n".join(lines)


@dataclass(frozen=True)
class Revoked:
    """When the first and the last close frame came, in milliseconds from the request, and what it took of the CPU."""

    first: float
    last: float
    cpu: float


End = Callable[[Server, dict[str, Any]], Awaitable[None]]


async def revoke(here: Server, asked: Server, end: End, user: str) -> Revoked:
    """Connections are at `here`, half of them plain and half holdfast.v1; the request goes to `asked`."""
    tokens = {**await session(here, user), "user": user}
    if end is reuse:
        tokens |= await refreshed_twice(here, tokens["refresh_token"])
    upgrades = (plain(tokens["access_token"]), speaking(tokens["access_token"]))
    halves = [await open_idle(Subject(here, upgrade), CONNECTIONS // 2) for upgrade in upgrades]
    wires = [wire for half in halves for wire in half]
    started, cpu = asyncio.get_running_loop().time(), here.cpu_seconds()
    await end(asked, tokens)
    endings = await asyncio.gather(*(wire.ended for wire in wires))
    cpu_after = here.cpu_seconds()
    assert {ending.code for ending in endings} == {4001}, {ending.code for ending in endings}
    came = [(ending.at - started) * 1000 for ending in endings]
    used = nan if cpu is None or cpu_after is None else (cpu_after - cpu) * 1000
    return Revoked(min(came), max(came), used)


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


# Common ground


async def share_out(count: int, workers: int, work: Callable[[int], Awaitable[None]]) -> None:
    """Do something so often, by so many at once."""
    left = iter(range(count))

    async def worker(number: int) -> None:
        for _ in left:
            await work(number)

    await asyncio.gather(*(worker(number) for number in range(workers)))


def table(title: str, ways: Sequence[str], measured: list[dict[str, Figure]]) -> str:
    """A row for each subject, and for each way: a second, times the first subject, CPU of the server."""
    heads = [f"{way}, {figures[TUTORIAL].rounds} rounds" for way, figures in zip(ways, measured, strict=True)]
    lines = [title, f"  {'':<20}" + "".join(f"{head:>34}" for head in heads)]
    lines.append(f"  {'':<20}" + f"{'/s':>12}{'x':>7}{'CPU us':>9}{'x':>6}" * len(ways))
    for name in measured[0]:
        cells = [figures[name] for figures in measured]
        lines.append(f"  {name:<20}" + "".join(_cell(each) for each in cells))
    return "\n".join(lines)


def _cell(each: Figure) -> str:
    cpu = "-" if each.cpu_us is None else f"{each.cpu_us:.0f}"
    ratio = "-" if each.cpu_times is None else f"{each.cpu_times:.2f}"
    return f"{each.per_second:>12,.0f}{each.times:>7.2f}{cpu:>9}{ratio:>6}"

"""The scenes that the load generator plays before every subject in turn."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from figures import in_turn
from loader import Load, LoadError
from options import Options
from results import Results, goals_table, table
from servers import Cores, NotStartedError, Server, Servers
from subjects import Subject

AT_ONCE = 64
"""Handshakes that are on their way together."""
WARM_UP = 64
DELIVERIES_A_SECOND = 20_000
FEWEST_MESSAGES = 12
ECHOING = 100

TURNS = {"fanout": 3, "bursts": 3}
"""Slices of a round: of these figures, one slice differs from the next by a fifth for no reason but the machine's."""

# A kernel takes about 3 MB for a loopback connection whose client does not read; at 400 KB/s that is over within the
# 14 seconds, and then it is the server's turn to decide.
STALLED_PER_SECOND, STALLED_BYTES = 50, 8_192
CALM_SECONDS, STALLED_SECONDS = 8.0, 14.0
STALLED_SHARE = 100


@dataclass
class Bench:
    """One run: what was asked for, what there is to do it with, and what has come out."""

    options: Options
    subjects: Sequence[Subject]
    results: Results
    servers: Servers
    cores: Cores
    build: Path
    tokens: Path
    publisher: Path

    def who(self, scene: str) -> list[Subject]:
        """The subjects that take part in a scene."""
        return [subject for subject in self.subjects if scene in subject.takes]

    def tell(self, *keys: str) -> None:
        """Show what has just been measured."""
        for key in keys:
            if key in self.results.samples:
                self.say(table(self.results, key))

    def say(self, text: str) -> None:
        out = sys.stderr if self.options.json == "-" else sys.stdout
        print(text, file=out, flush=True)


@dataclass(frozen=True)
class Seat:
    """A subject that runs, with the load generator in front of it."""

    subject: Subject
    server: Server
    load: Load


@contextmanager
def seated(bench: Bench, subject: Subject) -> Iterator[Seat]:
    """A subject that runs for as long as this lasts.

    Raises:
        NotStartedError: it does not start.
    """
    server = bench.servers.start(subject)
    load = Load(
        subject,
        server,
        program=bench.build / "load",
        tokens=bench.tokens,
        publisher=bench.publisher,
        cores=bench.cores,
    )
    try:
        yield Seat(subject, server, load)
    finally:
        load.close()
        bench.servers.stop(server)


def seen(answer: dict[str, Any]) -> dict[str, Any]:
    """What is kept of an answer beside the value: whether the figure can be believed."""
    seconds = answer["seconds"] or 1.0
    return {
        "load_idle": answer["load_idle"],
        "waited": max(answer["server_waited"], answer["load_waited"]) / seconds,
        "server_cpu": answer["server_cpu"] / seconds,
        "missing": answer.get("missing", 0) + answer.get("disordered", 0),
    }


def open_all(seat: Seat, count: int) -> None:
    """So many subscribers and a publisher.

    Raises:
        LoadError: not all of them are let in.
    """
    answer = seat.load.ask(f"connect {count} {AT_ONCE} 60", seconds=60)
    if answer["done"] < count:
        raise LoadError(f"{answer['done']} of {count} let in; {answer.get('first_failure', 'too slow')}")
    joined = seat.load.ask("join")["joined"]
    if joined < count:
        raise LoadError(f"{joined} of {count} subscribed")
    seat.load.ask("publisher")


# Handshakes, and what a connection weighs


def handshakes(bench: Bench) -> None:
    """A new server each time, since memory that was used before hides what is used now."""
    count = bench.options.connections
    names = {subject.name: subject for subject in bench.who("handshakes")}
    keys = [f"{name}@{count}" for name in ("handshakes", "subscribing", "memory")]
    for number, name in in_turn(list(names), bench.options.rounds):
        try:
            with seated(bench, names[name]) as seat:
                _handshakes(bench, seat, number, count)
        except (NotStartedError, LoadError) as error:
            bench.results.fail(keys[0], name, number, str(error))
    bench.tell(*keys)


def _handshakes(bench: Bench, seat: Seat, number: int, count: int) -> None:
    name, results = seat.subject.name, bench.results
    seat.load.ask(f"connect {WARM_UP} 8 10", seconds=10)
    seat.load.ask("join")
    before = seat.server.memory_kb()
    most = bench.options.handshake_seconds
    opened = seat.load.ask(f"connect {count} {AT_ONCE} {most}", seconds=most)
    if opened["failed"] or opened["closed_else"] or not opened["done"]:
        raise LoadError(opened.get("first_failure", "nobody was let in"))
    results.add(
        f"handshakes@{count}",
        name,
        number,
        opened["done"] / opened["seconds"],
        reached=opened["done"],
        **seen(opened),
    )
    joined = seat.load.ask("join")
    if joined["done"]:
        value = joined["done"] / joined["seconds"]
        results.add(f"subscribing@{count}", name, number, value, **seen(joined))
    seat.load.ask("rest 0.5", seconds=0.5)
    after = seat.server.memory_kb()
    if before is not None and after is not None:
        results.add(f"memory@{count}", name, number, (after - before) / opened["done"])


# Scenes for which all subjects run at once, each stopped while another is measured


def hall(bench: Bench, scenes: Sequence[str], count: int) -> None:
    """Play scenes before subjects with so many subscribers each, taking turns within every round."""
    with ExitStack() as stack:
        seats: dict[str, Seat] = {}
        for subject in bench.subjects:
            if subject.takes.isdisjoint(scenes):
                continue
            try:
                seat = stack.enter_context(seated(bench, subject))
                open_all(seat, count)
                seat.server.pause()
                seats[subject.name] = seat
            except (NotStartedError, LoadError) as error:
                for scene in scenes:
                    bench.results.fail(f"{KEYS[scene][0]}@{count}", subject.name, 0, str(error))
        for scene in scenes:
            _play(bench, scene, seats, count)
            bench.tell(*(f"{key}@{count}" for key in KEYS[scene]))


def _play(bench: Bench, scene: str, seats: dict[str, Seat], count: int) -> None:
    names = [subject.name for subject in bench.who(scene) if subject.name in seats]
    gone: set[str] = set()
    for number, name in in_turn(names, bench.options.rounds * TURNS.get(scene, 1)):
        if name in gone:
            continue
        seat = seats[name]
        seat.server.resume()
        try:
            seat.load.ask("rest 0.1", seconds=0.1)
            SCENES[scene](bench, seat, number, count)
        except LoadError as error:
            bench.results.fail(f"{KEYS[scene][0]}@{count}", name, number, str(error))
            gone.add(name)
        finally:
            seat.server.pause()


def _deliveries(answer: dict[str, Any]) -> float:
    if answer["stuck"]:
        raise LoadError("deliveries stopped before all had come")
    rate: float = answer["delivered"] / answer["seconds"]
    return rate


def fanout(bench: Bench, seat: Seat, number: int, count: int) -> None:
    seconds = bench.options.seconds
    answer = seat.load.ask(f"fanout 1 {seconds}", seconds=seconds)
    bench.results.add(f"fanout@{count}", seat.subject.name, number, _deliveries(answer), **seen(answer))


def bursts(bench: Bench, seat: Seat, number: int, count: int) -> None:
    seconds = bench.options.seconds
    answer = seat.load.ask(f"fanout 32 {seconds}", seconds=seconds)
    bench.results.add(f"bursts@{count}", seat.subject.name, number, _deliveries(answer), **seen(answer))


def latency(bench: Bench, seat: Seat, number: int, count: int) -> None:
    rate = DELIVERIES_A_SECOND / count
    seconds = max(2 * bench.options.seconds, FEWEST_MESSAGES / rate)
    answer = seat.load.ask(f"rate {rate} {seconds} 128 0", seconds=seconds)
    _deliveries(answer)
    for key, value in (
        ("p50", answer["p50_ms"]),
        ("p99", answer["p99_ms"]),
        ("cpu", 100 * answer["server_cpu"] / answer["seconds"]),
    ):
        bench.results.add(f"{key}@{count}", seat.subject.name, number, value, **seen(answer))


def echo(bench: Bench, seat: Seat, number: int, count: int) -> None:
    seconds = bench.options.seconds
    answer = seat.load.ask(f"echo {min(ECHOING, count)} {seconds}", seconds=seconds)
    bench.results.add(f"echo@{count}", seat.subject.name, number, _deliveries(answer), **seen(answer))


SCENES: dict[str, Callable[[Bench, Seat, int, int], None]] = {
    "fanout": fanout,
    "bursts": bursts,
    "latency": latency,
    "echo": echo,
}
KEYS = {"fanout": ("fanout",), "bursts": ("bursts",), "latency": ("p50", "p99", "cpu"), "echo": ("echo",)}


# Some do not read


def stalled(bench: Bench) -> None:
    """A new server each time, since what the silent ones have left behind would be carried on."""
    count = bench.options.subscribers[0]
    names = {subject.name: subject for subject in bench.who("stalled")}
    keys = [f"{name}@{count}" for name in ("stalled", "stalled-memory")]
    for number, name in in_turn(list(names), bench.options.rounds):
        try:
            with seated(bench, names[name]) as seat:
                open_all(seat, count)
                _stalled(bench, seat, number, count)
        except (NotStartedError, LoadError) as error:
            bench.results.fail(keys[0], name, number, str(error))
    bench.tell(*keys)


def _stalled(bench: Bench, seat: Seat, number: int, count: int) -> None:
    silent = max(1, count // STALLED_SHARE)
    sending = f"{STALLED_BYTES}"
    calm = seat.load.ask(f"rate {STALLED_PER_SECOND} {CALM_SECONDS} {sending} 0", seconds=CALM_SECONDS)
    _deliveries(calm)
    seat.server.forget_peak()
    before = seat.server.resident_kb()
    answer = seat.load.ask(
        f"rate {STALLED_PER_SECOND} {STALLED_SECONDS} {sending} {silent}", seconds=STALLED_SECONDS
    )
    peak = seat.server.peak_kb()
    ended = seat.load.ask("rest 1", seconds=1)
    name, results = seat.subject.name, bench.results
    if before is not None and peak is not None:
        grown = (peak - before) / 1024
        results.add(f"stalled-memory@{count}", name, number, grown, silent=silent, ended=ended["closed_slow"])
    if answer["stuck"]:
        raise LoadError(f"stops sending to everybody when {silent} of {count} do not read")
    value = answer["p99_ms"] / calm["p99_ms"]
    results.add(
        f"stalled@{count}",
        name,
        number,
        value,
        p99_before=calm["p99_ms"],
        p99_ms=answer["p99_ms"],
        ended=ended["closed_slow"],
        silent=silent,
        **seen(answer),
    )


def play(bench: Bench) -> None:
    """All scenes that were asked for and need the load generator."""
    wanted = bench.options.scenes
    if "handshakes" in wanted:
        handshakes(bench)
    shared = [scene for scene in SCENES if scene in wanted]
    for place, count in enumerate(bench.options.subscribers if shared else ()):
        # An echo does not know how many listen.
        hall(bench, [scene for scene in shared if scene != "echo" or place == 0], count)
    if "stalled" in wanted:
        stalled(bench)
    if goals := goals_table(bench.results):
        bench.say(goals)

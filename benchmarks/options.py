"""What a run is asked to do: the command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from subjects import BY_NAME, SUBJECTS

SCENES = ("handshakes", "fanout", "bursts", "latency", "echo", "stalled", "refreshes", "revocations")
MOST_CONNECTIONS = 20_000

QUICK = {
    "scenes": ("handshakes", "fanout", "bursts", "latency"),
    "subjects": ("limit", "limit-joined", "holdfast", "holdfast-route", "fastapi"),
    "connections": 2_000,
    "rounds": 3,
    "seconds": 0.3,
}
FULL = {"subscribers": (1_000, 5_000), "rounds": 5}


@dataclass(frozen=True)
class Options:
    """A run; seconds are those of one slice of measuring."""

    scenes: tuple[str, ...] = SCENES
    subjects: tuple[str, ...] = tuple(subject.name for subject in SUBJECTS)
    subscribers: tuple[int, ...] = (1_000,)
    connections: int = 10_000
    rounds: int = 3
    seconds: float = 1.0
    handshake_seconds: float = 12.0
    """A server that has not let all in by then is measured by those that it has."""
    realtime: bool = False
    json: str | None = None
    """Where the results go as JSON; `-` is stdout."""


def parse(arguments: Sequence[str] | None = None) -> Options:
    """The options of a command line; a wrong one ends the program with an explanation."""
    parser = _parser()
    given = vars(parser.parse_args(arguments))
    if given.pop("list"):
        print(_catalogue(), end="")
        parser.exit()
    preset = {}
    if given.pop("quick"):
        preset |= QUICK
    if given.pop("full"):
        preset |= FULL
    chosen = {**preset, **{name: value for name, value in given.items() if value is not None}}
    options = Options(**chosen)
    for kind, names, known in (
        ("scene", options.scenes, SCENES),
        ("subject", options.subjects, tuple(BY_NAME)),
    ):
        if unknown := [name for name in names if name not in known]:
            parser.error(f"no such {kind}: {', '.join(unknown)}; there are {', '.join(known)}")
    if max(options.connections, *options.subscribers) > MOST_CONNECTIONS:
        parser.error(f"more than {MOST_CONNECTIONS:,} connections")
    if options.rounds < 1 or options.seconds <= 0 or min(options.connections, *options.subscribers) < 1:
        parser.error("counts, rounds and seconds start above 0")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make bench ARGS=…",
        description="Holdfast beside its peers and the physical limit, in rounds that take turns.",
    )
    whole = Options()
    parser.add_argument("--scenes", type=_names, help=f"comma separated; {', '.join(SCENES)}")
    parser.add_argument("--subjects", type=_names, help="comma separated; --list names them")
    parser.add_argument("--subscribers", type=_counts, help="of fan-out and latency; 1000,5000 measures both")
    parser.add_argument("--connections", type=int, help=f"that handshakes go up to ({whole.connections})")
    parser.add_argument("--rounds", type=int, help=f"({whole.rounds})")
    parser.add_argument("--seconds", type=float, help=f"of one slice of measuring ({whole.seconds})")
    parser.add_argument("--quick", action="store_true", help="a rough answer in one or two minutes")
    parser.add_argument("--full", action="store_true", help="five rounds, 1,000 and 5,000 subscribers")
    parser.add_argument(
        "--realtime",
        action="store_true",
        default=None,
        help="what is measured comes before all else on this machine (root only)",
    )
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE", help="results as JSON, or to stdout")
    parser.add_argument("--list", action="store_true", help="say what can be measured, and end")
    return parser


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _counts(text: str) -> tuple[int, ...]:
    return tuple(int(count) for count in text.replace("_", "").split(","))


def _catalogue() -> str:
    lines = ["Scenes: " + ", ".join(SCENES), "Subjects:"]
    lines += [f"  {subject.name:<18}{subject.title}" for subject in SUBJECTS]
    return "\n".join(lines) + "\n"

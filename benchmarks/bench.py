"""Holdfast beside its peers, beside the endpoint that people write by hand, and beside the physical limit.

    make bench                                       # everything, in twenty to thirty minutes
    make bench ARGS="--quick"                        # a rough answer in one or two minutes
    make bench ARGS="--scenes fanout --subjects holdfast,fastapi,limit --rounds 5"
    make bench ARGS="--full --json benchmarks/results/latest.json"

Figures are medians of rounds in which the subjects take turns. The ratios within a round are the only numbers to
compare between machines.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import machine
import scenes
from install import NotInstalledError, build_tools, install
from options import Options, parse
from results import Results
from scenes import Bench
from servers import Cores, Servers
from subjects import BY_NAME, Subject

import sessions
import tokens

BUILD = Path(__file__).parent.parent / ".build" / "bench"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for."""
    options = parse(arguments)
    _raise_open_files()
    results = Results(options=options.__dict__.copy())
    try:
        build_tools(BUILD)
    except NotInstalledError as error:
        print(f"The load generator cannot be built: {error}", file=sys.stderr)
        return 2
    subjects = installed(options, results)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="run-", dir=BUILD) as home:
        run(Path(home), options, subjects, results)
    results.seconds = round(time.monotonic() - started, 1)
    print(f"\n{results.seconds:.0f} s in all", file=sys.stderr)
    write(results, options.json)
    return 0


def installed(options: Options, results: Results) -> list[Subject]:
    """The subjects that were asked for and can be had here; why the others cannot goes into the results."""
    found, problems = [], dict[str, str]()
    for name in options.subjects:
        subject = BY_NAME[name]
        if subject.kit and subject.kit not in problems:
            try:
                install(subject.kit, BUILD)
            except NotInstalledError as error:
                problems[subject.kit] = str(error)
        if subject.kit and subject.kit in problems:
            results.skipped[name] = problems[subject.kit]
            print(f"Skipped: {name}: {problems[subject.kit]}", file=sys.stderr)
        else:
            found.append(subject)
    return found


def run(home: Path, options: Options, subjects: list[Subject], results: Results) -> None:
    cores = Cores.of_this_machine(realtime=options.realtime)
    servers = Servers(home, BUILD, cores)
    results.machine = machine.describe(home) | {"pinned": cores.server != cores.load}
    results.versions = machine.versions(subjects, BUILD)
    files = home / "tokens", home / "publisher"
    tokens.write_tokens(files[0], servers.secret, max(options.connections, *options.subscribers))
    tokens.write_publisher(files[1], servers.secret)
    bench = Bench(options, subjects, results, servers, cores, BUILD, *files)
    bench.say(f"{results.machine['cpu']}, {results.machine['cores']} cores; {options.rounds} rounds")
    try:
        scenes.play(bench)
        sessions.play(bench)
    finally:
        servers.stop_all()


def write(results: Results, where: str | None) -> None:
    if where == "-":
        print(results.to_json())
    elif where is not None:
        Path(where).write_text(results.to_json() + "\n", encoding="utf-8")


def _raise_open_files() -> None:
    """As many open files as this process may have, for it and all that it starts."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = 65_536 if most == resource.RLIM_INFINITY else most
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))


if __name__ == "__main__":
    sys.exit(main())

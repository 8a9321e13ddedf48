"""What a run was made on, and with which versions."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from install import package_version
from subjects import Subject

OURS = ("uvicorn", "uvloop", "fastapi", "starlette", "pyjwt")
ROOT = Path(__file__).parent.parent


def describe(home: Path) -> dict[str, Any]:
    """The machine, as far as it matters here; `home` is on the disk that the servers write to."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "fsync_ms": round(fsync_ms(home), 2),
        "load_before": round(os.getloadavg()[0], 2),
        "taken": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def versions(subjects: list[Subject], build: Path) -> dict[str, str]:
    """Of what was measured and what it runs on."""
    found = {
        "Python": platform.python_version(),
        "gcc": _first_line("gcc", "-dumpfullversion"),
        "holdfast": _commit(),
    }
    found |= {name: version(name) for name in OURS}
    if any(subject.kit == "node" for subject in subjects):
        found["Node"] = _first_line("node", "--version")
    for subject in subjects:
        if subject.kit and subject.package:
            found[f"{subject.name}"] = package_version(subject.kit, subject.package, build)
    return found


def fsync_ms(home: Path) -> float:
    """How long this disk takes to keep 4 KB."""
    taken = []
    with (home / "fsync").open("wb", buffering=0) as file:
        for _ in range(50):
            started = time.perf_counter()
            file.write(bytes(4096))
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - started)
    return median(taken) * 1000


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )


def _commit() -> str:
    """The version, and the commit where there is one."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    return f"{version('holdfast')} ({_output(command) or 'no commit'})"


def _first_line(*command: str) -> str:
    return _output(list(command)).partition("\n")[0]


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603  # ours
    except OSError:
        return ""
    return done.stdout.strip()

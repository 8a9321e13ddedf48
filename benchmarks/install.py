"""Puts what the peers need into the build directory, each kit apart from the others and from Holdfast's own.

A lock file of peers/requirements is resolved anew from its `.in` with the options that the Makefile's `lock` has, and
`--constraint requirements/run.txt`, so that FastAPI and uvicorn are of one version on both sides.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "peers" / "requirements"
NODE = HERE / "peers" / "node"
PATIENCE = 600.0
COMPILER = ("gcc", "-O2", "-std=gnu11", "-Wall", "-Wextra", "-o")


class NotInstalledError(Exception):
    """A kit, or the load generator, could not be made here; says why in a line."""


def build_tools(build: Path) -> None:
    """The load generator and the physical limit, in C.

    Raises:
        NotInstalledError: there is no gcc, or it refuses.
    """
    build.mkdir(parents=True, exist_ok=True)
    for name, folder, pattern in (("load", HERE / "load", "*.c"), ("limit", HERE / "peers", "limit.c")):
        sources = [*folder.glob("*.[ch]")]
        target = build / name
        if target.exists() and target.stat().st_mtime > max(source.stat().st_mtime for source in sources):
            continue
        _run([*COMPILER, str(target), *sorted(map(str, folder.glob(pattern)))])


def install(kit: str, build: Path) -> None:
    """Install a kit, unless it is there as its lock file has it.

    Raises:
        NotInstalledError: it cannot be had here.
    """
    lock = NODE / "package-lock.json" if kit == "node" else REQUIREMENTS / f"{kit}.txt"
    home = build / kit
    wanted = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
    stamp = home / "installed"
    if not (stamp.exists() and stamp.read_text() == wanted):
        shutil.rmtree(home, ignore_errors=True)
        if kit == "node":
            _install_node(home)
        else:
            _install_python(home, lock)
        stamp.write_text(wanted)
    if kit == "node":
        for script in NODE.glob("*.js"):
            shutil.copy(script, home)


def _install_python(home: Path, lock: Path) -> None:
    _run([sys.executable, "-m", "venv", "--without-pip", str(home)])
    pip = [sys.executable, "-m", "pip", "--python", str(home / "bin" / "python"), "install", "--quiet"]
    _run([*pip, "--disable-pip-version-check", "--require-hashes", "-r", str(lock)])


def _install_node(home: Path) -> None:
    home.mkdir(parents=True)
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(NODE / name, home)
    _run(["npm", "ci", "--silent", "--ignore-scripts", "--prefix", str(home)])


def package_version(kit: str, package: str, build: Path) -> str:
    """The version that is installed."""
    if kit == "node":
        code = f"console.log(require('{build}/node/node_modules/{package}/package.json').version)"
        return _run(["node", "-e", code]).strip()
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    return _run([str(build / kit / "bin" / "python"), "-c", code]).strip()


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603  # our own commands, named above
            command, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except FileNotFoundError:
        raise NotInstalledError(f"there is no {command[0]} here") from None
    except subprocess.TimeoutExpired:
        raise NotInstalledError(f"{command[0]} took longer than {PATIENCE:.0f} s") from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["without a word"]
        raise NotInstalledError(f"{Path(command[0]).name} failed: {lines[-1][:200]}")
    return done.stdout

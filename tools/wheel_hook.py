"""What is built when Holdfast is installed from its sources: the part in C, where there is a compiler.

Neither that nor the dashboard has to be there. Whoever installs a wheel without one would miss it, and not who built
it, so the build says it; pip passes that on with `-v` only.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import sys_tags

PAGE = Path("src", "holdfast", "server", "static", "index.html")
NO_DASHBOARD = (
    "This wheel has no dashboard in it: `holdfast serve` will serve without one. To have it, build it before, "
    "with Node.js 20.19 or newer: make wheel"
)

SOURCE = Path("src", "holdfast", "asgi", "fastlane", "_descriptors.c")
BUILT = SOURCE.with_suffix(".abi3.so")
STABLE_ABI = "cp311-abi3"
"""What the source keeps to, so that one build fits every CPython from 3.11 on."""
NOT_COMPILED = "Holdfast will write to its subscribers in Python, a tenth slower than it could: {}"


class NotCompiledError(Exception):
    """There is nothing to compile with, or it refuses; says why."""


class WheelHook(BuildHookInterface):  # type: ignore[type-arg]  # hatchling gives its config no type
    """Compiles, and looks for the dashboard."""

    _folder: TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        editable = version == "editable"
        root = Path(self.root)
        if not editable and not (root / PAGE).is_file():
            self.app.display_warning(NO_DASHBOARD)
        try:
            if editable:
                compile_beside(root / SOURCE, root / BUILT)
            else:
                # Elsewhere: a wheel can be built from sources beside which nothing may be written.
                self._folder = TemporaryDirectory(prefix="holdfast-")
                made = Path(self._folder.name, BUILT.name)
                compile_it(root / SOURCE, made)
                build_data["force_include"][str(made)] = str(BUILT.relative_to("src"))
        except NotCompiledError as error:
            self.app.display_warning(NOT_COMPILED.format(error))
        else:
            build_data["pure_python"] = False
            build_data["tag"] = f"{STABLE_ABI}-{_platform()}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002  # the interface has them
        if self._folder is not None:
            self._folder.cleanup()


def compile_beside(source: Path, built: Path) -> None:
    """Build the part in C where an editable install looks for it. Raises `NotCompiledError`, and it is gone then."""
    try:
        # Put in its place when it is whole: servers may start from these sources meanwhile.
        with TemporaryDirectory(dir=built.parent, prefix=".build-") as folder:
            made = Path(folder, built.name)
            compile_it(source, made)
            made.replace(built)
    except NotCompiledError:
        built.unlink(missing_ok=True)
        raise
    except OSError as error:
        raise NotCompiledError(f"nothing can be written beside {source} ({error.strerror}).") from None


def compile_it(source: Path, into: Path) -> None:
    """Build the part in C.

    Raises:
        NotCompiledError: it cannot be built here.
    """
    if (
        os.name != "posix"
        or sys.implementation.name != "cpython"
        or sysconfig.get_config_var("Py_GIL_DISABLED")
    ):
        raise NotCompiledError("it is compiled for CPython on Unix only.")
    compiler = _compiler()
    linking = ["-bundle", "-undefined", "dynamic_lookup"] if sys.platform == "darwin" else ["-shared"]
    headers = [f"-I{sysconfig.get_path(name)}" for name in ("include", "platinclude")]
    options = ["-std=gnu11", "-O2", "-fPIC", "-Wall", "-Wextra", *linking, *headers]
    command = [*compiler, *options, "-o", str(into), str(source)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # the machine's own
    except OSError as error:
        raise NotCompiledError(f"the compiler {compiler[0]} cannot be started ({error.strerror}).") from None
    if done.returncode or not into.is_file():
        lines = done.stderr.splitlines()
        first = next((line for line in lines if "error" in line), lines[0] if lines else "it said nothing")
        raise NotCompiledError(f"the compiler refused ({first}).")


def _compiler() -> list[str]:
    """The one that is asked for; the one that made this Python, which may have been on another machine; or any."""
    asked = os.environ.get("CC")
    for command in (asked,) if asked else (sysconfig.get_config_var("CC"), "cc", "gcc", "clang"):
        words = _words(command or "")
        if words and shutil.which(words[0]):
            return words
    raise NotCompiledError(f"there is no compiler{f' {asked}' if asked else ''} here.")


def _words(command: str) -> list[str]:
    """A command with its options; one that is a path with a space in it is one word."""
    if shutil.which(command):
        return [command]
    try:
        return shlex.split(command)
    except ValueError:
        return []


def _platform() -> str:
    """This one; nobody has looked whether it runs on as many as `manylinux` says."""
    many = ("manylinux", "musllinux")
    return next(tag.platform for tag in sys_tags() if not tag.platform.startswith(many))

"""What is built when Holdfast is installed from its sources: the part in C, where there is a compiler.

Neither that nor the dashboard has to be there. Whoever installs a wheel without one would miss it, and not who built
it, so the build says it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from tempfile import mkdtemp
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

    _folder: Path | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        editable = version == "editable"
        if not editable and not (Path(self.root) / PAGE).is_file():
            self.app.display_warning(NO_DASHBOARD)
        # An editable install has it beside its source; a wheel can be built where nothing may be written.
        beside = Path(self.root) / BUILT
        self._folder = Path(mkdtemp(dir=beside.parent if editable else None, prefix=".build-"))
        made = self._folder / BUILT.name
        try:
            compile_it(Path(self.root) / SOURCE, made)
        except NotCompiledError as error:
            self.app.display_warning(NOT_COMPILED.format(error))
            if editable:
                beside.unlink(missing_ok=True)
            return
        build_data["pure_python"] = False
        build_data["tag"] = f"{STABLE_ABI}-{next(sys_tags()).platform}"
        if editable:
            made.replace(beside)  # whole at once, for servers that start from these sources meanwhile
        else:
            build_data["force_include"][str(made)] = str(BUILT.relative_to("src"))

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002  # the interface has them
        if self._folder is not None:
            shutil.rmtree(self._folder)


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
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # the machine's own
    if done.returncode:
        lines = done.stderr.splitlines()
        first = next((line for line in lines if "error" in line), lines[0] if lines else "it said nothing")
        raise NotCompiledError(f"the compiler refused ({first}).")


def _compiler() -> list[str]:
    """The one that is asked for; the one that made this Python, which may have been on another machine; or any."""
    asked = os.environ.get("CC")
    for command in (asked,) if asked else (sysconfig.get_config_var("CC"), "cc", "gcc", "clang"):
        words = shlex.split(command or "")
        if words and shutil.which(words[0]):
            return words
    raise NotCompiledError(f"there is no compiler{f' {asked}' if asked else ''} here.")

"""Says so when a wheel is built without the dashboard, which whoever installs it would miss, and not who built it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PAGE = Path("src", "holdfast", "server", "static", "index.html")
MISSING = (
    "This wheel has no dashboard in it: `holdfast serve` will serve without one. To have it, build it before, "
    "with Node.js 20.19 or newer: make wheel"
)


class DashboardHook(BuildHookInterface):  # type: ignore[type-arg]  # hatchling gives its config no type
    """Looks for the dashboard before a wheel is made; an editable install finds it where it is built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  # the interface has it
        if version == "standard" and not (Path(self.root) / PAGE).is_file():
            self.app.display_warning(MISSING)

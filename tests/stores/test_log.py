"""The log's page in docs names every kind of event that the code writes, and no other."""

import re
from pathlib import Path

import holdfast
from holdfast.core.rotation import Outcome

PAGE = Path(__file__).parents[2] / "docs" / "audit.md"
KIND = r"(?:user|session|refresh|admin)\.[a-z_]+"


def test_the_page_names_every_kind_of_event() -> None:
    sources = Path(holdfast.__file__).parent.rglob("*.py")
    written = {kind for source in sources for kind in re.findall(f'"({KIND})"', source.read_text())}
    written |= {f"refresh.{outcome}" for outcome in Outcome if outcome is not Outcome.REUSE}
    rows = [line.split("|")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    assert {kind for row in rows for kind in re.findall(f"`({KIND})`", row)} == written

"""Gives each runner its vectors: a module that sets `VECTORS` gets one test a case, or one a timeline."""

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2] / "conformance"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "vector" not in metafunc.fixturenames:
        return
    where = ROOT / metafunc.module.VECTORS
    vectors = [*_cases(where)] if where.is_file() else [*_timelines(where)]
    assert vectors, f"no vectors in {where}"
    metafunc.parametrize("vector", [vector for _, vector in vectors], ids=[name for name, _ in vectors])


def _cases(path: Path) -> list[tuple[str, Any]]:
    cases = json.loads(path.read_text())["cases"]
    return [(case.get("name") or f"{number}", case) for number, case in enumerate(cases)]


def _timelines(folder: Path) -> list[tuple[str, Any]]:
    return [(path.stem, json.loads(path.read_text())) for path in sorted(folder.glob("*.json"))]


@pytest.fixture
def endings() -> Any:
    return json.loads((ROOT / "endings.json").read_text())["cases"]


@pytest.fixture
def protocol_text() -> str:
    return (ROOT.parent / "PROTOCOL.md").read_text()

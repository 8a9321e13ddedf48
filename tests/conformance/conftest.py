"""Gives each runner its vectors: a module that sets `VECTORS` gets one test a case, or one a timeline."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from holdfast.protocol import frames

ROOT = Path(__file__).parents[2] / "conformance"
REQUESTS: dict[type[frames.ChannelRequest], str] = {
    frames.Subscribe: "subscribe",
    frames.Unsubscribe: "unsubscribe",
    frames.Publish: "publish",
    frames.ReadHistory: "history",
    frames.ReadPresence: "presence",
}


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


@pytest.fixture
def requested() -> Callable[[frames.ChannelRequest], dict[str, Any]]:
    """What a request about a channel means, as the vectors write it."""

    def fields(frame: frames.ChannelRequest) -> dict[str, Any]:
        asked = {"kind": REQUESTS[type(frame)], **asdict(frame)}
        return {**asked, "data": json.loads(asked["data"])} if "data" in asked else asked

    return fields

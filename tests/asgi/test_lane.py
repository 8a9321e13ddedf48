"""The extension, as the hub and users of other servers see it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from holdfast.asgi.lane import EXTENSION, deflated_frame, lane_of, text_frame


def test_a_scope_has_a_lane_or_has_not() -> None:
    lane = object()
    assert lane_of({"extensions": {EXTENSION: {"lane": lane}}}) is lane
    for scope in ({}, {"extensions": None}, {"extensions": {}}, {"extensions": {EXTENSION: {}}}):
        assert lane_of(scope) is None


def test_frames_are_made_here() -> None:
    assert text_frame(b"hi") == b"\x81\x02hi"
    assert deflated_frame(b"hi" * 50)[0] == 0xC1


@pytest.mark.parametrize("name", ["holdfast.asgi.lane", "holdfast.asgi.fastlane"])
def test_neither_needs_uvicorn(name: str) -> None:
    """Other servers have lanes to look for too, and none of uvicorn's."""
    code = f"import sys; sys.modules['uvicorn'] = None; import {name}"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_wrong_name_is_an_attribute_error() -> None:
    import holdfast.asgi.fastlane as package

    assert {getattr(package, name).__name__ for name in package.__all__} == set(package.__all__)
    with pytest.raises(AttributeError, match="Protocl"):
        _ = package.Protocl

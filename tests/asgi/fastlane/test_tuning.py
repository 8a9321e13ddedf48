"""The collector is set once, and can be left alone."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SEEN = """
import gc, json
from holdfast.asgi.fastlane.tuning import tune_gc
before = gc.get_threshold()
first = tune_gc(ENVIRONMENT)
frozen = gc.get_freeze_count()
gc.set_threshold(1, 2, 3)
print(json.dumps([first, frozen > 1000, tune_gc({}), list(gc.get_threshold()), list(before)]))
"""


def seen(environment: dict[str, str]) -> list:
    code = SEEN.replace("ENVIRONMENT", repr(environment))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_it_is_done_once_in_a_process() -> None:
    assert seen({})[:4] == [True, True, True, [1, 2, 3]]


@pytest.mark.parametrize("value", ["0"])
def test_the_switch_leaves_the_collector_as_it_is(value: str) -> None:
    assert seen({"HOLDFAST_TUNE_GC": value})[:4] == [False, False, False, [1, 2, 3]]

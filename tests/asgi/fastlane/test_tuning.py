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
frozen, after = gc.get_freeze_count(), gc.get_threshold()
gc.set_threshold(1, 2, 3)
print(json.dumps([first, frozen > 1000, tune_gc({}), list(gc.get_threshold()), list(before), list(after)]))
"""


def seen(environment: dict[str, str]) -> list:
    code = SEEN.replace("ENVIRONMENT", repr(environment))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_it_is_done_once_in_a_process() -> None:
    assert seen({})[:4] == [True, True, True, [1, 2, 3]]


def test_the_young_are_looked_at_seldom_and_everything_after_some_millions() -> None:
    *_, before, (young, looks, between) = seen({})
    assert young > before[0]
    assert 1_000_000 < young * looks < 10_000_000
    assert between == 0


@pytest.mark.parametrize("value", ["0"])
def test_the_switch_leaves_the_collector_as_it_is(value: str) -> None:
    *first, before, after = seen({"HOLDFAST_TUNE_GC": value})
    assert first == [False, False, False, [1, 2, 3]]
    assert after == before

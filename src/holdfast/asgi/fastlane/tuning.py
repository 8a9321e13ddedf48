"""The garbage collector, set for a server that holds many connections."""

from __future__ import annotations

import gc
import os
from collections.abc import Mapping

SWITCH = "HOLDFAST_TUNE_GC"
"""`0` in the environment leaves the collector as it is."""

THRESHOLDS = (2_500, 1_600, 0)
"""The young are looked at after 2,500 new objects, and everything after 4 million (half a second).

Nothing between: what outlives its first look belongs to a connection, as a rule, and lives on. Each object gets that
look, however many are looked at together; so few are still in the processor's cache then, and it costs two thirds of
what it costs with 10,000. The second number bounds what cycles of connections long gone may hold, to some hundred
megabytes.
"""

_tuned: list[bool] = []


def tune_gc(environment: Mapping[str, str] = os.environ) -> bool:
    """Set the collector for many connections, once in a process; whether it is so now.

    What start-up made (modules, routes, models) lives as long as the process, so it is frozen: never looked at again.
    The rest is looked at less often. With the defaults, 40 % of the time that a handshake takes goes into looking at
    the objects of connections that were there before it.
    """
    if not _tuned:
        wanted = environment.get(SWITCH) != "0"
        _tuned.append(wanted)
        if wanted:
            gc.collect()
            gc.freeze()
            gc.set_threshold(*THRESHOLDS)
    return _tuned[0]

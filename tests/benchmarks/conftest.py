from __future__ import annotations

import sys
from pathlib import Path

# The benchmark is a program of its own, started as one: its modules find each other beside it.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

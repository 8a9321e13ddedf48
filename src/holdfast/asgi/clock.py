"""The real clock and the real chance."""

from __future__ import annotations

import asyncio
import random
import secrets
import time


class SystemClock:
    """The machine's wall clock: `exp` is wall time, so leases are too, and a suspended machine wakes to the truth."""

    def now(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class SystemRandom:
    """The operating system's generator for what must not be guessed, a fast one for jitter."""

    def token(self, nbytes: int) -> bytes:
        return secrets.token_bytes(nbytes)

    def unit(self) -> float:
        return random.random()  # noqa: S311  # spreads load, protects nothing

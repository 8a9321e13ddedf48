"""Passwords: argon2id in a small pool of threads, and what a new one has to be (ASVS 5.0, sections 6.2 and 11.4)."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.resources import files
from typing import TypeVar

from argon2 import Parameters, PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from holdfast.errors import BadInput, Unavailable

MIN_LENGTH = 8
MAX_LENGTH = 1024
"""Enough for any passphrase; more is only work for the hash."""

T = TypeVar("T")


class Passwords:
    """Hashes and checks passwords without holding up the event loop.

    Each hash takes 64 MiB and about a tenth of a second, so `workers` bounds memory and `max_waiting` bounds the queue:
    past it `errors.Unavailable` is raised instead of making everybody wait longer.
    """

    def __init__(
        self, *, profile: Parameters = RFC_9106_LOW_MEMORY, workers: int = 2, max_waiting: int = 64
    ) -> None:
        self._hasher = PasswordHasher.from_parameters(profile)
        self._nobody = _hash_of_nothing(profile)
        self._workers = workers
        self._max_waiting = max_waiting
        self._waiting = 0
        self._pool: ThreadPoolExecutor | None = None

    async def hash(self, password: str) -> str:
        """The argon2id hash of a password that `check_new` has let pass."""
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether the password is the one that was hashed.

        Without a hash (nobody by that name, or somebody who has no password) it takes as long and says no.
        """
        try:
            secret = password.encode()
        except UnicodeEncodeError:  # a lone surrogate, which no hash of ours was made from
            secret = b""
        usable = len(secret) > 0 and len(password) <= MAX_LENGTH
        matches = await self._run(lambda: self._matches(stored or self._nobody, secret[: 4 * MAX_LENGTH]))
        return matches and usable and stored is not None

    def needs_rehash(self, stored: str) -> bool:
        """Whether a hash was made with other parameters than are used now."""
        return self._hasher.check_needs_rehash(stored)

    def close(self) -> None:
        """Give back the threads."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _matches(self, stored: str, secret: bytes) -> bool:
        try:
            return self._hasher.verify(stored, secret)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= self._max_waiting:
            raise Unavailable("too many passwords are being checked just now")
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="holdfast-argon2")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1


def check_new(password: str, *, name: str) -> None:
    """Refuse a new password that is too short, too long, too common or the user's name; nothing else is asked of it.

    Raises:
        BadInput: saying what to choose instead.
    """
    if len(password) < MIN_LENGTH:
        raise BadInput(f"The password is too short: choose {MIN_LENGTH} characters or more; 15 are better.")
    if len(password) > MAX_LENGTH:
        raise BadInput(f"The password is too long: choose up to {MAX_LENGTH} characters.")
    try:
        password.encode()
    except UnicodeEncodeError:
        raise BadInput("The password holds half of a character. Please type it again.") from None
    folded = password.casefold()
    if folded == name.casefold():
        raise BadInput("The password is the same as the user name. Please choose another one.")
    if folded in _common():
        raise BadInput("This password is one of those that are guessed first. Please choose another one.")


@cache
def _common() -> frozenset[str]:
    # The 5,000 most common passwords of eight characters or more, in order, from the frequency list of zxcvbn 4.5
    # (MIT, Daniel Wolf and Dropbox). The text is 45 KB; the library would load 800 KB to hold the same.
    text = files("holdfast.sessions").joinpath("common_passwords.txt").read_text("utf-8")
    return frozenset(text.split())


def _hash_of_nothing(profile: Parameters) -> str:
    """A hash that no password has, as costly to check as a real one."""
    salt, digest = (
        base64.b64encode(bytes(length)).decode().rstrip("=")
        for length in (profile.salt_len, profile.hash_len)
    )
    cost = f"m={profile.memory_cost},t={profile.time_cost},p={profile.parallelism}"
    return f"$argon2{profile.type.name.lower()}$v={profile.version}${cost}${salt}${digest}"

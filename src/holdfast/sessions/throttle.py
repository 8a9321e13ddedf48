"""How often somebody may be wrong (ASVS 5.0, sections 6.1.1 and 6.3.1).

Only failures count, in moving windows, under three keys at once:

    account and address   the person who has forgotten a password, or one attacker with one target
    address               one attacker with many targets
    account               many attackers with one target; addresses that have signed in to the account before are
                          exempt, so that nobody can lock its owner out

A success clears the first key alone: an attacker's own account must not wash away what the address did to others.
Counters live in this process; several processes allow as many times the limit.
"""

from __future__ import annotations

import hashlib
import math
import unicodedata
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import ClassVar

from limits import RateLimitItem, parse_many
from limits.aio.storage import MovingWindowSupport, Storage
from limits.aio.strategies import MovingWindowRateLimiter

from holdfast.errors import Throttled
from holdfast.ports import Clock

MAX_KEYS = 100_000
SWEEP_SECONDS = 60.0
TELL_ONCE_PER = parse_many("1/minute")[0]

Familiar = Callable[[], Awaitable[bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottlePolicy:
    """Failures allowed, as `limits` writes them; the longer window makes the delay grow with persistence."""

    account_and_address: str = "5/minute; 20/hour"
    address: str = "30/minute; 200/hour"
    account: str = "50/hour"
    bad_tokens: str = "30/minute"


class Attempt:
    """One try in progress; say `failed` or `succeeded`, or nothing if it came to neither."""

    def __init__(self) -> None:
        self.outcome: bool | None = None

    def failed(self) -> None:
        """The secret was wrong."""
        self.outcome = False

    def succeeded(self) -> None:
        """The secret was right."""
        self.outcome = True


@dataclass(frozen=True, slots=True)
class _Rule:
    item: RateLimitItem
    key: tuple[str, ...]
    spares_familiar: bool = False
    cleared_by_success: bool = False


class Throttle:
    """Counts failures and refuses those who had too many, before their next try costs anything."""

    def __init__(self, clock: Clock, policy: ThrottlePolicy | None = None) -> None:
        policy = policy or ThrottlePolicy()
        self._clock = clock
        self._limiter = MovingWindowRateLimiter(_Windows(clock))
        self._pair = parse_many(policy.account_and_address)
        self._address = parse_many(policy.address)
        self._account = parse_many(policy.account)
        self._bad_tokens = parse_many(policy.bad_tokens)
        self._pending: Counter[_Rule] = Counter()

    @asynccontextmanager
    async def attempt(
        self, account: str, address: str | None, *, familiar: Familiar
    ) -> AsyncIterator[Attempt]:
        """Bracket one try at a secret; tries in progress count as failures until they are over.

        `familiar` says whether the address has signed in to the account before; it is asked only if that matters.

        Raises:
            Throttled: with the seconds until another try makes sense.
        """
        rules = self._rules(account, address)
        self._pending.update(rules)
        attempt = Attempt()
        try:
            await self._check(rules, familiar)
            yield attempt
            if attempt.outcome is not None:
                await self._settle(rules, attempt.outcome)
        finally:
            self._pending.subtract(rules)
            for rule in rules:
                if self._pending[rule] <= 0:
                    del self._pending[rule]

    async def bad_token(self, address: str | None) -> None:
        """Count a refresh token that nobody of ours made.

        Raises:
            Throttled: this address has sent too many.
        """
        if address is None:
            return
        for item in self._bad_tokens:
            if not await self._limiter.hit(item, "token", _place(address)):
                raise Throttled(retry_after=await self._wait(_Rule(item, ("token", _place(address)))))

    async def worth_telling(self, account: str, address: str | None) -> bool:
        """Whether a refusal belongs in the audit log: the first of a minute does, a flood does not."""
        return await self._limiter.hit(TELL_ONCE_PER, "told", _digest(account), _place(address))

    def _rules(self, account: str, address: str | None) -> list[_Rule]:
        who, where = _digest(account), _place(address)
        rules = [_Rule(item, ("pair", who, where), cleared_by_success=True) for item in self._pair]
        rules += [_Rule(item, ("account", who), spares_familiar=True) for item in self._account]
        if address is not None:  # without addresses all would share one
            rules += [_Rule(item, ("address", where)) for item in self._address]
        return rules

    async def _check(self, rules: list[_Rule], familiar: Familiar) -> None:
        over = [
            rule
            for rule in rules
            if not await self._limiter.test(rule.item, *rule.key, cost=self._pending[rule])
        ]
        if over and all(rule.spares_familiar for rule in over) and await familiar():
            return
        if over:
            raise Throttled(retry_after=max([await self._wait(rule) for rule in over]))

    async def _settle(self, rules: list[_Rule], success: bool) -> None:
        for rule in rules:
            if not success:
                await self._limiter.hit(rule.item, *rule.key)
            elif rule.cleared_by_success:
                await self._limiter.clear(rule.item, *rule.key)

    async def _wait(self, rule: _Rule) -> float:
        stats = await self._limiter.get_window_stats(rule.item, *rule.key)
        if stats.remaining > 0:  # full only of tries in progress
            return 1.0
        return max(1.0, math.ceil(stats.reset_time - self._clock.now()))


class _Windows(Storage, MovingWindowSupport):
    """Moving windows by our clock: the library's own memory reads `time.time` and starts a task at every hit."""

    STORAGE_SCHEME: ClassVar[list[str] | None] = None  # type: ignore[misc]  # the library means a class variable

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._hits: dict[str, deque[float]] = {}
        self._over_at: dict[str, float] = {}
        self._swept_at = clock.now()

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        hits = self._current(key, expiry)
        if len(hits) + amount > limit:
            return False
        self._sweep()
        now = self._clock.now()
        hits.extend([now] * amount)
        self._hits[key] = hits
        self._over_at[key] = now + expiry
        return True

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002  # the library's signature
        hits = self._current(key, expiry)
        return (hits[0] if hits else self._clock.now()), len(hits)

    async def clear(self, key: str) -> None:
        self._hits.pop(key, None)
        self._over_at.pop(key, None)

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        raise NotImplementedError("moving windows only")

    async def get(self, key: str) -> int:
        return len(self._hits.get(key, ()))

    async def get_expiry(self, key: str) -> float:
        return self._over_at.get(key, self._clock.now())

    async def check(self) -> bool:
        return True

    async def reset(self) -> int:
        count = len(self._hits)
        self._hits.clear()
        self._over_at.clear()
        return count

    def _current(self, key: str, expiry: int) -> deque[float]:
        hits = self._hits.get(key) or deque()
        edge = self._clock.now() - expiry
        while hits and hits[0] <= edge:
            hits.popleft()
        return hits

    def _sweep(self) -> None:
        now = self._clock.now()
        if now - self._swept_at >= SWEEP_SECONDS:
            self._swept_at = now
            for key in [key for key, over_at in self._over_at.items() if over_at <= now]:
                self._hits.pop(key, None)
                self._over_at.pop(key, None)
        while len(self._hits) >= MAX_KEYS:  # a flood from everywhere: the longest known goes first
            oldest = next(iter(self._hits))
            self._hits.pop(oldest)
            self._over_at.pop(oldest, None)


def _digest(account: str) -> str:
    """One key for all spellings that a store takes for one name; no typed text is kept, as it may be a password."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", account).casefold())
    return hashlib.blake2b(folded.encode("utf-8", "replace"), digest_size=16).hexdigest()


def _place(address: str | None) -> str:
    """Who is counted as one: an IPv4 address, or an IPv6 network of 64 bits, which is what one customer has."""
    if address is None:
        return "-"
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return parsed.exploded[:19]
    return str(parsed)

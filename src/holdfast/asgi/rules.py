"""Who may read a channel, and who may publish to it: rules by pattern, and nothing without one.

@hold.channel("job:{id}")
async def job(user, id):            # may they read it?
    return await may_see(user, id)

@job.publisher
async def job_publisher(user, id):  # may they publish to it? Without this nobody may, but for the app itself
    return user.has_role("worker")
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from enum import StrEnum
from functools import lru_cache
from typing import TypeVar

from holdfast.asgi.principal import Principal
from holdfast.core.pattern import Pattern
from holdfast.core.policy import Retention
from holdfast.errors import MisuseError

Rule = Callable[..., bool | Awaitable[bool]]
"""Called with the user, then what the pattern's names stand for, as keywords."""
R = TypeVar("R", bound=Rule)

REMEMBERED = 1_000
"""Channels of which is remembered whose they are: every publication asks."""


class Right(StrEnum):
    """What somebody may do with a channel."""

    READ = "read"
    PUBLISH = "publish"


class ChannelRule:
    """One pattern's rule; what `@hold.channel` makes of a function."""

    def __init__(self, pattern: str, reader: Rule, *, retention: Retention, presence: bool) -> None:
        self.pattern = Pattern(pattern)
        self.retention = retention
        """What is kept of these channels."""
        self.presence = presence
        """Whether who reads one may also see who else does."""
        self._rules: dict[Right, Rule] = {Right.READ: self._checked(reader)}

    def publisher(self, rule: R) -> R:
        """Register who may publish; a decorator for a function like that of `@hold.channel`."""
        self._rules[Right.PUBLISH] = self._checked(rule)
        return rule

    def verdict(self, right: Right, user: Principal, names: dict[str, str]) -> bool | Awaitable[bool]:
        """Whether this user has this right: at once where the rule knows at once."""
        rule = self._rules.get(right)
        return False if rule is None else rule(user, **names)

    def __repr__(self) -> str:
        return f"ChannelRule({self.pattern.text!r})"

    def _checked(self, rule: Rule) -> Rule:
        try:
            inspect.signature(rule).bind(object(), **dict.fromkeys(self.pattern.names, ""))
        except TypeError as error:
            wanted = ", ".join(("user", *self.pattern.names))
            raise MisuseError(
                f"a rule for {self.pattern.text!r} is called with ({wanted}), which {rule!r} does not take: {error}"
            ) from None
        return rule


class Rules:
    """All rules of an app. The first whose pattern fits a channel decides alone."""

    def __init__(self, retention: Retention) -> None:
        self.retention = retention
        """For channels that have no rule: only the app itself publishes to those, and nobody reads them yet."""
        self._rules: list[ChannelRule] = []
        self._last = ChannelRule("user:{sub:path}", _own, retention=retention, presence=False)
        self._remembered = lru_cache(REMEMBERED)(self._first)

    def add(self, rule: ChannelRule) -> None:
        """Append a rule.

        Raises:
            MisuseError: there is one for this pattern already.
        """
        if any(rule.pattern.text == other.pattern.text for other in self._rules):
            raise MisuseError(f"there is a rule for {rule.pattern.text!r} already; a pattern has one")
        self._rules.append(rule)
        self._remembered.cache_clear()

    def find(self, channel: str) -> tuple[ChannelRule, dict[str, str]] | None:
        """The rule for this channel, and what its pattern's names stand for, which is not to be changed."""
        return self._remembered(channel)

    def _first(self, channel: str) -> tuple[ChannelRule, dict[str, str]] | None:
        for rule in (*self._rules, self._last):
            names = rule.pattern.match(channel)
            if names is not None:
                return rule, names
        return None

    def retention_of(self, channel: str) -> Retention:
        """What is kept of this channel."""
        found = self.find(channel)
        return self.retention if found is None else found[0].retention


def _own(user: Principal, sub: str) -> bool:
    """Everybody reads the channel that has their own id, wherever they are signed in."""
    return user.id == sub

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
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from holdfast.asgi.principal import Principal
from holdfast.core.pattern import Pattern
from holdfast.core.policy import Retention
from holdfast.errors import MisuseError

Rule = Callable[..., bool | Awaitable[bool]]
"""Called with the user, then what the pattern's names stand for, as keywords of the types that it asks for."""
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
        self._reader = reader
        self._rules: dict[Right, _Asked] = {Right.READ: self._checked(reader)}

    def __call__(self, *args: Any, **named: Any) -> bool | Awaitable[bool]:
        """Ask the reader, as the function that was decorated; for routes that have the same question."""
        return self._reader(*args, **named)

    def publisher(self, rule: R) -> R:
        """Register who may publish; a decorator for a function like that of `@hold.channel`."""
        self._rules[Right.PUBLISH] = self._checked(rule)
        return rule

    def verdict(self, right: Right, user: Principal, names: dict[str, str]) -> bool | Awaitable[bool]:
        """Whether this user has this right: at once where the rule knows at once."""
        asked = self._rules.get(right)
        return False if asked is None else asked.verdict(user, names)

    def decides(self, right: Right) -> bool:
        """Whether there is a function for this right; without one nobody has it."""
        return right in self._rules

    def __repr__(self) -> str:
        return f"ChannelRule({self.pattern.text!r})"

    def _checked(self, rule: Rule) -> _Asked:
        signature = inspect.signature(rule)
        try:
            signature.bind(object(), **dict.fromkeys(self.pattern.names, ""))
        except TypeError as error:
            wanted = ", ".join(("user", *self.pattern.names))
            raise MisuseError(
                f"a rule for {self.pattern.text!r} is called with ({wanted}), which {rule!r} does not take: {error}"
            ) from None
        types = {}
        for name, parameter in signature.parameters.items():
            if type(parameter.default).__module__.startswith("fastapi."):
                raise MisuseError(
                    f"a rule for {self.pattern.text!r} asks for {name} with FastAPI's {parameter.default!r}, which is "
                    f"for requests; a rule has none, so let it get {name} by itself"
                )
            wanted = _type_of(parameter, rule)
            if name in self.pattern.names and wanted not in _TEXT:
                types[name] = self._reading(name, wanted)
        return _Asked(rule, types)

    def _reading(self, name: str, wanted: Any) -> TypeAdapter[Any]:
        try:
            return TypeAdapter(wanted)
        except PydanticUserError:
            raise MisuseError(
                f"a rule for {self.pattern.text!r} wants {name} as {wanted!r}, which no text can be read as"
            ) from None


@dataclass(slots=True)
class _Asked:
    """A function of an app, and what it wants the names as that are to be no text."""

    rule: Rule
    types: dict[str, TypeAdapter[Any]] = field(default_factory=dict)

    def verdict(self, user: Principal, names: dict[str, str]) -> bool | Awaitable[bool]:
        if not self.types:
            return self.rule(user, **names)
        read: dict[str, Any] = dict(names)
        try:
            for name, wanted in self.types.items():
                read[name] = wanted.validate_python(names[name])
        except ValidationError:
            return False  # there is nothing of such a name
        return self.rule(user, **read)


_TEXT = (str, Any, object, inspect.Parameter.empty)


def _type_of(parameter: inspect.Parameter, rule: Rule) -> Any:
    """What an annotation stands for; text where it is there for checkers only."""
    if not isinstance(parameter.annotation, str):
        return parameter.annotation

    def stand_in() -> None: ...

    stand_in.__annotations__ = {"it": parameter.annotation}
    names = getattr(inspect.unwrap(rule), "__globals__", {})
    try:
        return inspect.get_annotations(stand_in, globals=names, eval_str=True)["it"]
    except Exception:  # noqa: BLE001  # whatever a text that is no type comes to
        return str


class Rules:
    """All rules of an app. The first whose pattern fits a channel decides alone."""

    def __init__(
        self,
        retention: Retention,
        *,
        issuer: str | None = None,
        knows: Callable[[str], Awaitable[bool]] | None = None,
    ) -> None:
        """`knows` tells whether our own `issuer` has a user of an id, which somebody from outside may have as well."""
        self._issuer = issuer
        self._knows = knows
        self.retention = retention
        """For channels that have no rule: only the app itself publishes to those, and nobody reads them yet."""
        self._rules: list[ChannelRule] = []
        self._last = ChannelRule("user:{sub:path}", self._own, retention=retention, presence=False)
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

    def _own(self, user: Principal, sub: str) -> bool | Awaitable[bool]:
        """Everybody reads the channel that has their own id: whoever is known here, or else of any issuer."""
        if user.id != sub or self._knows is None or user.issuer == self._issuer:
            return user.id == sub
        return self._is_free(sub)

    async def _is_free(self, sub: str) -> bool:
        return self._knows is not None and not await self._knows(sub)

"""Patterns of channel names: `job:{id}` is `job:42` with id 42, and not `job:42:log`.

{name}        one or more characters, but no ":"
{name:path}   one or more characters, ":" too; at most one in a pattern
*             the same, without a name
"""

from __future__ import annotations

import re

from holdfast.errors import MisuseError
from holdfast.protocol.channels import is_channel

_HOLE = re.compile(r"\{(?P<inner>[^{}]*)\}|(?P<rest>\*)")


class Pattern:
    """A compiled pattern. Raises `MisuseError` for one that could never match, or match in two ways."""

    __slots__ = ("_match", "names", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        holes = list(_HOLE.finditer(text))
        literals = _between(text, holes)
        self.names: tuple[str, ...] = tuple(_name(hole) for hole in holes if not hole["rest"])
        """What `match` finds, in order."""
        self._check(literals, holes)
        pieces = [re.escape(literals[0])]
        for hole, literal in zip(holes, literals[1:], strict=True):
            inner = ".+" if _takes_colons(hole) else "[^:]+"
            pieces.append(inner if hole["rest"] else f"(?P<{_name(hole)}>{inner})")
            pieces.append(re.escape(literal))
        self._match = re.compile("".join(pieces)).fullmatch

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"

    def match(self, channel: str) -> dict[str, str] | None:
        """What the names stand for in this channel's name; `None` if the pattern is not its."""
        found = self._match(channel)
        return None if found is None else found.groupdict()

    def _check(self, literals: list[str], holes: list[re.Match[str]]) -> None:
        for name in self.names:
            if not name.isidentifier():
                raise MisuseError(
                    f"the pattern {self.text!r} has {name!r} in braces; use a name, such as {{id}} or {{rest:path}}"
                )
        if len(set(self.names)) < len(self.names):
            raise MisuseError(f"the pattern {self.text!r} has the same name twice; each needs its own")
        if not all(literals[1:-1]):
            raise MisuseError(f"the pattern {self.text!r} has two names side by side; put a ':' between them")
        if sum(_takes_colons(hole) for hole in holes) > 1:
            raise MisuseError(
                f"the pattern {self.text!r} has two parts that take ':'; one is all it can have"
            )
        if not is_channel("x".join(literals)):
            raise MisuseError(f"the pattern {self.text!r} cannot match: no channel may have such a name")


def _between(text: str, holes: list[re.Match[str]]) -> list[str]:
    """What is around the holes, as it stands in the text: one piece more than there are holes."""
    starts = [0, *(hole.end() for hole in holes)]
    ends = [*(hole.start() for hole in holes), len(text)]
    return [text[start:end] for start, end in zip(starts, ends, strict=True)]


def _takes_colons(hole: re.Match[str]) -> bool:
    return bool(hole["rest"]) or hole["inner"].endswith(":path")


def _name(hole: re.Match[str]) -> str:
    return hole["inner"].removesuffix(":path")

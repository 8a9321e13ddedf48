"""The rights of connections: what the rules say, and for how long it holds.

A rule that answers at once is asked every time, since it may know better by now. What one has allowed that had to wait,
as for a database, holds until the connection's next proof. A no holds for no time at all: who may meanwhile, may.
"""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from holdfast.asgi.principal import Principal
from holdfast.asgi.requests import Refusal
from holdfast.asgi.rules import ChannelRule, Right, Rules
from holdfast.core.connection import Proof, State

if TYPE_CHECKING:
    from holdfast.asgi.driver import Driver

MOST_KEPT = 1_000
"""So many answers are kept for one connection; with more, all of them are asked for again."""

PATIENCE = 10.0
"""How long a rule may take, in seconds."""


class RuleFailed(Exception):
    """A rule that has said neither yes nor no."""


class Rights:
    """Asks the rules for connections."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._kept: dict[Driver, _Answers] = {}

    def __len__(self) -> int:
        """Of how many connections something is kept."""
        return len(self._kept)

    async def check(self, driver: Driver, name: str, right: Right, *, anew: bool = False) -> ChannelRule:
        """The channel's rule, if it gives this connection's user the right; `anew` counts nothing that is kept.

        Raises:
            Refusal: it does not. Never tells why.
            RuleFailed: the rule has been cancelled, or does not come to an end. What it raises itself comes as it is,
                but for an `HTTPException` below 500, which is a no.
        """
        why = "no rule has a pattern for it"
        found = self.rules.find(name)
        while found is not None and (proof := driver.proof) is not None:
            rule, names = found
            why = "its rule says no" if rule.decides(right) else "its rule has no publisher"
            if driver.state is State.ENDED:
                why = "its connection has ended"  # as of somebody who was banned meanwhile
                break
            kept = self._kept.get(driver)
            if kept is not None and not anew and kept.proof is proof and (right, name) in kept.given:
                return rule
            asked, verdict = None, None
            try:
                verdict = rule.verdict(right, Principal.of(proof), names)
                if not isinstance(verdict, bool) and inspect.isawaitable(verdict):
                    asked = self._answers(driver, proof)
                    verdict = await _decided(asyncio.ensure_future(verdict))
            except HTTPException as error:
                if error.status_code >= 500:
                    raise
                why, verdict = f"its rule raised a {error.status_code}", False
            if driver.proof is not proof or (asked is not None and self._kept.get(driver) is not asked):
                continue  # a renewal has come meanwhile, or the app wants the rules asked again: what was said is old
            if asked is not None:
                asked.keep(right, name, given=bool(verdict))
            if not verdict:
                break
            return rule
        verb = "read" if right is Right.READ else "publish to"
        raise Refusal("forbidden", f"you may not {verb} the channel {name!r}", detail=why)

    def forget(self, driver: Driver) -> None:
        """Keep nothing of a connection, nor what a rule is about to say: it has ended, or may have other rights."""
        self._kept.pop(driver, None)

    def _answers(self, driver: Driver, proof: Proof) -> _Answers:
        found = self._kept.get(driver)
        if found is None or found.proof is not proof:
            found = self._kept[driver] = _Answers(proof, set())
        return found


@dataclass(slots=True)
class _Answers:
    """What rules that had to wait have allowed a connection by one proof."""

    proof: Proof
    given: set[tuple[Right, str]]

    def keep(self, right: Right, name: str, *, given: bool) -> None:
        if not given:
            self.given.discard((right, name))
            return
        if len(self.given) >= MOST_KEPT:
            self.given.clear()
        self.given.add((right, name))


async def _decided(rule: asyncio.Future[bool]) -> bool:
    """What a rule comes to, in a task of its own: the app's code may want one, and its cancellation is not ours."""
    try:
        done, _ = await asyncio.wait((rule,), timeout=PATIENCE)
    except asyncio.CancelledError:
        rule.cancel()
        raise
    if not done:
        rule.cancel()
        raise RuleFailed(f"it took longer than {PATIENCE:g} seconds")
    if rule.cancelled():
        raise RuleFailed("it was cancelled")
    return rule.result()

"""One channel as its node sees it: who is subscribed here, and what this tick of the loop has published."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from holdfast.asgi.audience import Audience
from holdfast.asgi.burst import Burst
from holdfast.ports import Observer
from holdfast.protocol import channels as wire
from holdfast.protocol import jsontext
from holdfast.protocol.frames import Position, PresenceJoined, PresenceLeft, Publication

if TYPE_CHECKING:
    from holdfast.asgi.driver import Driver


class Newcomer:
    """A subscriber that is being brought to where the others are, and what happens meanwhile."""

    __slots__ = ("kept", "lost_at", "seen", "size", "watches")

    def __init__(self, *, watches: bool) -> None:
        self.watches = watches
        """Whether it is told who comes and goes."""
        self.seen: list[PresenceJoined | PresenceLeft] = []
        self.kept: list[Publication] = []
        self.size = 0
        """Bytes that are kept."""
        self.lost_at: Position | None = None
        """Where the broker has lost its place meanwhile: from there on it starts over."""

    def keep(self, publication: Publication) -> None:
        """Something was published."""
        self.kept.append(publication)
        self.size += jsontext.size(publication.data)

    def after(self, offset: int) -> list[Publication]:
        """Take what comes after an offset, and let go of the rest."""
        kept, self.kept, self.size = self.kept, [], 0
        return [one for one in kept if one.offset > offset]

    def lose(self, position: Position) -> None:
        """What was kept up to here is worth nothing."""
        self.kept, self.size, self.lost_at = [], 0, position


class Channel:
    """There is one for each channel that somebody here is subscribed to, and none without."""

    __slots__ = (
        "_observer", "entering", "joining", "leaving", "name", "plain", "size", "speaking", "waiting", "watchers",
    )  # fmt: skip

    def __init__(self, name: str, observer: Observer) -> None:
        self.name = name
        self._observer = observer
        self.speaking = Audience()
        """Subscribers that speak holdfast.v1."""
        self.plain = Audience()
        """Subscribers on plain sockets."""
        self.joining: dict[Driver, Newcomer] = {}
        self.entering = 0
        """Newcomers of whom the broker is being told."""
        self.watchers: set[Driver] = set()
        """Subscribers that are told who comes and goes."""
        self.waiting: list[Publication] = []
        """What was published in this tick."""
        self.size = 0
        """Characters of it."""
        self.leaving: asyncio.Task[None] | None = None
        """The broker is being told that nobody here needs the channel any more."""

    @property
    def is_empty(self) -> bool:
        """Whether nobody here needs it."""
        return not (self.speaking or self.plain or self.joining or self.entering)

    def awaits(self, driver: Driver, newcomer: Newcomer) -> bool:
        """Whether a newcomer has not left meanwhile."""
        return self.joining.get(driver) is newcomer

    def admit(self, driver: Driver) -> None:
        """Put a subscriber among the others, who has been sent all that those have."""
        (self.speaking if driver.visitor.controlled else self.plain).add(driver)

    def forget(self, driver: Driver) -> bool:
        """Let a subscriber go; whether it was among the others already."""
        self.watchers.discard(driver)
        if self.joining.pop(driver, None) is not None:
            return False
        return (self.speaking if driver.visitor.controlled else self.plain).discard(driver)

    def wait(self, publication: Publication) -> None:
        """Send it with all else of this tick, by `flush`."""
        self.waiting.append(publication)
        self.size += len(publication.data)

    def flush(self) -> None:
        """Send what has been published to everybody who was subscribed by then."""
        waiting, self.waiting, self.size = self.waiting, [], 0
        if not waiting:
            return
        self._observer.channel("delivered", len(waiting) * (len(self.speaking) + len(self.plain)))
        for audience, controlled in ((self.speaking, True), (self.plain, False)):
            if audience:
                audience.send(self.burst(waiting, controlled=controlled))

    def burst(self, publications: Sequence[Publication], *, controlled: bool) -> Burst:
        """The publications as they are sent to clients that speak holdfast.v1, or to plain sockets."""
        text = wire.event_text if controlled else wire.plain_event_text
        return Burst([text(self.name, one.offset, one.data) for one in publications])

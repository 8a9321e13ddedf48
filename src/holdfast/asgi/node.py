"""One server process: its live connections, and what they all share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol

from holdfast.asgi.background import Background
from holdfast.asgi.hub import Hub
from holdfast.asgi.observing import SilentObserver
from holdfast.asgi.registry import Registry
from holdfast.asgi.rules import Rules
from holdfast.asgi.scheduler import Scheduler
from holdfast.core.connection import Proof
from holdfast.core.policy import LivePolicy
from holdfast.errors import HoldfastError, SessionEnded, TokenExpired, Unavailable
from holdfast.logs import get_logger
from holdfast.ports import AuditEvent, Broker, Clock, Observer, Random
from holdfast.protocol import endings
from holdfast.protocol.endings import Ending

if TYPE_CHECKING:
    from holdfast.asgi.driver import Driver

log = get_logger("holdfast.live")

SIGNED_OUT_REASONS = frozenset({"signed_out", "signed_out_everywhere"})
DRAIN_PATIENCE = 5.0
"""Seconds that a drain waits for close frames to leave, after which the server's own shutdown takes over."""


class Prover(Protocol):
    """What connections ask of the sessions."""

    async def authenticate(self, token: str) -> Proof:
        """The proof in an access token that is good and not revoked."""
        ...

    async def redeem_ticket(self, text: str, *, origin: str | None) -> Proof:
        """The proof that a ticket stands for; it is good once."""
        ...

    def check_revoked(self, proof: Proof) -> None:
        """Raise if the proof was revoked meanwhile; never waits."""
        ...


class Node:
    """Holds the live connections of one process and carries commands to them."""

    def __init__(
        self,
        *,
        prover: Prover,
        clock: Clock,
        random: Random,
        policy: LivePolicy,
        broker: Broker,
        rules: Rules,
        issuer: str = "",
        observer: Observer | None = None,
        allowed_origins: Collection[str] = (),
        refuse_over_http: bool = False,
        drain_window: float = 10.0,
        address_of: Callable[..., str | None] | None = None,
        host_of: Callable[..., str | None] | None = None,
        be_started: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.prover = prover
        self.clock = clock
        self.random = random
        self.policy = policy
        self._issuer = issuer
        self.observer: Observer = observer or SilentObserver()
        self.allowed_origins = allowed_origins
        self.refuse_over_http = refuse_over_http
        self.drain_window = drain_window
        self.address_of = address_of
        self.host_of = host_of
        self.be_started = be_started
        self.connections = Registry()
        self.scheduler = Scheduler(clock)
        self.hub = Hub(
            broker=broker,
            rules=rules,
            clock=clock,
            scheduler=self.scheduler,
            observer=self.observer,
            policy=policy,
        )
        self.draining = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._prefix = ""
        self._count = count()
        self._background = Background(at_once=False)

    async def start(self) -> None:
        """Begin to keep time and to carry publications."""
        self.draining = False
        # Drawn here and not when this was made: an app that is loaded before its workers fork is the same in each.
        self._prefix = self.random.token(8).hex()
        self.scheduler.start()
        await self.hub.start()
        self._loop = asyncio.get_running_loop()

    def is_running(self) -> bool:
        """Whether it was started, in the loop that asks."""
        return self._loop is asyncio.get_running_loop()

    async def aclose(self) -> None:
        """End what is left and stop keeping time."""
        await self.drain()
        self._loop = None
        await self.hub.aclose()
        await self.scheduler.aclose()

    def new_id(self) -> str:
        """A connection's id: to be told from all others by, on every node, and no secret."""
        return f"{self._prefix}{next(self._count):08x}"

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something in the background, in a task."""
        self._background.run(work)

    def hear(self, event: AuditEvent) -> None:
        """Carry out what the audit log says about live connections; hears every event of every process, in order."""
        match event.kind:
            case "refresh.rotated" | "refresh.coalesced" | "refresh.replayed" if event.session_id:
                # A node of an older version does not write all of them.
                said = {key: event.data[key] for key in ("generation", "name", "roles") if key in event.data}
                for driver in self.connections.of_session(event.session_id):
                    driver.session_renewed(float(event.data["expires_at"]), **said)
            case "session.revoked" if event.session_id:
                ending = _ending_for(str(event.data.get("reason", "")))
                self._end(self.connections.of_session(event.session_id), ending)
            case "session.reuse" if event.session_id:
                ending = endings.revoked("used from two places")
                self._end(self.connections.of_session(event.session_id), ending)
            case "user.revoked" if event.user_id:
                ending = _ending_for(str(event.data.get("reason", "")))
                # Only somebody with a row here has an epoch; a `sub` that nobody here has may be at any issuer.
                issuer = event.data.get("issuer") or (self._issuer if event.data.get("epoch") else None)
                leaving = self.connections.of_user(event.user_id, issuer)
                self._end(leaving, ending, keep=event.data.get("keep"))
            case "channel.rights_changed":
                everybody = list(self.connections)
                for driver in self.connections.of_user(event.user_id) if event.user_id else everybody:
                    self.hub.recheck(driver)
            case _:
                pass

    async def drain(self) -> None:
        """Tell every connection to come back, each at its own moment of the drain window, and close it (1012)."""
        self.draining = True
        leaving = list(self.connections)
        if not leaving:
            return
        log.info("draining", connections=len(leaving), window_seconds=self.drain_window)
        leaving.sort(key=lambda _: self.random.unit())
        for place, driver in enumerate(leaving):
            slot = self.drain_window * 1000 * (place + self.random.unit()) / len(leaving)
            driver.end(endings.RESTARTING.after(int(slot)))
        closing = [asyncio.ensure_future(driver.closed()) for driver in leaving]
        _, late = await asyncio.wait(closing, timeout=DRAIN_PATIENCE)
        for task in late:
            task.cancel()

    def _end(self, leaving: Iterable[Driver], ending: Ending, *, keep: str | None = None) -> None:
        for driver in leaving:
            if keep is None or driver.session != keep:
                driver.end(ending)


def ending_of(error: HoldfastError) -> Ending:
    """How a refused token is told on a socket."""
    match error:
        case Unavailable():
            return endings.TRY_LATER
        case TokenExpired():
            return endings.TOKEN_EXPIRED
        case SessionEnded():
            return _ending_for(error.reason)
        case _:
            return endings.TOKEN_INVALID


def _ending_for(reason: str) -> Ending:
    return endings.SIGNED_OUT if reason in SIGNED_OUT_REASONS else endings.revoked(reason.replace("_", " "))

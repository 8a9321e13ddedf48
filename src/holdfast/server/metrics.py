"""What this process has counted, and the same as Prometheus text.

The counts are kept once, in `Meter`; the exposition and the admin's statistics both read them there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from holdfast.protocol import endings
from holdfast.protocol.endings import Ending

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_NAMES = {ending: name.lower() for name, ending in vars(endings).items() if isinstance(ending, Ending)}
_ENDED = re.compile(r"(?P<code>\d+) ?(?P<reason>.*)", re.DOTALL)
_GONE = re.compile(r"closed by the peer with (?P<code>\d+)")
_PEER_CODES = frozenset({"1000", "1001", "1005", "1006"})
_SIGN_INS = {"user.signed_in": "ok", "user.sign_in_failed": "refused", "user.throttled": "throttled"}
_HOW = {"in band": "in_band", "through the session": "session"}


class Meter:
    """An `Observer` that counts. Labels are words from a short list: nobody outside can make new ones."""

    def __init__(self) -> None:
        self.connections: Counter[str] = Counter()
        """Connections that were proven, by how their first token came."""
        self.renewals: Counter[str] = Counter()
        """Leases renewed, `in_band` or through the `session`."""
        self.healed = 0
        """Renewals that came in the grace, after the token had expired."""
        self.renewals_refused = 0
        self.closes: Counter[tuple[str, str, str]] = Counter()
        """Ends of connections by who closed, code, and the name of the ending."""
        self.handshakes_refused: Counter[str] = Counter()
        self.sessions: Counter[str] = Counter()
        """What happened to sessions, in the words of `ports.Observer.session`."""
        self.drops_avoided = 0
        """Expiries of tokens that a connection has outlived; counted by `stats.Sampler`."""
        self.channels: Counter[str] = Counter()
        """What happened in channels, in the words of `ports.Observer.channel`."""

    def connection(self, what: str, *, detail: str = "", seconds: float | None = None) -> None:  # noqa: ARG002  # the port's
        """Count what happened to a connection."""
        match what:
            case "proven":
                self.connections[detail or "unknown"] += 1
            case "renewed" | "healed":
                self.renewals[_HOW.get(detail, "in_band")] += 1
                self.healed += what == "healed"
            case "renewal refused":
                self.renewals_refused += 1
            case "ended":
                self.closes[_close_by_server(detail)] += 1
            case "gone":
                self.closes[_close_by_peer(detail)] += 1
            case "refused":
                self.handshakes_refused[detail.replace(" ", "_") or "unknown"] += 1
            case _:
                pass

    def session(self, what: str) -> None:
        """Count what happened to a session."""
        self.sessions[what] += 1

    def channel(self, what: str, count: int = 1) -> None:
        """Count what happened in channels."""
        self.channels[what] += count

    @property
    def open_channels(self) -> int:
        """Channels that have a subscriber here."""
        return self.channels["opened"] - self.channels["closed"]

    @property
    def subscriptions(self) -> int:
        """Subscriptions of the connections here."""
        return self.channels["subscribed"] - self.channels["left"]

    def refreshes(self) -> dict[str, int]:
        """Refreshes by outcome: `rotated`, `coalesced`, `replayed`, `reuse`, …"""
        found = self.sessions.items()
        return {what.removeprefix("refresh."): n for what, n in found if what.startswith("refresh.")}

    def closes_by_code(self) -> dict[str, int]:
        """Ends of connections by code, whoever closed."""
        found: Counter[str] = Counter()
        for (_by, code, _reason), count in self.closes.items():
            found[code] += count
        return dict(found)

    def sign_ins(self) -> dict[str, int]:
        """Sign-ins by outcome."""
        return {outcome: self.sessions[what] for what, outcome in _SIGN_INS.items()}


class Exposition:
    """The metrics of one process in a registry of their own, for /metrics."""

    def __init__(self, meter: Meter, live: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_MeterCollector(meter, live))
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def text(self) -> bytes:
        """Everything as Prometheus reads it."""
        return generate_latest(self._registry)


class _MeterCollector(Collector):
    def __init__(self, meter: Meter, live: Callable[[], int]) -> None:
        self._meter = meter
        self._live = live

    def collect(self) -> Iterator[Metric]:
        """The counts of this moment."""
        meter = self._meter
        yield GaugeMetricFamily(
            "holdfast_connections", "Live connections of this process.", value=self._live()
        )
        yield _counter(
            "holdfast_connections_opened",
            "Connections that were proven, by where the first token was.",
            ["carrier"],
            (((carrier,), count) for carrier, count in meter.connections.items()),
        )
        yield _counter(
            "holdfast_renewals",
            "Leases renewed, in band or through the session.",
            ["how"],
            (((how,), count) for how, count in meter.renewals.items()),
        )
        yield CounterMetricFamily(
            "holdfast_renewals_healed", "Renewals after expiry, within the grace.", value=meter.healed
        )
        yield CounterMetricFamily(
            "holdfast_renewals_refused",
            "Renewals whose token was not good; the lease in hand still stood.",
            value=meter.renewals_refused,
        )
        yield CounterMetricFamily(
            "holdfast_drops_avoided",
            "Token expiries that a connection has outlived: each would have been a drop.",
            value=meter.drops_avoided,
        )
        yield _counter(
            "holdfast_closes", "Connections that ended.", ["by", "code", "reason"], meter.closes.items()
        )
        yield _counter(
            "holdfast_handshakes_refused",
            "Handshakes refused before they were accepted.",
            ["reason"],
            (((reason,), count) for reason, count in meter.handshakes_refused.items()),
        )
        yield from self._sessions()
        yield from self._channels()

    def _channels(self) -> Iterator[Metric]:
        meter = self._meter
        yield GaugeMetricFamily(
            "holdfast_channels", "Channels that have a subscriber in this process.", value=meter.open_channels
        )
        yield GaugeMetricFamily(
            "holdfast_subscriptions",
            "Subscriptions of the connections of this process.",
            value=meter.subscriptions,
        )
        yield CounterMetricFamily(
            "holdfast_publications",
            "Publications that came in through this process.",
            value=meter.channels["published"],
        )
        yield _counter(
            "holdfast_deliveries",
            "Publications handed to a subscriber, as they came or when it recovered.",
            ["how"],
            (
                ((how,), meter.channels[what])
                for how, what in (("live", "delivered"), ("recovered", "recovered"))
            ),
        )

    def _sessions(self) -> Iterator[Metric]:
        yield _counter(
            "holdfast_refreshes",
            "Refreshes, by what they came to.",
            ["outcome"],
            (((outcome,), count) for outcome, count in self._meter.refreshes().items()),
        )
        yield _counter(
            "holdfast_sign_ins",
            "Sign-ins, by what they came to.",
            ["outcome"],
            (((outcome,), count) for outcome, count in self._meter.sign_ins().items()),
        )
        yield _counter(
            "holdfast_revocations",
            "Sessions ended, one by one or all of a user.",
            ["what"],
            (((what,), self._meter.sessions[f"{what}.revoked"]) for what in ("session", "user")),
        )


def _counter(
    name: str, text: str, labels: list[str], values: Iterable[tuple[tuple[str, ...], int]]
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=labels)
    for label_values, count in sorted(values):
        family.add_metric(list(label_values), count)
    return family


def _close_by_server(detail: str) -> tuple[str, str, str]:
    found = _ENDED.fullmatch(detail)
    if found is None:
        return ("server", "unknown", "other")
    code, reason = found["code"], found["reason"]
    for ending, name in _NAMES.items():
        if (str(ending.code), ending.reason) == (code, reason):
            return ("server", code, name)
    # An operator's own words are part of the reason; as labels they would have no end.
    revoked = code == str(endings.REVOKED.code) and reason.startswith("Session ended: revoked")
    return ("server", code, "revoked" if revoked else "other")


def _close_by_peer(detail: str) -> tuple[str, str, str]:
    found = _GONE.fullmatch(detail)
    code = found["code"] if found else "unknown"
    return ("peer", code if code in _PEER_CODES else "other", "peer")

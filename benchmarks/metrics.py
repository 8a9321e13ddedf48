"""What is measured, and what Holdfast is held to: declared here, used by the scenes, the tables and the page."""

from __future__ import annotations

from dataclasses import dataclass

FASTAPI, LIMIT, JOINED = "fastapi", "limit", "limit-joined"
HOLDFAST, PLAIN, ROUTE = "holdfast", "holdfast-plain", "holdfast-route"


@dataclass(frozen=True)
class Metric:
    """A row of figures; `title` may name the number of subscribers as {count}."""

    title: str
    unit: str
    more_is_better: bool = True
    digits: int = 0
    base: str = FASTAPI
    """What every subject is compared with first."""
    limited: bool = True
    """Whether the kernel's limit says anything about it."""


METRICS = {
    "handshakes": Metric("Handshakes a second, up to {count} connections", "handshakes/s"),
    "subscribing": Metric("Subscriptions a second on connections that are open, {count}", "subscriptions/s"),
    "memory": Metric(
        "Memory of an idle connection with one channel, of {count}", "KB", False, 1, limited=False
    ),
    "fanout": Metric("One message at a time to {count} subscribers", "deliveries/s"),
    "bursts": Metric("Bursts of 32 messages to {count} subscribers", "deliveries/s"),
    "p50": Metric("Median latency at 20,000 deliveries a second, {count} subscribers", "ms", False, 2),
    "p99": Metric("99th percentile of that latency, {count} subscribers", "ms", False, 2),
    "cpu": Metric("CPU of the server at that rate, {count} subscribers", "% of a core", False, 1),
    "echo": Metric("Messages echoed a second over 100 connections", "echoes/s"),
    "stalled": Metric(
        "99th percentile while 1 % do not read, as a multiple of before; {count} subscribers", "x", False, 2
    ),
    "stalled-memory": Metric("What the server's memory grows by meanwhile", "MB", False, 1),
    "refreshes": Metric("Refreshes a second over HTTP, {count} at once", "refreshes/s", base="tutorial"),
    "refresh-cpu": Metric("CPU of the server for a refresh, {count} at once", "µs", False, base="tutorial"),
    "revoked": Metric("From a request to the last of 1,000 close frames (4001)", "ms", False, base="logout"),
}


@dataclass(frozen=True)
class Goal:
    """A ratio, or without `other` a value, that one subject shall have."""

    metric: str
    subject: str
    bound: float
    other: str | None = None
    at_least: bool = True

    def met(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound


GOALS = (
    Goal("fanout", HOLDFAST, 0.90, LIMIT),
    Goal("fanout", HOLDFAST, 1.9, FASTAPI),
    Goal("fanout", HOLDFAST, 6.0, "python-socketio"),
    Goal("fanout", HOLDFAST, 1.3, "node-ws"),
    Goal("bursts", HOLDFAST, 15.0, FASTAPI),
    Goal("bursts", HOLDFAST, 0.7, "socketify"),
    Goal("bursts", HOLDFAST, 0.7, JOINED),
    Goal("p50", HOLDFAST, 0.6, FASTAPI, at_least=False),
    Goal("cpu", HOLDFAST, 0.6, FASTAPI, at_least=False),
    Goal("handshakes", HOLDFAST, 6.0, FASTAPI),
    Goal("handshakes", ROUTE, 2.5, FASTAPI),
    Goal("memory", HOLDFAST, 5.0, at_least=False),
    Goal("memory", ROUTE, 22.0, at_least=False),
    Goal("stalled", HOLDFAST, 1.10, at_least=False),
)


def split(key: str) -> tuple[str, int]:
    """A result's key, `fanout@1000`, as the metric's name and the count."""
    name, _, count = key.partition("@")
    return name, int(count)


def title(key: str) -> str:
    name, count = split(key)
    return METRICS[name].title.format(count=f"{count:,}")

"""The servers under test: how each is started and spoken with."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
SOCKET_IO = "/socket.io/?EIO=4&transport=websocket"

# What would otherwise stand between a subject and its limits, or make it do something else than what is measured.
ROOMY = {
    "HOLDFAST_MAX_FRAMES_PER_SECOND": "100000",
    "HOLDFAST_MAX_CONNECTIONS_PER_USER": "10000",
    "HOLDFAST_PING_INTERVAL_SECONDS": "3600",
    "HOLDFAST_LOG_LEVEL": "warning",
}


@dataclass(frozen=True)
class Subject:
    """One server. In `command`, {port}, {build} and {data} stand for what only a run knows."""

    name: str
    title: str
    command: tuple[str, ...]
    kit: str | None = None
    """What has to be installed for it: a file of requirements/, or `node`."""
    package: str | None = None
    """Whose version the page shows."""
    wire: str = "plain"
    path: str = "/ws"
    publisher_wire: str | None = None
    publisher_path: str | None = None
    takes: frozenset[str] = frozenset(("handshakes", "fanout", "bursts", "latency", "echo"))
    environment: Mapping[str, str] = field(default_factory=dict)


def _python(kit: str, script: str) -> tuple[str, ...]:
    return (f"{{build}}/{kit}/bin/python", str(HERE / "peers" / script), "{port}")


def _serve() -> tuple[str, ...]:
    return (sys.executable, "-m", "holdfast.cli", "serve", "--port", "{port}", "--data-dir", "{data}")


def _uvicorn(options: str) -> tuple[str, ...]:
    command = f"-m uvicorn subject_holdfast:app --port {{port}} {options} --log-level warning"
    return (sys.executable, *command.split())


FAST_LANE = (
    "--ws holdfast.asgi.fastlane:Protocol --http holdfast.asgi.fastlane:HttpProtocol"
    " --loop holdfast.asgi.fastlane:new_event_loop"
)


AND_STALLED = frozenset(("handshakes", "fanout", "bursts", "latency", "echo", "stalled"))
"""That scene takes half a minute, so only those play it that differ in it."""
CHANNEL = "public:bench"

SUBJECTS = (
    Subject(
        "limit",
        "a loop of send(2) in C, no token checked",
        ("{build}/limit", "--port", "{port}"),
        publisher_path="/publish",
    ),
    Subject(
        "limit-joined",
        "the same, one send for all that came at once",
        ("{build}/limit", "--port", "{port}", "--join"),
        publisher_path="/publish",
        takes=frozenset(("bursts", "fanout")),
    ),
    Subject(
        "holdfast",
        "`holdfast serve`, holdfast.v1",
        _serve(),
        wire="v1",
        takes=AND_STALLED,
        environment=ROOMY,
    ),
    Subject(
        "holdfast-plain",
        "`holdfast serve`, a plain socket",
        _serve(),
        path=f"/ws?channel={CHANNEL}",
        publisher_wire="v1",  # a plain socket cannot publish
        publisher_path="/ws",
        environment=ROOMY,
    ),
    Subject(
        "holdfast-route",
        "a route in a user's FastAPI app on the fast lane, holdfast.v1",
        _uvicorn(FAST_LANE),
        wire="v1",
        path="/live",
        takes=AND_STALLED,
        environment=ROOMY,
    ),
    Subject(
        "holdfast-uvicorn",
        "the same route on stock uvicorn, holdfast.v1",
        _uvicorn("--ws websockets-sansio --loop uvloop"),
        wire="v1",
        path="/live",
        environment=ROOMY,
    ),
    Subject(
        "fastapi",
        "FastAPI on uvicorn, a loop of sends",
        _python("fastapi", "fastapi_loop.py"),
        kit="fastapi",
        package="fastapi",
        takes=AND_STALLED,
    ),
    Subject(
        "websockets",
        "websockets, `broadcast()`",
        _python("websockets", "websockets_broadcast.py"),
        kit="websockets",
        package="websockets",
    ),
    Subject(
        "picows", "picows, its core API", _python("picows", "picows_core.py"), kit="picows", package="picows"
    ),
    Subject(
        "socketify",
        "socketify (uWebSockets), a topic",
        _python("socketify", "socketify_topic.py"),
        kit="socketify",
        package="socketify",
        takes=AND_STALLED,
    ),
    Subject(
        "python-socketio",
        "python-socketio on uvicorn, a room",
        _python("python-socketio", "socketio_room.py"),
        kit="python-socketio",
        package="python-socketio",
        wire="socketio",
        path=SOCKET_IO,
    ),
    Subject(
        "channels",
        "Django Channels on uvicorn, in-memory layer",
        _python("channels", "channels_group.py"),
        kit="channels",
        package="channels",
        takes=frozenset(("handshakes", "fanout", "bursts", "echo")),  # 20,000 a second is beyond it
    ),
    Subject(
        "node-ws",
        "Node, ws",
        ("node", "{build}/node/ws.js", "{port}"),
        kit="node",
        package="ws",
        takes=AND_STALLED,
    ),
    Subject(
        "node-socketio",
        "Node, Socket.IO",
        ("node", "{build}/node/socketio.js", "{port}"),
        kit="node",
        package="socket.io",
        wire="socketio",
        path=SOCKET_IO,
    ),
)
BY_NAME = {subject.name: subject for subject in SUBJECTS}

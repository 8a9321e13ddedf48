"""A WebSocket protocol class for uvicorn: `uvicorn app:app --ws holdfast.asgi.fastlane:Protocol`.

Any ASGI app runs on it as it is. A scope has `holdfast.asgi.lane` besides, through which a connection takes frames that
are made once for all who get them, and may go on without a task of its own. `HttpProtocol` (`--http`) goes with it: it
cuts handshakes that are never finished, and answers those that are too large. So does `new_event_loop` (`--loop`): it
takes many connections in one go. `DeflatingProtocol` compresses.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdfast.asgi.fastlane.deflating import DeflatingProtocol as DeflatingProtocol
    from holdfast.asgi.fastlane.http import HttpProtocol as HttpProtocol
    from holdfast.asgi.fastlane.loop import new_event_loop as new_event_loop
    from holdfast.asgi.fastlane.protocol import Protocol as Protocol

__all__ = ["DeflatingProtocol", "HttpProtocol", "Protocol", "new_event_loop"]

_MODULES = {
    "DeflatingProtocol": "deflating",
    "HttpProtocol": "http",
    "Protocol": "protocol",
    "new_event_loop": "loop",
}


def __getattr__(name: str) -> Any:
    # Other servers need the frames of this package and have no uvicorn, and uvicorn may have no httptools.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)

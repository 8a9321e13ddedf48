"""Sign in once, stay connected: sessions and live connections that hold through every token.

The names here are the public face. They load when first used, so that `holdfast.client` in a script does not bring the
server's libraries with it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdfast.asgi.history import History as History
    from holdfast.asgi.principal import Principal as Principal
    from holdfast.asgi.socket import LiveSocket as LiveSocket
    from holdfast.core.connection import State as State
    from holdfast.core.policy import Renewal as Renewal
    from holdfast.errors import BadCredentials as BadCredentials
    from holdfast.errors import ConfigurationError as ConfigurationError
    from holdfast.errors import ConnectionEnded as ConnectionEnded
    from holdfast.errors import HoldfastError as HoldfastError
    from holdfast.errors import MisuseError as MisuseError
    from holdfast.errors import RefusedError as RefusedError
    from holdfast.errors import SessionEnded as SessionEnded
    from holdfast.errors import Throttled as Throttled
    from holdfast.errors import TokenError as TokenError
    from holdfast.errors import Unavailable as Unavailable
    from holdfast.hold import Holdfast as Holdfast
    from holdfast.protocol.endings import Action as Action
    from holdfast.protocol.endings import Ending as Ending
    from holdfast.protocol.frames import Position as Position
    from holdfast.sessions.grant import Grant as Grant
    from holdfast.settings import Settings as Settings

__version__ = "0.1.0"

_HOME = {
    "Action": "holdfast.protocol.endings",
    "BadCredentials": "holdfast.errors",
    "ConfigurationError": "holdfast.errors",
    "ConnectionEnded": "holdfast.errors",
    "Ending": "holdfast.protocol.endings",
    "Grant": "holdfast.sessions.grant",
    "History": "holdfast.asgi.history",
    "Holdfast": "holdfast.hold",
    "HoldfastError": "holdfast.errors",
    "LiveSocket": "holdfast.asgi.socket",
    "MisuseError": "holdfast.errors",
    "Principal": "holdfast.asgi.principal",
    "Position": "holdfast.protocol.frames",
    "RefusedError": "holdfast.errors",
    "Renewal": "holdfast.core.policy",
    "SessionEnded": "holdfast.errors",
    "Settings": "holdfast.settings",
    "State": "holdfast.core.connection",
    "Throttled": "holdfast.errors",
    "TokenError": "holdfast.errors",
    "Unavailable": "holdfast.errors",
}

__all__ = [*sorted(_HOME), "__version__"]  # noqa: PLE0604  # the names are strings, of the table above


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'holdfast' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__

"""Who is told of news."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

log = logging.getLogger("holdfast.client")

Listener = Callable[[Any], None]


class Listeners:
    """Callbacks by the name of the news; one that fails is logged and holds nobody else up."""

    def __init__(self) -> None:
        self._callbacks: dict[str, list[Listener]] = {}

    def add(self, name: str, callback: Listener) -> Callable[[], None]:
        """Call `callback` with each announcement of this name; returns what takes it back."""
        self._callbacks.setdefault(name, []).append(callback)

        def remove() -> None:
            if callback in self._callbacks[name]:
                self._callbacks[name].remove(callback)

        return remove

    def tell(self, name: str, news: Any) -> None:
        """Call everybody who asked for it."""
        for callback in tuple(self._callbacks.get(name, ())):
            try:
                callback(news)
            except Exception:
                log.exception("a listener for %r failed", name)

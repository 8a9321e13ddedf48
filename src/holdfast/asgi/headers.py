"""The headers of an ASGI scope."""

from __future__ import annotations

from collections.abc import Iterable


def values(headers: Iterable[tuple[bytes, bytes]] | None, wanted: bytes) -> list[bytes]:
    """What the headers of a name, given in lower case, say: in order, and however a server writes the name."""
    size = len(wanted)  # tells nearly all others apart at once
    return [value for name, value in headers or () if len(name) == size and name.lower() == wanted]

"""Which pages may connect: the Origin header against the server's own host and a list of others (RFC 6454).

No Origin means no browser, and is allowed, since a cookie alone never proves anything here.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import SplitResult, urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


def allowed(origin: str | None, host: str | None, allowed_origins: Collection[str] = ()) -> bool:
    """Whether a request with this Origin and Host header may go on.

    The scheme is not compared for the server's own host: behind a proxy that ends TLS the page says https and the
    server hears http.
    """
    if origin is None:
        return True
    parts = _parse(origin)
    if parts is None:
        return False
    if any(_same(parts, _parse(other)) for other in allowed_origins):
        return True
    own = _parse(f"{parts.scheme}://{host}") if host else None
    return own is not None and _place(parts) == _place(own)


def _same(one: SplitResult, other: SplitResult | None) -> bool:
    return other is not None and one.scheme == other.scheme and _place(one) == _place(other)


def _place(parts: SplitResult) -> tuple[str, int]:
    return (parts.hostname or "").lower(), parts.port or _DEFAULT_PORTS[parts.scheme]


def _parse(origin: str) -> SplitResult | None:
    try:
        parts = urlsplit(origin)
        port_is_number = parts.port is None or parts.port >= 0
    except ValueError:
        return None
    bare = not (parts.path or parts.query or parts.fragment or parts.username or parts.password)
    known = parts.scheme in _DEFAULT_PORTS and bool(parts.hostname)
    return parts if known and bare and port_is_number else None

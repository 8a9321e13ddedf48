"""Who is at the other end, when a proxy stands between: forwarded headers are believed from known proxies only."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from holdfast.asgi.headers import values

Scope = MutableMapping[str, Any]
Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

MAX_HOPS = 32
LONGEST_ADDRESS = 128
"""Characters; an IPv6 address with a zone and a port has fewer."""


def client_address(scope: Scope, trusted: Sequence[str] = ()) -> str | None:
    """The address of whoever sent the request: the nearest one that is not a trusted proxy of ours.

    `None` where the server does not know one, as on a Unix socket.
    """
    peer = _peer(scope)
    if peer is None or not trusted:
        return None if peer is None else _text(peer)
    forwarded = _values(scope, b"x-forwarded-for")
    if not forwarded:
        return _text(peer)
    networks = _networks(tuple(trusted))
    if not _is_trusted(peer, networks):
        return _text(peer)
    nearest = peer
    hops = ",".join(forwarded).split(",")
    for hop in reversed(hops[-MAX_HOPS:]):
        address = _address(hop)
        if address is None:
            break
        nearest = address
        if not _is_trusted(address, networks):
            break
    return _text(nearest)


def scheme(scope: Scope, trusted: Sequence[str] = ()) -> str:
    """`https` or `http`, as the client used it; for WebSockets too."""
    said = str(scope.get("scheme", "http")).lower()
    if _from_trusted(scope, trusted):
        forwarded = _values(scope, b"x-forwarded-proto")
        if forwarded:
            said = forwarded[-1].split(",")[-1].strip().lower()
    return "https" if said in ("https", "wss") else "http"


def host(scope: Scope, trusted: Sequence[str] = ()) -> str | None:
    """The host, with its port if any, that the client asked for; `None` if it named none, or several."""
    forwarded = _values(scope, b"x-forwarded-host") if _from_trusted(scope, trusted) else []
    if forwarded:
        return forwarded[-1].split(",")[-1].strip()
    named = _values(scope, b"host")
    return named[0].strip() if len(named) == 1 else None


def _from_trusted(scope: Scope, trusted: Sequence[str]) -> bool:
    if not trusted:
        return False
    peer = _peer(scope)
    return peer is not None and _is_trusted(peer, _networks(tuple(trusted)))


def _peer(scope: Scope) -> Address | None:
    client = scope.get("client")
    return _address(str(client[0])) if client else None


def _is_trusted(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)


@lru_cache(maxsize=16)
def _networks(trusted: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ip_network(network, strict=False) for network in trusted)


def _values(scope: Scope, wanted: bytes) -> list[str]:
    return [value.decode("latin-1") for value in values(scope.get("headers"), wanted)]


def _address(text: str) -> Address | None:
    """An address as proxies write it: perhaps with a port, in brackets, or an IPv4 one in IPv6 clothes."""
    return _read(text) if len(text) <= LONGEST_ADDRESS else None


# One client knocks again and again, and what a proxy is in front of comes from few.
@lru_cache(maxsize=1024)
def _read(text: str) -> Address | None:
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


@lru_cache(maxsize=1024)
def _text(address: Address) -> str:
    return str(address)

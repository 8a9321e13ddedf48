"""The ASGI scope of a connection, with the same fields as uvicorn's own."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any
from urllib.parse import unquote

from holdfast.asgi.fastlane.handshake import Headers

Address = tuple[str, int] | None


def peer_address(name: Any) -> Address:
    """The other end, from a transport's `peername`; there is none on a Unix socket.

    uvicorn asks the socket for it, of which uvloop has to make a whole one first.
    """
    return (str(name[0]), int(name[1])) if isinstance(name, list | tuple) and len(name) >= 2 else None


def own_address(name: Any) -> tuple[str, int | None] | None:
    """This end, from a transport's `sockname`: a host and a port, or the path of a Unix socket."""
    if isinstance(name, str) and name:
        return (name, None)
    return peer_address(name)


def split_target(target: bytes) -> tuple[bytes, bytes]:
    """The path and the query string of a request target; one in absolute form loses its origin."""
    path, _, query = target.partition(b"?")
    if not path.startswith(b"/"):
        path = b"/" + path.partition(b"://")[2].partition(b"/")[2]
    return path, query


def websocket_scope(
    *,
    target: bytes,
    headers: Headers,
    subprotocols: list[str],
    scheme: str,
    client: Address,
    server: tuple[str, int | None] | None,
    root_path: str,
    asgi_version: str,
    state: dict[str, Any],
    extensions: dict[str, dict[str, Any]],
) -> MutableMapping[str, Any]:
    """What an app is called with."""
    raw_path, query = split_target(target)
    path = raw_path.decode("latin-1")
    return {
        "type": "websocket",
        "asgi": {"version": asgi_version, "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": scheme,
        "server": server,
        "client": client,
        "root_path": root_path,
        "path": root_path + (unquote(path) if "%" in path else path),
        "raw_path": root_path.encode("ascii") + raw_path,
        "query_string": query,
        "headers": headers,
        "subprotocols": subprotocols,
        "state": state.copy(),
        "extensions": extensions,
    }

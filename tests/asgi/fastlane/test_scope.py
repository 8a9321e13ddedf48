"""The scope has the fields of uvicorn's own, with the same values."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from holdfast.asgi.fastlane.scope import split_target
from holdfast.asgi.lane import EXTENSION


@pytest.mark.parametrize("path", ["/", "/a/b?x=1&y=%20", "/caf%C3%A9", "/?", "/a?b?c", "/%"])
@pytest.mark.parametrize("root", ["", "/api"])
async def test_it_is_what_uvicorns_own_class_gives(
    connect: Callable[..., Any], request_text: Callable[..., bytes], path: str, root: str
) -> None:
    headers = (
        ("X-Twice", "one"),
        ("x-twice", "two"),
        ("Sec-WebSocket-Protocol", "a, b"),
        ("X-Bytes", "\xe9"),
    )
    scopes: list[dict] = []

    async def app(scope: dict, receive: Any, send: Any) -> None:  # only its scope counts
        scopes.append(dict(scope))
        await send({"type": "websocket.close"})

    peer = await connect(app, *headers, path=path, root_path=root, state={"key": [1]})
    theirs = WebSocketsSansIOProtocol(peer.config, ServerState(), {"key": [1]})
    theirs.connection_made(type(peer.transport)(SimpleNamespace(scope={})))
    theirs.data_received(peer.lowered(request_text(path, *headers)))
    await peer.ticks()
    ours, stock = scopes
    assert ours.pop("extensions").keys() == {"websocket.http.response", EXTENSION}
    stock.pop("extensions")
    assert ours == stock


async def test_each_connection_has_its_own_copy_of_the_state(connect: Callable[..., Any]) -> None:
    async def app(scope: dict, receive: Any, send: Any) -> None:  # only its scope counts
        assert "mark" not in scope["state"]
        scope["state"]["mark"] = True
        scope["state"]["shared"].append(1)
        await send({"type": "websocket.accept"})
        await receive()
        await receive()

    state: dict[str, Any] = {"shared": []}
    for _ in range(2):
        assert (await connect(app, state=state)).head.startswith(b"HTTP/1.1 101")
    assert state == {"shared": [1, 1]}


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/a?b", (b"/a", b"b")),
        (b"http://example.com/a?b", (b"/a", b"b")),
        (b"ws://example.com", (b"/", b"")),
        (b"ws://example.com?b", (b"/", b"b")),
    ],
)
def test_a_target_in_absolute_form_is_the_same(target: bytes, expected: tuple[bytes, bytes]) -> None:
    assert split_target(target) == expected


async def test_tls_makes_it_wss(connect: Callable[..., Any]) -> None:
    schemes = []

    async def app(scope: dict, receive: Any, send: Any) -> None:  # only its scope counts
        schemes.append(scope["scheme"])
        await send({"type": "websocket.close"})

    await connect(app)
    await connect(app, tls=True)
    assert schemes == ["ws", "wss"]

"""What waits for one connection is bounded on every server."""

from __future__ import annotations

import asyncio

import pytest

from holdfast.asgi.outlet import ASGIMessage, AsgiOutlet


class Stalled:
    """A server that takes nothing until it is told to, and the outlet's owner."""

    def __init__(self) -> None:
        self.flowing = asyncio.Event()
        self.overflows = 0

    async def send(self, _message: ASGIMessage) -> None:
        await self.flowing.wait()

    def overflowed(self) -> None:
        self.overflows += 1

    def vanished(self) -> None:
        raise AssertionError("it is there")


@pytest.mark.parametrize("letter", ["a", "ы", "漢", "😀", "\ud800"])
async def test_what_waits_is_counted_in_bytes_as_they_are_sent(letter: str) -> None:
    server = Stalled()
    outlet = AsgiOutlet(server.send, server, limit=1_200)
    outlet.push("on its way")
    for _ in range(2):
        size = len(letter.encode(errors="surrogatepass"))
        for _ in range(1_200 // size):
            outlet.push(letter)
        assert server.overflows == 0
        outlet.push(letter)
        assert server.overflows == 1
        server.flowing.set()
        await outlet.room()
        server.flowing.clear()
        server.overflows = 0
        outlet.push("on its way")
    server.flowing.set()
    await outlet.room()

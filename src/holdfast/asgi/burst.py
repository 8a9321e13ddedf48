"""What one channel published in one tick of the loop, written once for all of its subscribers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from holdfast.asgi.lane import deflated_frame, text_frame

LARGEST_WRITE = 65_536
"""Bytes handed to a transport at once; more of them would only wait in its buffer."""


class Burst:
    """Texts that go to many, framed when first asked for and never again."""

    __slots__ = ("_deflated", "_framed", "texts")

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts
        self._framed: list[bytes] | None = None
        self._deflated: list[bytes] | None = None

    def framed(self) -> list[bytes]:
        """The texts as WebSocket frames, joined into as few writes as is good for a socket."""
        framed = self._framed
        if framed is None:
            framed = self._framed = _joined(text_frame(text.encode()) for text in self.texts)
        return framed

    def deflated(self) -> list[bytes]:
        """The same for those who negotiated permessage-deflate."""
        deflated = self._deflated
        if deflated is None:
            deflated = self._deflated = _joined(deflated_frame(text.encode()) for text in self.texts)
        return deflated


def _joined(frames: Iterable[bytes]) -> list[bytes]:
    writes: list[bytes] = []
    part: list[bytes] = []
    size = 0
    for frame in frames:
        if size + len(frame) > LARGEST_WRITE and part:
            writes.append(b"".join(part))
            part, size = [], 0
        part.append(frame)
        size += len(frame)
    if part:
        writes.append(b"".join(part))
    return writes

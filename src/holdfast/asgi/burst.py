"""What one channel published in one tick of the loop, written once for all of its subscribers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from holdfast.asgi.lane import deflated_frame, text_frame

LARGEST_WRITE = 65_536
"""Bytes handed to a transport at once; more of them would only wait in its buffer."""


class Burst:
    """Texts that go to many, framed when first asked for and never again."""

    __slots__ = ("_deflated", "_frames", "texts")

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts
        self._frames: list[bytes] | None = None
        self._deflated: list[bytes] | None = None

    def frames(self, *, compressed: bool) -> list[bytes]:
        """The texts as WebSocket frames, joined into as few writes as is good for a socket."""
        if compressed:
            if self._deflated is None:
                self._deflated = _joined(deflated_frame(text.encode()) for text in self.texts)
            return self._deflated
        if self._frames is None:
            self._frames = _joined(text_frame(text.encode()) for text in self.texts)
        return self._frames


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

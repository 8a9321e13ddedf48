"""The WebSocket protocol class that compresses."""

from __future__ import annotations

from holdfast.asgi.fastlane.protocol import Protocol


class DeflatingProtocol(Protocol):
    """The same with permessage-deflate (RFC 7692), for those who offer it.

    Off in the other: all browsers offer it, uvicorn's own switch is on unless it is turned off, and what is compressed
    is not written as fast, nor is a secret in it safe beside text that others choose.
    """

    __slots__ = ()

    deflates = True

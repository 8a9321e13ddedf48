"""A way to a connection's socket beside its transport."""

from __future__ import annotations

import socket


class Beside(socket.socket):
    """The socket of a descriptor that is somebody else's to close.

    `send` on it takes a tenth less than `os.write` on the descriptor, which goes through the file system.
    """

    __slots__ = ()

    def __init__(self, descriptor: int) -> None:
        # Of what kind it is matters to nothing that is done here; to find out would be two system calls.
        super().__init__(socket.AF_INET, socket.SOCK_STREAM, 0, descriptor)
        # The descriptor is so already, but `socket.setdefaulttimeout` would have this one wait.
        self.setblocking(False)

    def __del__(self) -> None:
        """Close nothing, unlike any other socket."""

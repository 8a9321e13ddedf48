"""A plain socket's transport, watched by a `Poller`: as asyncio's own, without a round of the loop for each read."""

from __future__ import annotations

import asyncio
import os
import socket
import warnings
from asyncio.trsock import TransportSocket
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, cast

from holdfast.asgi.fastlane.descriptors import write_to_each
from holdfast.asgi.fastlane.poller import READ, WRITE, Poller

READ_BYTES = 65_536
"""What is read at once, so that nobody who sends much keeps the others waiting."""

HIGH_WATER, LOW_WATER = 65_536, 16_384
"""Bytes that wait to be sent at which a protocol is told to pause, and to go on; as asyncio has them."""

MOST_PIECES = 64
"""So many of the writes that wait go into one `writev`; the system takes 1,024."""

Bytes = bytes | bytearray | memoryview

_NOBODY = asyncio.Protocol()
"""In the place of a protocol that has been told that its connection is lost, so that neither keeps the other alive."""


class Transport(asyncio.Transport):
    """Of a connected socket that does not block; the descriptor is this one's to close."""

    __slots__ = (
        "_closing", "_ended", "_family", "_high", "_local", "_lost", "_low", "_paused", "_peer", "_poller",
        "_protocol", "_reading", "_size", "_socket", "_waiting", "fd",
    )  # fmt: skip

    fd: int
    """Negative once it is closed, which the protocol has been told of by then."""

    def __init__(
        self, poller: Poller, fd: int, *, family: int, peer: Any, local: Any, protocol: asyncio.BaseProtocol
    ) -> None:
        self.fd = -1
        self._poller = poller
        self._family = family
        self._peer = peer
        self._local = local
        """Its own address; `None` until somebody asks, where it takes asking the system."""
        self._protocol = cast(asyncio.Protocol, protocol)
        self._socket: socket.socket | None = None
        self._waiting: list[Bytes] | None = None
        self._size = 0
        self._high, self._low = HIGH_WATER, LOW_WATER
        self._paused = False
        self._reading = True
        self._ended = False
        self._closing = False
        self._lost = False
        poller.watch(fd, self, READ)
        self.fd = fd  # and from here on it is ours

    def __del__(self) -> None:
        if self.fd >= 0:
            warnings.warn(
                f"unclosed transport of descriptor {self.fd}", ResourceWarning, source=self, stacklevel=2
            )
            self._release()

    # What it is

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        match name:
            case "peername":
                return self._peer
            case "sockname":
                if self._local is None and self.fd >= 0:
                    self._local = self._as_socket().getsockname()
                return self._local
            case "socket" if self.fd >= 0:
                return TransportSocket(self._as_socket())
            case _:
                return default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def is_closing(self) -> bool:
        return self._closing

    def _as_socket(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.socket(self._family, socket.SOCK_STREAM, 0, fileno=self.fd)
        return self._socket

    # Reading

    def is_reading(self) -> bool:
        return self._reading

    def pause_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._watch()

    def resume_reading(self) -> None:
        if not self._reading and not self._closing:
            self._reading = True
            self._watch()

    def ready(self, events: int) -> None:
        """The poller's call."""
        broken = events & ~(READ | WRITE)
        if self._reading and events & ~WRITE:
            self._read()
            if broken and self._reading:
                return  # what came before it broke comes first, and after it the end; a write would lose both
        if events & WRITE or broken:
            self._write_on()

    def _read(self) -> None:
        try:
            data = os.read(self.fd, READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error)
            return
        try:
            if data:
                self._protocol.data_received(data)
            elif self._protocol.eof_received():
                self.pause_reading()
            else:
                self.close()
        except Exception as error:  # noqa: BLE001  # as asyncio does it: this connection is over, and no other
            self._tell("Fatal error: protocol failed.", error)
            self._lose(error)

    def _tell(self, message: str, error: Exception) -> None:
        told = {"message": message, "exception": error, "transport": self, "protocol": self._protocol}
        self._poller.loop.call_exception_handler(told)

    def _watch(self) -> None:
        events = (READ if self._reading else 0) | (WRITE if self._waiting else 0)
        if events:
            self._poller.watch(self.fd, self, events)
        else:
            self._poller.unwatch(self.fd)  # an error would be told in every turn, whatever is watched for

    # Writing

    def write(self, data: Bytes) -> None:
        if self._ended:
            raise RuntimeError("Cannot call write() after write_eof()")
        if type(data) is not bytes:
            if not isinstance(data, bytearray | memoryview):
                raise TypeError(f"data must be bytes, a bytearray or a memoryview, not {type(data).__name__}")
            data = bytes(data)
        if self._closing or not data:
            return
        if self._waiting is None:
            lacking = write_to_each([self.fd], data)
            if not lacking:
                return
            # What is wrong, if anything is, shows when it is tried again.
            self._waiting = [memoryview(data)[lacking[0][1] :]]
            self._size = len(self._waiting[0])
            self._watch()
        else:
            self._waiting.append(data)
            self._size += len(data)
        if self._size > self._high and not self._paused:
            self._paused = True
            self._call(self._protocol.pause_writing)

    def writelines(self, list_of_data: Iterable[Bytes]) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if not self._ended and not self._closing:
            self._ended = True
            if self._waiting is None:
                self._shut_down()

    def get_write_buffer_size(self) -> int:
        return self._size

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if high is None:
            high = HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high}) must be at least low ({low}), and low at least 0")
        self._high, self._low = high, low

    def _write_on(self) -> None:
        waiting = self._waiting
        if waiting is None:
            return
        try:
            taken = os.writev(self.fd, waiting[:MOST_PIECES])
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error)
            return
        self._size -= taken
        whole = 0
        while whole < len(waiting) and taken >= len(waiting[whole]):
            taken -= len(waiting[whole])
            whole += 1
        del waiting[:whole]
        if waiting:
            waiting[0] = memoryview(waiting[0])[taken:]
        else:
            self._waiting = None
            self._watch()
        if self._paused and self._size <= self._low:
            self._paused = False
            self._call(self._protocol.resume_writing)
        if self._waiting is None:  # nor has the protocol gone on to write
            if self._closing:
                self._lose(None)
            elif self._ended:
                self._shut_down()

    def _call(self, call: Callable[[], None]) -> None:
        """Of the protocol's, about the flow: what goes wrong in it is told, and changes nothing here."""
        try:
            call()
        except Exception as error:  # noqa: BLE001  # as asyncio does it
            self._tell("protocol failed to pause or to go on", error)

    def _shut_down(self) -> None:
        try:
            self._as_socket().shutdown(socket.SHUT_WR)
        except OSError as error:
            self._lose(error)

    # The end

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        if self._waiting is None:
            self._lose(None)
        else:
            self._reading = False
            self._watch()

    def abort(self) -> None:
        self._lose(None)

    def _lose(self, error: Exception | None) -> None:
        """Tell the protocol once, and never from inside a call of its own."""
        if self._lost:
            return
        self._lost = self._closing = True
        self._reading = False
        self._waiting = None
        self._size = 0
        self._poller.unwatch(self.fd)
        self._poller.loop.call_soon(self._over, error)

    def _over(self, error: Exception | None) -> None:
        protocol, self._protocol = self._protocol, _NOBODY
        try:
            protocol.connection_lost(error)
        finally:
            self._release()

    def _release(self) -> None:
        fd, self.fd = self.fd, -1
        with suppress(OSError):
            if self._socket is None:
                os.close(fd)
            else:
                self._socket.close()

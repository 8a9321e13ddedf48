"""One ASGI call: the app's side of a connection that nobody has adopted."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from holdfast.asgi.fastlane import deflate, frames
from holdfast.asgi.fastlane.frames import ABNORMAL

if TYPE_CHECKING:
    from holdfast.asgi.fastlane.lanes import App, Scope
    from holdfast.asgi.fastlane.protocol import Protocol

Message = MutableMapping[str, Any]

MOST_WAITING = 64
"""So many messages may wait for the app before nothing more is read."""

MOST_WAITING_BYTES = 65_536
"""The same in bytes (of a text, characters), so that one large message is enough."""


PLAIN = [(b"content-type", b"text/plain; charset=utf-8")]


class PeerGone(OSError):
    """Sent to nobody: the peer has left. ASGI wants an `OSError`."""


class Stage(Enum):
    """How far the app has come."""

    ASKED = auto()
    ACCEPTED = auto()
    ANSWERING = auto()
    DONE = auto()


class Call:
    """Queues what comes for an app that receives it, and takes what it sends."""

    __slots__ = (
        "_answer", "_connected", "_inbox", "_lane", "_over", "_released", "_scope", "_stage", "_waiters", "_waiting",
    )  # fmt: skip

    def __init__(self, lane: Protocol, scope: Scope) -> None:
        self._lane = lane
        self._scope: Scope | None = scope
        self._stage = Stage.ASKED
        self._answer: tuple[int, list[tuple[bytes, bytes]]] | None = None
        self._connected = False
        # Both are made when they are needed: a connection that is adopted never does. Lists, as these are short, and an
        # empty deque takes 760 bytes.
        self._inbox: list[str | bytes] | None = None
        self._waiters: list[asyncio.Future[None]] | None = None
        self._waiting = 0
        self._over: Message | None = None
        self._released = False

    async def run(self, app: App, scope: Scope) -> None:
        """Call the app, and end what it leaves unfinished."""
        lane = self._lane
        log = lane.lanes.log
        try:
            result: object = await app(scope, self.receive, self.send)
        except PeerGone:
            self._finish(1000)
        except asyncio.CancelledError:
            self._finish(1012)
            raise
        except BaseException:
            log.exception("Exception in ASGI application\n")
            self._finish(1011)
        else:
            if self._stage is Stage.ASKED and self._over is None and not self._released:
                log.error("ASGI callable returned without completing handshake.")
            elif result is not None:
                log.error("ASGI callable should return None, but returned '%s'.", result)
            self._finish(1000)

    def release(self) -> list[str | bytes]:
        """Let the connection outlive this call; what the app has not received."""
        self._released = True
        left, self._inbox = self._inbox, None
        return left or []

    def _finish(self, code: int) -> None:
        lane, stage = self._lane, self._stage
        lane.call = self._scope = None
        self._stage = Stage.DONE
        if self._released:
            return
        if stage is Stage.ASKED or self._answer is not None:
            lane.deny(500, PLAIN, b"Internal Server Error")
        elif stage is Stage.ANSWERING:
            lane.deny_more(b"", more=False)
        else:
            lane.close(code)

    # What the lane tells

    def received(self, data: str | bytes) -> None:
        if self._inbox is None:
            self._inbox = []
        self._inbox.append(data)
        self._waiting += len(data)
        if self._waiters:
            self._wake(self._waiters)
        if self._waiting > MOST_WAITING_BYTES or len(self._inbox) >= MOST_WAITING:
            self._lane.hold()

    def disconnected(self, code: int) -> None:
        self._end(code, self._lane.reason)

    def _end(self, code: int, reason: str) -> None:
        if self._over is None:
            self._over = {"type": "websocket.disconnect", "code": code, "reason": reason}
            while self._waiters:
                self._wake(self._waiters)

    def _wake(self, waiters: list[asyncio.Future[None]]) -> None:
        waiter = waiters.pop(0)
        if not waiter.done():
            waiter.set_result(None)

    # What the app does

    async def receive(self) -> Message:
        """The next ASGI event; once disconnected, that again and again."""
        if not self._connected:
            self._connected = True
            return {"type": "websocket.connect"}
        while not self._inbox:
            if self._over is not None:
                return dict(self._over)
            waiter = self._lane.lanes.loop.create_future()
            if self._waiters is None:
                self._waiters = []
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
                elif self._inbox and self._waiters:
                    self._wake(self._waiters)  # it was woken for a message that another one has to take now
                raise
        data = self._inbox.pop(0)
        self._waiting -= len(data)
        if self._lane.held and not self._inbox:
            self._lane.go_on()
        if isinstance(data, str):
            return {"type": "websocket.receive", "text": data}
        return {"type": "websocket.receive", "bytes": data}

    async def send(self, message: Message) -> None:
        """Take an ASGI event. Raises `PeerGone`, and `RuntimeError` for one that is not in its place."""
        lane = self._lane
        if lane.crowded:
            await lane.drained()
        if self._stage is Stage.ACCEPTED:
            self._send(message)
        elif self._stage is Stage.ASKED:
            self._decide(message)
        elif self._stage is Stage.ANSWERING:
            self._respond(message)
        else:
            raise RuntimeError(f"unexpected ASGI message {message['type']!r} after the end of the connection")

    def _send(self, message: Message) -> None:
        lane = self._lane
        kind = message["type"]
        if lane.closed:
            raise PeerGone
        if kind == "websocket.send":
            data = message.get("bytes")
            opcode = frames.BINARY
            if data is None:
                data = message["text"].encode()
                opcode = frames.TEXT
            if lane.window:
                lane.write(deflate.message_frame(opcode, data, lane.window))
            else:
                lane.write(frames.frame(frames.FIN | opcode, data))
        elif kind == "websocket.close":
            code, reason = message.get("code", 1000), message.get("reason") or ""
            lane.close(code, reason)
            self._stage = Stage.DONE
            self._end(code, reason)
        else:
            raise RuntimeError(f"expected 'websocket.send' or 'websocket.close', but got {kind!r}")

    def _decide(self, message: Message) -> None:
        lane = self._lane
        kind = message["type"]
        if self._over is not None:
            raise PeerGone
        if kind == "websocket.accept":
            headers = [(name.lower(), value) for name, value in message.get("headers", ())]
            lane.accept(message.get("subprotocol"), headers)
            self._log("[accepted]")
            self._stage = Stage.ACCEPTED
            self._scope = None
        elif kind == "websocket.close":
            self._log("403")
            self._stage = Stage.DONE
            lane.deny(403, [], b"")
            self._end(ABNORMAL, "")
        elif kind == "websocket.http.response.start":
            self._log(str(message["status"]))
            self._answer = (message["status"], list(message.get("headers", ())))
            self._stage = Stage.ANSWERING
        else:
            raise RuntimeError(
                "expected 'websocket.accept', 'websocket.close' or 'websocket.http.response.start', "
                f"but got {kind!r}"
            )

    def _respond(self, message: Message) -> None:
        kind = message["type"]
        if kind != "websocket.http.response.body":
            raise RuntimeError(f"expected 'websocket.http.response.body', but got {kind!r}")
        body, more = message.get("body", b""), message.get("more_body", False)
        answer, self._answer = self._answer, None
        if answer is not None:
            self._lane.deny(*answer, body, more=more)
        else:
            self._lane.deny_more(body, more=more)
        if not more:
            self._stage = Stage.DONE
            self._end(ABNORMAL, "")

    def _log(self, what: str) -> None:
        if self._scope is not None:
            self._lane.lanes.log_handshake(self._scope, what)

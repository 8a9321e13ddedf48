"""The connection as an endpoint sees it: proven, renewed and revoked behind its back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from holdfast.asgi.driver import Driver
from holdfast.asgi.fastlane.frames import may_be_sent
from holdfast.asgi.principal import Principal
from holdfast.core.connection import State
from holdfast.errors import ConnectionEnded, MisuseError
from holdfast.protocol import endings, frames
from holdfast.protocol.codec import check_message
from holdfast.protocol.endings import Action, Ending, cut


class LiveSocket:
    """A live connection that outlasts its tokens.

    `async for message in socket` gives the client's JSON messages until the connection ends, for whatever reason;
    `socket.ending` then says why, if it was Holdfast that ended it. What came before the end is still given, but not of
    somebody who is signed out or revoked (4001): what they asked for is not to be done any more.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    @property
    def id(self) -> str:
        """This connection's id, as in the client's `welcome`."""
        return self._driver.id

    @property
    def user(self) -> Principal:
        """Whose connection it is; roles are those of the newest token."""
        assert self._driver.proof is not None
        return Principal.of(self._driver.proof)

    @property
    def state(self) -> State:
        """`ready`, `due`, `grace` or `ended`."""
        return self._driver.state

    @property
    def expires_in(self) -> float:
        """Seconds until the newest proof expires; negative in grace."""
        lease = self._driver.machine.lease
        assert lease is not None
        return lease.expires_at - self._driver.node.clock.now()

    @property
    def ending(self) -> Ending | None:
        """Why Holdfast ended the connection, if it did."""
        return self._driver.ending

    async def send_json(self, data: Any) -> None:
        """Send a JSON message.

        Raises:
            ConnectionEnded: there is nobody left to send to.
            ReservedFrameError: its `type` is one of holdfast.v1's own.
            TypeError, ValueError: it is not JSON.
        """
        check_message(data)
        await self._driver.send(frames.Message(data))

    async def receive_json(self) -> Any:
        """The client's next message, which may be from before the end. Raises `ConnectionEnded`."""
        return await self._driver.receive()

    async def __aiter__(self) -> AsyncIterator[Any]:
        while True:
            try:
                message = await self._driver.receive()
            except ConnectionEnded:
                return
            yield message

    async def send_error(self, code: str, message: str, *, id: str | int | None = None) -> None:
        """Answer something the client sent with an `error` frame. Raises `ConnectionEnded`."""
        await self._driver.send(frames.Error(code, message, id))

    async def close(self, code: int = 1000, reason: str = "", *, action: Action = Action.STOP) -> None:
        """End the connection; `action` tells a client that speaks holdfast.v1 what to do next.

        A reason is cut to what a close frame holds, 123 bytes.

        Raises:
            MisuseError: no close frame may carry the code; the connection is as it was.
        """
        if not isinstance(code, int) or not may_be_sent(code):
            raise MisuseError(
                f"no close frame may carry the code {code!r}; use 1000, another that RFC 6455 lets a server send, "
                "or one of your own from 4000 to 4999"
            )
        ending = endings.FINISHED if code == endings.FINISHED.code else Ending(code, cut(reason), action)
        await self._driver.finish(ending)


def is_own_end(driver: Driver, error: ConnectionEnded) -> bool:
    """Whether an endpoint has met the end of its own connection, and not of another that it sends to."""
    return driver.state is State.ENDED and error.ending == (driver.ending or endings.FINISHED)

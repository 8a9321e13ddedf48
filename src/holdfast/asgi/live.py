"""Live sockets for endpoints: as a FastAPI dependency, and as a route for Starlette."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException, WebSocketException
from starlette.requests import HTTPConnection
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from holdfast.asgi import carriers, origin
from holdfast.asgi.carriers import Carrier, Scope
from holdfast.asgi.driver import PROVEN, Driver
from holdfast.asgi.fastlane.frames import may_be_sent
from holdfast.asgi.handshake import header
from holdfast.asgi.node import Node, ending_of
from holdfast.asgi.principal import Principal
from holdfast.asgi.socket import LiveSocket, is_own_end
from holdfast.core.connection import Proof
from holdfast.errors import ConnectionEnded, MisuseError, RefusedError, TokenInvalid, Unavailable
from holdfast.protocol import endings
from holdfast.protocol.endings import Action, Ending

if TYPE_CHECKING:
    from types import TracebackType

Handler = Callable[[LiveSocket], Awaitable[None]]


class Connected:
    """A live socket for as long as an `async with` block lasts, closed after it, and as the block has ended.

    That the connection ends under a block that still sends is not a fault of it, so its `ConnectionEnded` stops here.
    That of another socket does not, and closes this one with 1011.
    Starlette's `WebSocketException` closes it with its own code and reason.
    """

    __slots__ = ("_driver", "_node", "_websocket")

    def __init__(self, node: Node, websocket: WebSocket) -> None:
        self._node = node
        self._websocket = websocket

    async def __aenter__(self) -> LiveSocket:
        """Raises `ConnectionEnded` when the handshake or the first proof was refused."""
        if self._node.be_started is not None:
            await self._node.be_started()
        socket = self._websocket
        self._driver = Driver(self._node, socket.scope)
        await self._driver.open(socket.receive, socket.send)
        return LiveSocket(self._driver)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        driver, ours = self._driver, False
        match error:
            case None:
                ending = endings.FINISHED
            case ConnectionEnded():
                ours = is_own_end(driver, error)
                ending = endings.FINISHED if ours else endings.SERVER_ERROR
            case asyncio.CancelledError():
                ending = endings.RESTARTING
            case WebSocketException():
                ending = _as_it_says(error)
                _leave_it_closed(self._websocket)
            case _:
                ending = endings.SERVER_ERROR
        await driver.finish(ending)
        return ours


def _as_it_says(error: WebSocketException) -> Ending:
    """The ending that an endpoint asks for; a code that may not be sent is a fault of the endpoint."""
    if not isinstance(error.code, int) or not may_be_sent(error.code):
        return endings.SERVER_ERROR
    # A code of ours, or of the RFC's, tells what to do; what the app's own mean, only the app knows.
    action = Action.STOP if endings.is_unknown(error.code) else endings.action_for(error.code)
    return Ending(error.code, endings.cut(str(error.reason)), action)


def route(node: Node, path: str, handler: Handler, *, name: str | None = None) -> WebSocketRoute:
    """A Starlette route whose handler gets a live socket."""

    async def endpoint(websocket: WebSocket) -> None:
        begun = False
        try:
            async with Connected(node, websocket) as socket:
                begun = True
                await handler(socket)
        except ConnectionEnded:
            if begun:  # of another socket, which is for the log; one that was refused has been told so
                raise

    return WebSocketRoute(path, endpoint, name=name or getattr(handler, "__name__", "live"))


def live_dependency(node: Node) -> Callable[[WebSocket], Awaitable[LiveSocket]]:
    """The function behind `hold.live`.

    It ends with its endpoint like a dependency with `yield`, through the same stack of FastAPI's, but without the three
    generators and the cancel scope that those take, which weigh 3 KB for each connection.
    """

    async def live(websocket: WebSocket) -> LiveSocket:
        stack = _exit_stack(websocket.scope)
        context = Connected(node, websocket)
        try:
            socket = await context.__aenter__()
        except ConnectionEnded as error:
            raise _answered(websocket, error) from None
        stack.push_async_exit(context)
        return socket

    return live


def _exit_stack(scope: Scope) -> AsyncExitStack:
    """What FastAPI unwinds when an endpoint is done; by its name, or should that change, the innermost there is."""
    stack = scope.get("fastapi_inner_astack")
    if not isinstance(stack, AsyncExitStack):
        stack = next(
            (each for each in reversed(list(scope.values())) if isinstance(each, AsyncExitStack)), None
        )
    if stack is None:
        raise MisuseError("hold.live is a dependency of FastAPI's endpoints; elsewhere use hold.websocket")
    return stack


async def principal_of(node: Node, connection: HTTPConnection) -> Principal:
    """Who a request, or a WebSocket before its accept, comes from.

    Raises:
        RefusedError: there is no token, or it proves nothing.
        Unavailable: the token cannot be checked just now.
    """
    if node.be_started is not None:
        await node.be_started()
    scope = connection.scope
    known: Proof | None = scope.get(PROVEN) if scope["type"] == "websocket" else None
    if known is not None:  # `live` on the same endpoint has asked before, and a ticket is good once
        proof = known
    elif scope["type"] == "websocket":
        carried = carriers.read(scope)
        carriers.hide(scope)
        if carried.carrier is Carrier.TICKET:
            page = connection.headers.get("origin")
            proof = await node.prover.redeem_ticket(carried.secret, origin=page)
        else:
            proof = await node.prover.authenticate(carried.secret)
    else:
        token = carriers.bearer(scope["headers"])
        if token is None:
            raise TokenInvalid(
                "Sign in first: this needs an Authorization: Bearer header.", detail="no token"
            )
        proof = await node.prover.authenticate(token)
    node.prover.check_revoked(proof)
    if scope["type"] == "websocket":
        scope[PROVEN] = proof
    return Principal.of(proof)


async def principal_or_answer(node: Node, connection: HTTPConnection) -> Principal:
    """The same for a dependency: what goes wrong becomes an answer that the other side can see."""
    if isinstance(connection, WebSocket):
        await _check_origin(node, connection)
    try:
        return await principal_of(node, connection)
    except (RefusedError, Unavailable) as error:
        status = error.status if isinstance(error, RefusedError) else 503
        if not isinstance(connection, WebSocket):
            headers = {"WWW-Authenticate": "Bearer", "Cache-Control": "no-store"} if status == 401 else None
            detail: Any = {"code": error.code, "message": str(error)}
            raise HTTPException(status, detail, headers) from None
        ending = ending_of(error)
        await connection.accept()
        await connection.close(ending.code, ending.reason)
        raise _answered(connection, ConnectionEnded(ending)) from None


async def _check_origin(node: Node, websocket: WebSocket) -> None:
    page = websocket.headers.get("origin")
    here = node.host_of(websocket.scope) if node.host_of else header(websocket.scope, b"host")
    if PROVEN in websocket.scope or origin.allowed(page, here, node.allowed_origins):
        return
    await websocket.close()  # before the accept, which is a 403
    raise _answered(websocket, ConnectionEnded(endings.TOKEN_INVALID))


def _answered(websocket: WebSocket, error: ConnectionEnded) -> WebSocketException:
    """What keeps an endpoint from running once the client has had its answer; frameworks only stop for an exception."""
    _leave_it_closed(websocket)
    return WebSocketException(error.ending.code, error.ending.reason)


def _leave_it_closed(websocket: WebSocket) -> None:
    """Frameworks close the socket of a `WebSocketException`, which has happened: on this one nothing is left to do."""

    async def nothing_left(code: int = 1000, reason: str | None = None) -> None: ...

    websocket.close = nothing_left  # type: ignore[method-assign]  # see above


def need_fastapi() -> Any:
    """The FastAPI module, for those parts that only it has a use for.

    Raises:
        MisuseError: it is not installed.
    """
    try:
        import fastapi
    except ImportError:
        raise MisuseError(
            "hold.live, hold.user and hold.router need FastAPI (pip install 'holdfast[fastapi]'); "
            "on plain Starlette use hold.websocket, hold.authenticate and hold.routes"
        ) from None
    return fastapi

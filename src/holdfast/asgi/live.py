"""Live sockets for endpoints: as a FastAPI dependency, and as a route for Starlette."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException, WebSocketException
from starlette.requests import HTTPConnection
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from holdfast.asgi import carriers, origin
from holdfast.asgi.carriers import Carrier
from holdfast.asgi.driver import PROVEN, Driver
from holdfast.asgi.handshake import Receive, SendMessage, header
from holdfast.asgi.node import Node, ending_of
from holdfast.asgi.principal import Principal
from holdfast.asgi.socket import LiveSocket
from holdfast.core.connection import Proof
from holdfast.errors import ConnectionEnded, MisuseError, RefusedError, TokenInvalid, Unavailable
from holdfast.protocol import endings

if TYPE_CHECKING:
    from collections.abc import MutableMapping

Handler = Callable[[LiveSocket], Awaitable[None]]


@asynccontextmanager
async def connected(
    node: Node, scope: MutableMapping[str, Any], receive: Receive, send: SendMessage
) -> AsyncIterator[LiveSocket]:
    """A live socket for as long as the block lasts, closed after it.

    That the connection ends under a block that still sends is not a fault of it, so `ConnectionEnded` stops here.

    Raises:
        ConnectionEnded: before the block, when the handshake or the first proof was refused.
    """
    if node.be_started is not None:
        await node.be_started()
    driver = Driver(node, scope, receive, send)
    await driver.open()
    try:
        yield LiveSocket(driver)
    except ConnectionEnded as error:
        if error.ending != (driver.ending or endings.FINISHED):
            raise
    except asyncio.CancelledError:
        await driver.finish(endings.RESTARTING)
        raise
    except BaseException:
        await driver.finish(endings.SERVER_ERROR)
        raise
    finally:
        await driver.finish()


def route(node: Node, path: str, handler: Handler, *, name: str | None = None) -> WebSocketRoute:
    """A Starlette route whose handler gets a live socket."""

    async def endpoint(websocket: WebSocket) -> None:
        try:
            async with connected(node, websocket.scope, websocket.receive, websocket.send) as socket:
                await handler(socket)
        except ConnectionEnded:
            return

    return WebSocketRoute(path, endpoint, name=name or getattr(handler, "__name__", "live"))


def live_dependency(node: Node) -> Callable[[WebSocket], AsyncIterator[LiveSocket]]:
    """The function behind `hold.live`."""

    async def live(websocket: WebSocket) -> AsyncIterator[LiveSocket]:
        context = connected(node, websocket.scope, websocket.receive, websocket.send)
        try:
            socket = await context.__aenter__()
        except ConnectionEnded as error:
            raise _answered(websocket, error) from None
        try:
            yield socket
        except BaseException as error:
            if not await context.__aexit__(type(error), error, error.__traceback__):
                raise
        else:
            await context.__aexit__(None, None, None)

    return live


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
    """What keeps an endpoint from running once the client has had its answer.

    Frameworks only stop for an exception, and their handler for this one closes the socket, which has happened: on this
    one object it has nothing left to do.
    """

    async def nothing_left(code: int = 1000, reason: str | None = None) -> None: ...

    websocket.close = nothing_left  # type: ignore[method-assign]  # see above
    return WebSocketException(error.ending.code, error.ending.reason)


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

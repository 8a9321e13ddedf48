"""The app of the wire tests: what a user of the library writes, on FastAPI, and on Starlette at /starlette."""

from __future__ import annotations

import contextlib
from asyncio import sleep
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Body, FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from holdfast import ConnectionEnded, Holdfast, LiveSocket, Principal
from holdfast.errors import Conflict
from holdfast.protocol.endings import DISCONNECTED
from holdfast.server.front import Front

hold = Holdfast()


@hold.on_message
async def echo(socket: LiveSocket, message: object) -> None:
    await socket.send_json({"echo": message})


@asynccontextmanager
async def lifespan(app: object) -> AsyncIterator[None]:
    async with hold.lifespan(app):
        await add_people()
        yield


async def add_people() -> None:
    with contextlib.suppress(Conflict):
        await hold.sessions.add_user("ann", "correct horse battery staple", ())


app = FastAPI(lifespan=lifespan)
app.include_router(hold.router)


@app.post("/people")
async def people() -> dict[str, bool]:
    await hold.start()  # for daphne, which runs no lifespan
    await add_people()
    return {"ok": True}


@app.websocket("/jobs")
async def jobs(socket: LiveSocket = hold.live) -> None:
    async for message in socket:
        await socket.send_json({"echo": message})


@app.websocket("/deaf")
async def deaf(socket: LiveSocket = hold.live) -> None:
    """Pushes numbers and never reads, as a progress stream does."""
    number = 0
    while True:
        await socket.send_json({"number": number})
        number += 1
        await sleep(0.05)


@app.websocket("/broken")
async def broken(socket: LiveSocket = hold.live) -> None:
    await socket.send_json({"soon": "broken"})
    raise RuntimeError("the handler failed on purpose")


@app.websocket("/ends-under")
async def ends_under(socket: LiveSocket = hold.live) -> None:
    await hold.revoke(session=socket.user.session, reason="banned")
    try:
        await socket.send_json({"too": "late"})
    except ConnectionEnded:
        return


@app.websocket("/asked-twice")
async def asked_twice(user: Principal = hold.user, socket: LiveSocket = hold.live) -> None:
    await socket.send_json({"user": user.name})


@hold.channel("room:{name:path}", presence=True)
async def room(user: Principal, name: str) -> bool:
    await sleep(0)  # as a rule that asks a database
    return bool(name)


@room.publisher
def room_publisher(user: Principal, name: str) -> bool:
    return bool(name)


@hold.channel("read:{name}")
def read(user: Principal, name: str) -> bool:
    return bool(name)


@hold.channel("broken:{name}")
async def broken_rule(user: Principal, name: str) -> bool:
    raise RuntimeError("the rule failed on purpose")


fickle_is_open = [True]


@hold.channel("fickle:{name}")
async def fickle(user: Principal, name: str) -> bool:
    await sleep(0)
    return fickle_is_open[0]


@app.post("/fickle")
async def set_fickle(is_open: Annotated[bool, Body()]) -> dict[str, bool]:
    fickle_is_open[0] = is_open
    return {"ok": True}


@app.post("/recheck")
async def recheck(user: Annotated[str, Body()]) -> dict[str, bool]:
    await hold.recheck(user)
    return {"ok": True}


@hold.channel("staff:{name}")
def staff(user: Principal, name: str) -> bool:
    return bool(name) and user.has_role("staff")


@app.post("/staff")
async def set_staff(roles: Annotated[list[str], Body()], user: Principal = hold.user) -> dict[str, bool]:
    await hold.sessions.set_roles(user.id, roles)
    return {"ok": True}


@app.post("/publish")
async def publish(channel: Annotated[str, Body()], data: Annotated[object, Body()]) -> dict[str, int]:
    return {"offset": (await hold.publish(channel, data)).offset}


@app.post("/disconnect")
async def disconnect() -> dict[str, bool]:
    """End every connection, as an administrator does; clients come back."""
    for driver in tuple(hold.connections):
        driver.end(DISCONNECTED)
    return {"ok": True}


@app.websocket("/own-socket")
async def own_socket(websocket: WebSocket, user: Principal = hold.user) -> None:
    await websocket.accept()
    await websocket.send_json({"user": user.name})
    await websocket.close()


@app.get("/whoami")
async def whoami(user: Principal = hold.user) -> dict[str, str]:
    return {"user": user.name}


async def starlette_whoami(request: Request) -> JSONResponse:
    user = await hold.authenticate(request)
    return JSONResponse({"user": user.name})


async def starlette_jobs(socket: LiveSocket) -> None:
    async for message in socket:
        await socket.send_json({"echo": message})


plain = Starlette(routes=[Route("/whoami", starlette_whoami), hold.websocket("/jobs", starlette_jobs)])
app.router.routes.append(Mount("/starlette", plain))

fronted = Front(app, hold.ws)
"""As `holdfast serve` has it: on the fast lane, connections to `/ws` are taken without a call of the app."""

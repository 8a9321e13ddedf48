"""The app of the wire tests: what a user of the library writes, on FastAPI, and on Starlette at /starlette."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from holdfast import ConnectionEnded, Holdfast, LiveSocket, Principal
from holdfast.errors import Conflict

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
    from asyncio import sleep

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

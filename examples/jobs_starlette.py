"""The same on plain Starlette, without FastAPI.

    export SECRET_KEY=$(openssl rand -hex 32)
    holdfast users add ann
    uvicorn --app-dir examples jobs_starlette:app

`hold.websocket` makes the route, `hold.authenticate` reads the token of a request.
"""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from holdfast import Holdfast, LiveSocket

hold = Holdfast()


async def jobs(socket: LiveSocket) -> None:
    async for message in socket:
        await socket.send_json({"echo": message})


async def whoami(request: Request) -> JSONResponse:
    user = await hold.authenticate(request)
    return JSONResponse({"id": user.id, "name": user.name, "roles": user.roles})


app = Starlette(
    lifespan=hold.lifespan,
    routes=[
        Route("/whoami", whoami),
        hold.websocket("/jobs", jobs),
        *hold.routes,
    ],
)

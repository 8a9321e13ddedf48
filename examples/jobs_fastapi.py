"""A FastAPI app whose live connections outlast their tokens.

    export SECRET_KEY=$(openssl rand -hex 32)
    holdfast users add ann
    uvicorn --app-dir examples jobs_fastapi:app

Then open http://127.0.0.1:8000 and sign in. The page is plain_browser.html, which needs no library.
"""

import asyncio
from pathlib import Path

from fastapi import FastAPI, HTTPException
from fastapi.responses import FileResponse

from holdfast import Holdfast, LiveSocket, Principal

hold = Holdfast()  # settings from the environment, users and sessions in SQLite under ./data
app = FastAPI(lifespan=hold.lifespan)
app.include_router(hold.router)  # /token, /auth/…, /ws


@app.websocket("/jobs")
async def jobs(socket: LiveSocket = hold.live) -> None:
    """The token is checked before this runs, and renewed or revoked while it runs."""
    async for message in socket:
        await socket.send_json({"echo": message})


@app.websocket("/jobs/{job}")
async def watch(job: int, socket: LiveSocket = hold.live) -> None:
    """A handler that only sends: it ends by itself when the connection does."""
    for percent in range(0, 101, 5):
        await socket.send_json({"job": job, "progress": percent})
        await asyncio.sleep(0.2)


@app.get("/whoami")
async def whoami(user: Principal = hold.user) -> dict[str, object]:
    """The same proof over HTTP: `Authorization: Bearer …`."""
    return {"id": user.id, "name": user.name, "roles": user.roles}


@app.post("/ban/{name}")
async def ban(name: str, user: Principal = hold.user) -> dict[str, str]:
    """Every connection of `name` closes at once, with the reason, in every process."""
    if not user.has_role("admin"):
        raise HTTPException(403, "for administrators")
    await hold.revoke(user=name, reason="banned")
    return {"banned": name}


@app.get("/", include_in_schema=False)
async def page() -> FileResponse:
    return FileResponse(Path(__file__).with_name("plain_browser.html"))

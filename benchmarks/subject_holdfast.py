"""What a user of the library writes; the two /bench routes spare the benchmark a password for each session."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from holdfast import Holdfast, LiveSocket, Principal

hold = Holdfast()
app = FastAPI(lifespan=hold.lifespan)
app.include_router(hold.router)


@hold.channel("public:{topic}")
def everyone(user: Principal, topic: str) -> bool:  # noqa: ARG001  # whoever has a token reads
    return True


@everyone.publisher
def administrators(user: Principal, topic: str) -> bool:  # noqa: ARG001  # the same for each topic
    return user.has_role("admin")


@app.websocket("/live")
async def live(socket: LiveSocket = hold.live) -> None:
    async for message in socket:
        await socket.send_json({"echo": message})


@app.post("/bench/session")
async def session(user: str) -> dict[str, Any]:
    grant = await hold.sign_in(user, name=user, client="program")
    return {"access_token": grant.access_token, "refresh_token": grant.refresh_token}


@app.post("/bench/disable")
async def disable(user: str) -> None:
    await hold.sessions.set_disabled(user, True)

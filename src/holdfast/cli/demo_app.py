"""The library half of the demo: an app of one's own, which `holdfast demo` serves beside the ready server."""

from __future__ import annotations

import asyncio
from itertools import count

from fastapi import FastAPI

from holdfast import Holdfast, LiveSocket

TICK_SECONDS = 0.25

hold = Holdfast()
app = FastAPI(lifespan=hold.lifespan)
app.include_router(hold.router)


@app.websocket("/jobs")
async def jobs(socket: LiveSocket = hold.live) -> None:
    """Echo what comes, and report progress all the while, as a job that runs for hours would."""
    progress = asyncio.create_task(report(socket))
    try:
        async for message in socket:
            await socket.send_json({"echo": message})
    finally:
        progress.cancel()
        await asyncio.gather(progress, return_exceptions=True)


async def report(socket: LiveSocket) -> None:
    """Send numbered progress until the connection ends."""
    for number in count():
        await socket.send_json({"progress": number})
        await asyncio.sleep(TICK_SECONDS)

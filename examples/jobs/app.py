"""Long jobs in the background, followed live by whoever started them.

    export SECRET_KEY=$(openssl rand -hex 32)
    holdfast users add ann
    uvicorn --app-dir examples/jobs app:app

Then open http://127.0.0.1:8000, sign in and start a job. Reload the page, pull the plug, let the token expire: the job
runs on, and the page shows all of it again.

A job publishes what changes on a channel of its own, `job:{id}`, which only its owner may read. Who comes later asks
over HTTP for the job as it is, with the position in the channel up to which that is so, and goes on from there.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from holdfast import Holdfast, Position, Principal

LINES_KEPT = 1_000
JOBS_KEPT = 100


class Order(BaseModel):
    """What to do. Yours says something else."""

    title: str = Field("A long job", max_length=100)
    seconds: float = Field(20.0, gt=0, le=3600)


@dataclass
class Job:
    """A job as it is at `position` of its channel."""

    id: str
    owner: str
    title: str
    state: Literal["running", "done", "failed", "cancelled"] = "running"
    progress: float = 0.0
    log: list[str] = field(default_factory=list)
    result: Any = None
    position: Position | None = None

    def __post_init__(self) -> None:
        self.telling = asyncio.Lock()
        self.task: asyncio.Task[None] | None = None

    async def tell(self, *lines: str, **change: Any) -> None:
        """Publish what changes, and change it here: whoever asks gets the job and the position that fit together."""
        async with self.telling:
            self.position = await hold.publish(f"job:{self.id}", {**change, "log": lines})
            for name, value in change.items():
                setattr(self, name, value)
            self.log = [*self.log, *lines][-LINES_KEPT:]
        if (
            "state" in change
        ):  # for the owner's list of jobs, in every tab: `user:` channels are their users' own
            await hold.publish(f"user:{self.owner}", {"job": self.id, "state": self.state})


jobs: dict[str, Job] = {}  # yours are in a database
hold = Holdfast()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Jobs end with the server; yours may run elsewhere, and publish from there."""
    async with hold.lifespan(app):
        yield
        running = [job.task for job in jobs.values() if job.task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running)


app = FastAPI(lifespan=lifespan)
app.include_router(hold.router)  # /token, /auth/…, /ws


# The jobs


async def work(job: Job, order: Order) -> dict[str, Any]:
    """The job itself; this one only takes its time."""
    for percent in range(1, 101):
        await asyncio.sleep(order.seconds / 100)
        await job.tell(f"part {percent} of 100", progress=percent / 100)
    return {"parts": 100}


async def run(job: Job, order: Order) -> None:
    """Do the work, and tell how it ended."""
    end: dict[str, Any]
    try:
        end = {"state": "done", "result": await work(job, order)}
    except asyncio.CancelledError:
        end = {"state": "cancelled"}
    except Exception as error:  # noqa: BLE001  # whatever it was, the owner wants to know
        end = {"state": "failed", "result": f"{type(error).__name__}: {error}"}
    job.task = None  # from here on it cannot be cancelled
    await job.tell(end["state"], **end)


# Who may see what


@hold.channel("job:{id}")
async def may_follow(user: Principal, id: str) -> bool:
    """Asked at every subscription, and again whenever the user's token is renewed."""
    job = jobs.get(id)
    return job is not None and job.owner == user.id


async def own_job(id: str, user: Principal = hold.user) -> Job:
    job = jobs.get(id)
    if job is None or job.owner != user.id:
        raise HTTPException(404, "you have no such job")
    return job


OwnJob = Annotated[Job, Depends(own_job)]


# Over HTTP


@app.post("/jobs", status_code=201)
async def start(order: Order, user: Principal = hold.user) -> dict[str, Any]:
    """Begin, and answer at once."""
    for old in [job for job in jobs.values() if job.task is None][:-JOBS_KEPT]:
        del jobs[old.id]
    job = Job(secrets.token_hex(8), user.id, order.title)
    jobs[job.id] = job
    await job.tell("started", state="running")
    job.task = asyncio.create_task(run(job, order))
    return asdict(job)


@app.get("/jobs")
async def mine(user: Principal = hold.user) -> list[dict[str, Any]]:
    own = [job for job in reversed(jobs.values()) if job.owner == user.id]
    return [{"id": job.id, "title": job.title, "state": job.state} for job in own]


@app.get("/jobs/{id}")
async def show(job: OwnJob) -> dict[str, Any]:
    """The job as it is, and its position."""
    return asdict(job)


@app.post("/jobs/{id}/cancel", status_code=202)
async def cancel(job: OwnJob) -> None:
    async with job.telling:  # not in the middle of it, or what it has told would not be in what it knows
        if job.task is not None:
            job.task.cancel()


@app.get("/", include_in_schema=False)
async def page() -> FileResponse:
    return FileResponse(Path(__file__).with_name("page.html"))

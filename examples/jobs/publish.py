"""Three made-up long jobs of a program, for the Jobs page of a `holdfast serve`.

    HOLDFAST_EXAMPLE_PASSWORD=... python examples/jobs/publish.py http://127.0.0.1:8000 admin

Programs may publish to `job:…` there, and whoever is signed in may read it. Restart the server meanwhile: the jobs go
on, and tell all of themselves again. Stop this script, and the page says that it has lost contact.
"""

import asyncio
import os
import random
import secrets
import sys
import time
from typing import Any

from holdfast import BadCredentials, Position, Unavailable
from holdfast.client import ClientError, LiveConnection, RequestError, Session

INDEX = "job:index"  # which jobs there are
LINES_KEPT = 200
WHOLE_EVERY = 50  # publications; what was published before the last whole is not needed by anybody


class Job:
    """What is known of a job here, told on `job:{id}` as it changes.

    A publication says what has changed: `title`, `state`, `progress` from 0 to 1, `result`, and the lines that come to
    the `log`. One that is `whole` says everything, for those who have nothing yet.
    """

    def __init__(self, live: LiveConnection, title: str) -> None:
        self.id = secrets.token_hex(4)
        self._live = live
        self._known: dict[str, Any] = {"title": title, "state": "running", "progress": 0.0}
        self._log: list[dict[str, Any]] = []
        self._epoch = ""
        self._since_whole = 0

    async def tell(self, *lines: str, level: str = "info", **change: Any) -> None:
        """Tell what has changed, and all of it now and then, and when the channel has begun a new life."""
        added = [{"at": time.time(), "level": level, "text": line} for line in lines]
        self._known |= change
        self._log = [*self._log, *added][-LINES_KEPT:]
        position = await self._publish(f"job:{self.id}", {**change, "log": added})
        self._since_whole += 1
        if position.epoch != self._epoch or "state" in change or self._since_whole >= WHOLE_EVERY:
            self._epoch, self._since_whole = position.epoch, 0
            await self._publish(f"job:{self.id}", {**self._known, "log": self._log, "whole": True})
            await self._publish(INDEX, {"job": self.id, "at": time.time(), **self._known})

    async def _publish(self, channel: str, data: dict[str, Any]) -> Position:
        """Try until it is published, which the key makes it once."""
        key = secrets.token_hex(8)
        while True:
            try:
                return await self._live.publish(channel, data, key=key)
            except Unavailable as why:  # the connection comes back by itself
                print(f"{self.id}: {why}", file=sys.stderr)
            except RequestError as refused:
                if refused.refusal != "try_later":
                    raise
                await asyncio.sleep(refused.retry_after or 1)


async def work(job: Job, steps: int, seconds: float, fails_at: int) -> None:
    """The job itself; this one only takes its time."""
    await job.tell("started", state="running")
    for step in range(1, steps + 1):
        await asyncio.sleep(seconds / steps * random.uniform(0.5, 1.5))  # noqa: S311  # no secret
        if step == fails_at:
            await job.tell("no space left on the disk", level="error", state="failed")
            return
        await job.tell(f"part {step} of {steps}", progress=step / steps)
    await job.tell("done", state="done", result={"parts": steps})


async def main(url: str, name: str, password: str, seconds: float = 60.0) -> None:
    async with Session(url) as session:
        await session.sign_in(name, password)
        async with session.connect("/ws") as live:
            made_up = [
                (Job(live, "Nightly report"), 300, 0),
                (Job(live, "Video"), 60, 0),
                (Job(live, "Backup"), 40, 25),
            ]
            for job, _, _ in made_up:
                print(f"job:{job.id}", flush=True)
            await asyncio.gather(*(work(job, steps, seconds, fails_at) for job, steps, fails_at in made_up))


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:3], os.environ["HOLDFAST_EXAMPLE_PASSWORD"], *map(float, sys.argv[3:])))
    except BadCredentials as error:
        sys.exit(str(error))
    except (ClientError, RequestError) as error:  # signed out, or not allowed to publish
        sys.exit(f"over: {error}")
    except Unavailable as error:
        sys.exit(f"cannot be reached: {error}")
    except KeyboardInterrupt:
        pass

"""A script that signs in, stays connected for as long as it runs, and survives restarts of the server.

    HOLDFAST_EXAMPLE_PASSWORD=... python examples/script_client.py http://127.0.0.1:8000 ann

It talks to jobs_fastapi.py.
"""

import asyncio
import os
import sys

from holdfast import BadCredentials, Unavailable
from holdfast.client import ClientError, Session


async def main(url: str, name: str, password: str) -> None:
    async with Session(url) as session:
        await session.sign_in(name, password)
        session.on("refreshed", lambda _: print("a new token", file=sys.stderr))

        answer = await session.request("GET", "/whoami")
        print(answer.json())

        async with session.connect("/jobs/42") as live:
            live.on("lost", lambda news: print("lost:", news.code, news.reason, file=sys.stderr))
            async for message in live:  # ends when the server's handler is done
                print(message)
        await session.sign_out()


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1], sys.argv[2], os.environ["HOLDFAST_EXAMPLE_PASSWORD"]))
    except BadCredentials as error:
        sys.exit(str(error))
    except ClientError as error:  # signed out or banned; trying again would not help
        sys.exit(f"over: {error}")
    except Unavailable as error:
        sys.exit(f"cannot be reached: {error}")

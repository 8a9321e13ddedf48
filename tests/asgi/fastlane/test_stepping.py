"""A coroutine begins outside of a task, and goes on in one only if it has to wait."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from holdfast.asgi.fastlane.stepping import step


async def in_task(rest: Coroutine[Any, Any, None] | None) -> None:
    assert rest is not None
    async with asyncio.timeout(5):
        await asyncio.get_running_loop().create_task(rest)


async def test_one_that_never_waits_needs_no_task() -> None:
    seen = []

    async def work() -> None:
        seen.append(1)

    assert step(work()) is None
    assert seen == [1]


async def test_what_it_raises_comes_out() -> None:
    async def work() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        step(work())


async def test_it_goes_on_in_a_task_when_what_it_waits_for_is_there() -> None:
    loop = asyncio.get_running_loop()
    first, second = loop.create_future(), loop.create_future()
    seen = []

    async def work() -> None:
        seen.append(await first)
        await asyncio.sleep(0)
        seen.append(await second)
        seen.append(asyncio.current_task() is not None)

    rest = step(work())
    assert seen == []
    loop.call_soon(second.set_result, 2)
    loop.call_soon(first.set_result, 1)
    await in_task(rest)
    assert seen == [1, 2, True]


async def test_what_it_waits_for_may_be_done_before_the_task_begins() -> None:
    first: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    seen = []

    async def work() -> None:
        seen.append(await first)

    rest = step(work())
    first.set_result(1)
    await in_task(rest)
    assert seen == [1]


async def test_one_that_only_gave_way() -> None:
    seen = []

    async def work() -> None:
        await asyncio.sleep(0)
        seen.append(1)

    await in_task(step(work()))
    assert seen == [1]


@pytest.mark.parametrize("ticks", [0, 1, 3])
async def test_cancelling_its_task_reaches_it(ticks: int) -> None:
    never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    seen = []

    async def work() -> None:
        try:
            await never
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    rest = step(work())
    assert rest is not None
    task = asyncio.get_running_loop().create_task(rest)
    for _ in range(ticks):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cancelled"]


async def test_one_that_is_thrown_away_is_closed() -> None:
    seen = []

    async def work() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            seen.append("closed")

    rest = step(work())
    assert rest is not None
    rest.close()
    assert seen == ["closed"]

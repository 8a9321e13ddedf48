from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from holdfast.asgi.eager import begin, step


async def test_what_does_not_wait_is_done_at_once_and_has_no_task():
    done = []

    async def work() -> None:
        done.append(1)

    assert begin(work(), asyncio.get_running_loop()) is None
    assert done == [1]


async def test_what_waits_goes_on_in_a_task_from_where_it_was():
    steps = []
    first, second = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        steps.append("begun")
        await first.wait()
        steps.append("first")
        async with asyncio.timeout(10):  # there is a task by now
            await second.wait()
        steps.append("second")

    task = begin(work(), asyncio.get_running_loop())
    assert steps == ["begun"]
    first.set()
    second.set()
    await task
    assert steps == ["begun", "first", "second"]


async def test_what_it_waited_for_may_fail_and_it_hears_of_it():
    failing = asyncio.get_running_loop().create_future()
    heard = []

    async def work() -> None:
        try:
            await failing
        except ValueError as error:
            heard.append(str(error))

    task = begin(work(), asyncio.get_running_loop())
    failing.set_exception(ValueError("on purpose"))
    await task
    assert heard == ["on purpose"]


async def test_what_it_raises_before_it_waits_is_raised_here_and_after_that_in_the_task():
    async def early() -> None:
        raise ValueError("early")

    async def late() -> None:
        await asyncio.sleep(0)
        raise ValueError("late")

    loop = asyncio.get_running_loop()
    with pytest.raises(ValueError, match="early"):
        begin(early(), loop)
    with pytest.raises(ValueError, match="late"):
        await begin(late(), loop)


async def test_it_can_be_cancelled_where_it_waits():
    cleaned = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(1)

    task = begin(work(), asyncio.get_running_loop())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned == [1]


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

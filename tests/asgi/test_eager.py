from __future__ import annotations

import asyncio

import pytest

from holdfast.asgi.eager import begin


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

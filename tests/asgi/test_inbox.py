from __future__ import annotations

import asyncio

import pytest

from holdfast.asgi.inbox import Inbox, InboxClosed


async def test_messages_come_out_in_the_order_they_came():
    inbox = Inbox(10, 1_000)
    assert all(inbox.put(number) for number in range(10))
    assert [await inbox.take() for _ in range(10)] == list(range(10))


async def test_a_full_inbox_takes_nothing_until_a_message_has_left():
    inbox = Inbox(2, 1_000)
    assert inbox.put(1)
    assert inbox.put(2)
    assert not inbox.put(3)
    assert await inbox.take() == 1
    assert inbox.put(4)
    assert [await inbox.take(), await inbox.take()] == [2, 4]


async def test_an_inbox_is_full_by_size_too_but_never_for_one_message():
    inbox = Inbox(10, 100)
    assert inbox.put("large", 500)
    assert not inbox.put("more", 1)
    assert await inbox.take() == "large"
    assert inbox.put(1, 60)
    assert inbox.put(2, 40)
    assert not inbox.put(3, 1)
    assert [await inbox.take(), await inbox.take()] == [1, 2]
    assert inbox.put(4, 100)


async def test_whoever_waits_gets_the_next_message_and_each_message_goes_to_one():
    inbox = Inbox(10, 1_000)
    takers = [asyncio.ensure_future(inbox.take()) for _ in range(3)]
    await asyncio.sleep(0)
    for number in range(3):
        inbox.put(number)
    assert await asyncio.gather(*takers) == [0, 1, 2]


async def test_a_taker_that_is_cancelled_leaves_its_message_to_the_next():
    inbox = Inbox(10, 1_000)
    first, second = (asyncio.ensure_future(inbox.take()) for _ in range(2))
    await asyncio.sleep(0)
    inbox.put("only")
    first.cancel()
    assert await asyncio.wait_for(second, 5) == "only"
    assert first.cancelled()


async def test_a_taker_that_is_cancelled_while_it_waits_is_forgotten():
    inbox = Inbox(10, 1_000)
    first, second = (asyncio.ensure_future(inbox.take()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait((first,))
    inbox.put("only")
    assert await asyncio.wait_for(second, 5) == "only"


async def test_after_the_end_what_has_come_before_is_still_handed_out_and_nothing_more_is_taken():
    inbox = Inbox(10, 1_000)
    inbox.put(1)
    inbox.close()
    assert not inbox.put(2)
    assert await inbox.take() == 1
    for _ in range(2):
        with pytest.raises(InboxClosed):
            await inbox.take()


async def test_the_end_wakes_everybody_who_waits():
    inbox = Inbox(10, 1_000)
    takers = [asyncio.ensure_future(inbox.take()) for _ in range(3)]
    await asyncio.sleep(0)
    inbox.close()
    inbox.close()
    ended = await asyncio.wait_for(asyncio.gather(*takers, return_exceptions=True), 5)
    assert [type(each) for each in ended] == [InboxClosed] * 3


async def test_what_is_dropped_at_the_end_is_handed_to_nobody():
    inbox = Inbox(10, 1_000)
    taker = asyncio.ensure_future(inbox.take())
    await asyncio.sleep(0)
    inbox.put("for the one who waits")
    inbox.put("for the next")
    inbox.close(drop=True)
    assert not inbox
    for take in (taker, inbox.take()):
        with pytest.raises(InboxClosed):
            await asyncio.wait_for(take, 5)

from __future__ import annotations

import asyncio

import pytest

from holdfast.errors import Throttled
from holdfast.sessions import throttle as module
from holdfast.sessions.throttle import Throttle, ThrottlePolicy
from holdfast.testing.clock import ManualClock

HOME = "192.0.2.1"


@pytest.fixture
def throttle(clock: ManualClock) -> Throttle:
    policy = ThrottlePolicy(
        account_and_address="3/minute; 5/hour", address="6/minute", account="8/hour", bad_tokens="3/minute"
    )
    return Throttle(clock, policy)


async def stranger() -> bool:
    return False


async def friend() -> bool:
    return True


async def fail(throttle: Throttle, account: str, address: str | None, familiar=stranger) -> None:
    async with throttle.attempt(account, address, familiar=familiar) as attempt:
        attempt.failed()


async def succeed(throttle: Throttle, account: str, address: str | None) -> None:
    async with throttle.attempt(account, address, familiar=stranger) as attempt:
        attempt.succeeded()


async def test_too_many_failures_are_told_how_long_to_wait(throttle: Throttle, clock: ManualClock) -> None:
    for _ in range(3):
        await fail(throttle, "ann", HOME)
        clock.set(clock.now() + 1)
    with pytest.raises(Throttled) as refused:
        await fail(throttle, "ann", HOME)
    assert refused.value.retry_after == 57


async def test_the_wait_ends_on_the_second(throttle: Throttle, clock: ManualClock) -> None:
    start = clock.now()
    for _ in range(3):
        await fail(throttle, "ann", HOME)
    clock.set(start + 59)
    with pytest.raises(Throttled):
        await fail(throttle, "ann", HOME)
    clock.set(start + 60)
    await fail(throttle, "ann", HOME)


async def test_whoever_persists_waits_longer(throttle: Throttle, clock: ManualClock) -> None:
    for _ in range(5):
        await fail(throttle, "ann", HOME)
        clock.set(clock.now() + 60)
    with pytest.raises(Throttled) as refused:
        await fail(throttle, "ann", HOME)
    assert refused.value.retry_after == 3600 - 5 * 60


async def test_a_success_clears_the_failures_of_the_pair(throttle: Throttle) -> None:
    for _ in range(2):
        await fail(throttle, "ann", HOME)
        await fail(throttle, "ann", HOME)
        await succeed(throttle, "ann", HOME)


async def test_a_success_does_not_wash_away_what_the_address_did_to_others(throttle: Throttle) -> None:
    for account in ("a", "b", "c", "d", "e"):
        await fail(throttle, account, HOME)
    await succeed(throttle, "mine", HOME)
    await fail(throttle, "f", HOME)
    with pytest.raises(Throttled):
        await fail(throttle, "g", HOME)


async def test_the_address_limit_is_nobody_elses(throttle: Throttle) -> None:
    for account in ("a", "b", "c", "d", "e", "f"):
        await fail(throttle, account, HOME)
    await succeed(throttle, "a", "192.0.2.2")


async def test_an_account_under_attack_from_everywhere_refuses_strangers_but_not_its_owner(
    throttle: Throttle,
) -> None:
    for n in range(8):
        await fail(throttle, "ann", f"198.51.100.{n}")
    with pytest.raises(Throttled):
        await fail(throttle, "ann", "198.51.100.99")
    async with throttle.attempt("ann", HOME, familiar=friend) as attempt:
        attempt.succeeded()


async def test_a_familiar_address_still_has_the_limit_of_its_own(throttle: Throttle) -> None:
    for _ in range(3):
        await fail(throttle, "ann", HOME, friend)
    with pytest.raises(Throttled):
        await fail(throttle, "ann", HOME, friend)


async def test_tries_at_once_are_no_way_around(throttle: Throttle) -> None:
    inside = 0
    release = asyncio.Event()

    async def attempt() -> None:
        nonlocal inside
        async with throttle.attempt("ann", HOME, familiar=stranger) as one:
            inside += 1
            await release.wait()
            one.failed()

    tries = [asyncio.create_task(attempt()) for _ in range(20)]
    for _ in range(5):
        await asyncio.sleep(0)
    release.set()
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert inside == 3
    assert sum(isinstance(outcome, Throttled) for outcome in outcomes) == 17


async def test_tries_in_progress_are_forgotten_when_they_are_over(throttle: Throttle) -> None:
    for _ in range(10):
        async with throttle.attempt("ann", HOME, familiar=stranger):
            pass  # came to neither: the store was away, say
    assert not throttle._pending


async def test_spellings_that_a_store_takes_for_one_name_count_as_one(throttle: Throttle) -> None:
    for name in ("ann", "ANN", "ａｎｎ"):
        await fail(throttle, name, HOME)
    with pytest.raises(Throttled):
        await fail(throttle, "Ann", HOME)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("fe80::1%eth0", "fe80::1", True),
        ("not an address", "not an address", True),
    ],
)
async def test_an_ipv6_network_counts_as_one_address(
    throttle: Throttle, one: str, other: str, same: bool
) -> None:
    for _ in range(3):
        await fail(throttle, "ann", one)
    if same:
        with pytest.raises(Throttled):
            await fail(throttle, "ann", other)
    else:
        await fail(throttle, "ann", other)


async def test_without_addresses_people_do_not_share_a_limit(throttle: Throttle) -> None:
    for n in range(20):
        await fail(throttle, f"user{n}", None)


async def test_made_up_refresh_tokens_are_counted_by_address(throttle: Throttle, clock: ManualClock) -> None:
    for _ in range(3):
        await throttle.bad_token(HOME)
    with pytest.raises(Throttled) as refused:
        await throttle.bad_token(HOME)
    assert refused.value.retry_after == 60
    await throttle.bad_token("192.0.2.2")
    await throttle.bad_token(None)
    clock.set(clock.now() + 60)
    await throttle.bad_token(HOME)


async def test_a_flood_of_refusals_is_worth_one_line_a_minute(throttle: Throttle, clock: ManualClock) -> None:
    assert [await throttle.worth_telling("ann", HOME) for _ in range(3)] == [True, False, False]
    clock.set(clock.now() + 60)
    assert await throttle.worth_telling("ann", HOME)


async def test_memory_is_given_back_and_bounded(
    throttle: Throttle, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_KEYS", 10)
    for n in range(50):
        await throttle.bad_token(f"198.51.100.{n}")
    assert await throttle._limiter.storage.reset() <= 10
    for n in range(5):
        await throttle.bad_token(f"198.51.100.{n}")
    clock.set(clock.now() + 61)
    await throttle.bad_token(HOME)
    assert await throttle._limiter.storage.reset() == 1


async def test_names_are_not_kept_as_typed(throttle: Throttle) -> None:
    await fail(throttle, "my secret password", HOME)
    assert "secret" not in repr(vars(throttle._limiter.storage))

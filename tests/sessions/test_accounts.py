from __future__ import annotations

from dataclasses import replace

import pytest
from argon2.profiles import CHEAPEST

from holdfast.errors import BadCredentials, BadInput, Conflict, Forbidden, NotFound, Throttled
from holdfast.sessions.accounts import Accounts
from holdfast.sessions.passwords import Passwords
from holdfast.sessions.throttle import Throttle

GOOD = "correct horse battery"
BETTER = "staple after battery"


@pytest.fixture
def accounts(world) -> Accounts:
    return make(world, world.passwords)


def make(world, passwords: Passwords) -> Accounts:
    return Accounts(
        store=world.store,
        passwords=passwords,
        throttle=Throttle(world.clock),
        clock=world.clock,
        random=world.random,
    )


async def test_the_right_password_proves_the_user_whatever_the_case_of_the_name(accounts: Accounts) -> None:
    ann = await accounts.add("Ann", GOOD, ["admin"])
    assert (await accounts.prove("aNN", GOOD, address=None)).id == ann.id


async def test_wrong_password_unknown_name_and_no_password_get_the_same_answer(accounts: Accounts) -> None:
    await accounts.add("ann", GOOD, [])
    await accounts.take_in("x1", "guest", [])
    told = set()
    for name, password in [
        ("ann", BETTER),
        ("nobody", GOOD),
        ("guest", GOOD),
        ("not a name!", GOOD),
        ("ann", ""),
    ]:
        with pytest.raises(BadCredentials) as refused:
            await accounts.prove(name, password, address=None)
        told.add(str(refused.value))
    assert len(told) == 1


async def test_every_failed_sign_in_checks_a_hash_so_that_time_tells_nothing(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    await accounts.add("ann", GOOD, [])
    await accounts.take_in("x1", "guest", [])
    checks: list[bool] = []
    real = Passwords._matches

    def matches(self: Passwords, stored: str, secret: bytes) -> bool:
        checks.append(True)
        return real(self, stored, secret)

    monkeypatch.setattr(Passwords, "_matches", matches)
    for name in ("ann", "nobody", "guest", "not a name!"):
        with pytest.raises(BadCredentials):
            await accounts.prove(name, BETTER, address=None)
    assert len(checks) == 4


async def test_unknown_names_are_throttled_like_known_ones(accounts: Accounts) -> None:
    await accounts.add("ann", GOOD, [])
    counts = []
    for name in ("ann", "nobody"):
        tries = 0
        with pytest.raises(Throttled):  # noqa: PT012  # counts the tries before it
            for _ in range(100):
                try:
                    await accounts.prove(name, BETTER, address=None)
                except BadCredentials:
                    tries += 1
        counts.append(tries)
    assert counts == [5, 5]


async def test_a_throttled_try_does_not_look_at_the_password(accounts: Accounts) -> None:
    await accounts.add("ann", GOOD, [])
    for _ in range(5):
        with pytest.raises(BadCredentials):
            await accounts.prove("ann", BETTER, address=None)
    with pytest.raises(Throttled):
        await accounts.prove("ann", GOOD, address=None)


async def test_a_disabled_account_is_told_only_to_who_knows_the_password(accounts: Accounts, world) -> None:
    ann = await accounts.add("ann", GOOD, [])
    await world.store.set_disabled(ann.id, True, now=world.clock.now())
    with pytest.raises(BadCredentials):
        await accounts.prove("ann", BETTER, address=None)
    with pytest.raises(Forbidden, match="disabled"):
        await accounts.prove("ann", GOOD, address=None)


async def test_a_hash_of_old_parameters_is_replaced_without_being_called_a_password_change(
    accounts: Accounts, world
) -> None:
    ann = await accounts.add("ann", GOOD, [])
    newer = Passwords(profile=replace(CHEAPEST, time_cost=2))
    try:
        renewed = make(world, newer)
        proved = await renewed.prove("ann", GOOD, address=None)
        stored = await world.store.user(ann.id)
        assert stored.password_hash != ann.password_hash
        assert not newer.needs_rehash(stored.password_hash)
        assert proved.password_hash == stored.password_hash
        assert await newer.verify(stored.password_hash, GOOD)
        assert await world.events("user.password_changed") == []
    finally:
        newer.close()


async def test_a_rehash_never_undoes_a_password_change(accounts: Accounts, world) -> None:
    ann = await accounts.add("ann", GOOD, [])
    changed = await world.passwords.hash(BETTER)
    await world.store.set_password(ann.id, changed, now=world.clock.now())
    await world.store.rehash_password(ann.id, "old hashed anew", instead_of=ann.password_hash)
    assert (await world.store.user(ann.id)).password_hash == changed


async def test_what_was_proved_still_holds_after_another_sign_in_rehashed_it(
    accounts: Accounts, world
) -> None:
    ann = await accounts.add("ann", GOOD, [])
    await world.store.set_password(ann.id, await world.passwords.hash(GOOD), now=world.clock.now())
    assert await accounts.still_knows(ann, GOOD)
    await world.store.set_password(ann.id, await world.passwords.hash(BETTER), now=world.clock.now())
    assert not await accounts.still_knows(ann, GOOD)


@pytest.mark.parametrize(
    ("name", "password", "roles"), [("a b", GOOD, []), ("ann", "short", []), ("ann", GOOD, ["a b"])]
)
async def test_a_user_that_cannot_be_is_not_added(accounts: Accounts, world, name, password, roles) -> None:
    with pytest.raises(BadInput):
        await accounts.add(name, password, roles)
    assert await world.store.users() == []


async def test_a_name_is_taken_without_regard_to_case(accounts: Accounts) -> None:
    await accounts.add("ann", GOOD, [])
    with pytest.raises(Conflict):
        await accounts.add("ANN", GOOD, [])


async def test_people_whom_the_app_checks_are_taken_in_once_and_follow_its_roles(
    accounts: Accounts, world
) -> None:
    first = await accounts.take_in("x1", "guest", ["a"])
    again = await accounts.take_in("x1", "guest", ["b"])
    assert first.roles == ("a",)
    assert again.roles == ("b",)
    assert (await world.store.user("x1")).roles == ("b",)
    assert first.password_hash is None
    assert len(await world.store.users()) == 1


async def test_a_name_of_somebody_else_is_not_taken_over(accounts: Accounts) -> None:
    await accounts.add("ann", GOOD, [])
    with pytest.raises(Conflict):
        await accounts.take_in("x1", "ann", [])


async def test_a_password_change_needs_the_present_one(accounts: Accounts) -> None:
    ann = await accounts.add("ann", GOOD, [])
    with pytest.raises(BadCredentials):
        await accounts.change_password(ann.id, BETTER, BETTER, address=None)
    await accounts.change_password(ann.id, GOOD, BETTER, address=None)
    assert (await accounts.prove("ann", BETTER, address=None)).id == ann.id
    with pytest.raises(BadCredentials):
        await accounts.prove("ann", GOOD, address=None)


@pytest.mark.parametrize(
    ("new", "says"), [("iloveyou", "guessed"), ("short", "short"), (GOOD, "same as the present")]
)
async def test_a_password_change_to_one_that_will_not_do_is_refused(
    accounts: Accounts, new: str, says: str
) -> None:
    ann = await accounts.add("ann", GOOD, [])
    with pytest.raises(BadInput, match=says):
        await accounts.change_password(ann.id, GOOD, new, address=None)


async def test_the_present_password_cannot_be_guessed_with_a_stolen_access_token(accounts: Accounts) -> None:
    ann = await accounts.add("ann", GOOD, [])
    for _ in range(5):
        with pytest.raises(BadCredentials):
            await accounts.change_password(ann.id, "wrong wrong", BETTER, address="192.0.2.1")
    with pytest.raises(Throttled):
        await accounts.change_password(ann.id, GOOD, BETTER, address="192.0.2.1")


async def test_failed_sign_ins_under_a_made_up_name_do_not_keep_anybody_from_changing_the_password(
    accounts: Accounts,
) -> None:
    ann = await accounts.add("ann", GOOD, [])
    for _ in range(5):
        with pytest.raises(BadCredentials):
            await accounts.prove(f"id:{ann.id}", BETTER, address=None)
    await accounts.change_password(ann.id, GOOD, BETTER, address=None)


async def test_people_without_a_password_here_are_told_where_to_change_it(accounts: Accounts) -> None:
    await accounts.take_in("x1", "guest", [])
    for user_id in ("x1", "of an outside issuer"):
        with pytest.raises(BadInput, match="where you sign in"):
            await accounts.change_password(user_id, GOOD, BETTER, address=None)


async def test_a_password_can_be_set_for_somebody_known(accounts: Accounts) -> None:
    ann = await accounts.add("ann", GOOD, [])
    await accounts.set_password(ann.id, BETTER)
    await accounts.prove("ann", BETTER, address=None)
    with pytest.raises(NotFound):
        await accounts.set_password("nobody", BETTER)
    with pytest.raises(BadInput):
        await accounts.set_password(ann.id, "ann")

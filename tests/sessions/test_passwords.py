from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.profiles import CHEAPEST, RFC_9106_LOW_MEMORY

from holdfast.errors import BadInput, Unavailable
from holdfast.sessions import passwords as module
from holdfast.sessions.passwords import Passwords, check_new

GOOD = "correct horse battery"


async def test_a_password_matches_its_own_hash_and_no_other(passwords: Passwords) -> None:
    stored = await passwords.hash(GOOD)
    assert await passwords.verify(stored, GOOD)
    assert not await passwords.verify(stored, GOOD + " ")


async def test_hashes_are_argon2id_by_the_low_memory_profile_of_rfc_9106() -> None:
    passwords = Passwords()
    try:
        stored = await passwords.hash(GOOD)
    finally:
        passwords.close()
    assert stored.startswith("$argon2id$")
    assert extract_parameters(stored) == RFC_9106_LOW_MEMORY


async def test_without_a_hash_the_answer_is_no_and_costs_a_check_of_the_same_kind(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []
    real = PasswordHasher.verify

    def verify(self: PasswordHasher, stored: str, secret: bytes) -> bool:
        checked.append(stored)
        return real(self, stored, secret)

    monkeypatch.setattr(PasswordHasher, "verify", verify)
    assert not await passwords.verify(None, GOOD)
    assert [extract_parameters(stored) for stored in checked] == [CHEAPEST]


async def test_a_damaged_hash_matches_nothing(passwords: Passwords) -> None:
    assert not await passwords.verify("$argon2id$v=19$nonsense", GOOD)


async def test_a_password_of_half_a_character_matches_nothing(passwords: Passwords) -> None:
    stored = await passwords.hash("")  # what a lone surrogate must not be taken for
    assert not await passwords.verify(stored, "\ud800")
    assert not await passwords.verify(stored, "")


async def test_no_more_than_1024_characters_are_ever_a_password(passwords: Passwords) -> None:
    long = "x" * 1025
    assert not await passwords.verify(await passwords.hash(long), long)
    assert await passwords.verify(await passwords.hash("ж" * 1024), "ж" * 1024)


async def test_a_hash_of_other_parameters_wants_to_be_made_anew(passwords: Passwords) -> None:
    other = Passwords(profile=replace(CHEAPEST, time_cost=2))
    try:
        assert passwords.needs_rehash(await other.hash(GOOD))
    finally:
        other.close()
    assert not passwords.needs_rehash(await passwords.hash(GOOD))


async def test_a_full_queue_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Passwords(profile=CHEAPEST, workers=1, max_waiting=2)
    go = threading.Event()
    monkeypatch.setattr(PasswordHasher, "verify", lambda *_: go.wait(20))
    waiting = [asyncio.create_task(passwords.verify(None, GOOD)) for _ in range(2)]
    await asyncio.sleep(0)
    try:
        with pytest.raises(Unavailable):
            await passwords.verify(None, GOOD)
    finally:
        go.set()
        await asyncio.gather(*waiting)
        passwords.close()


async def test_the_loop_goes_on_while_a_password_is_checked(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()
    monkeypatch.setattr(PasswordHasher, "verify", lambda *_: go.wait(20))
    checking = asyncio.create_task(passwords.verify("hash", GOOD))
    await asyncio.sleep(0)
    go.set()  # would never be reached if the check held up the loop
    assert await checking


@pytest.mark.parametrize(
    "password", ["x" * 8, "x" * 1024, "пароль на русском", " " * 8, "only five words, no digit"]
)
def test_length_is_all_that_is_asked_of_a_rare_password(password: str) -> None:
    check_new(password, name="ann")


@pytest.mark.parametrize(
    ("password", "says"),
    [
        ("1234567", "too short"),
        ("x" * 1025, "too long"),
        ("iloveyou", "guessed first"),
        ("PassWord", "guessed first"),
        ("Ann.Longname", "user name"),
        ("abcdefgh\ud800", "half of a character"),
    ],
)
def test_a_password_that_will_not_do_is_refused_with_what_to_do(password: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        check_new(password, name="ann.longname")


def test_the_list_of_common_passwords_holds_the_3000_that_the_standard_asks_for() -> None:
    common = module._common()
    assert len(common) >= 3000
    assert all(len(password) >= 8 and password == password.casefold() for password in common)

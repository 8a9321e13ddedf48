from __future__ import annotations

import unicodedata

import pytest

from holdfast.errors import BadInput
from holdfast.sessions.names import checked_id, checked_name, checked_roles, device, known_form


@pytest.mark.parametrize("name", ["a", "ann", "Анна", "ann.lee+x@example.com", "_bob", "7", "a" * 64])
def test_a_name_has_letters_digits_and_a_few_signs(name: str) -> None:
    assert checked_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "a" * 65, "ann lee", "ann\0", "a/b", "<ann>", "ann\n", "\ud800", "a" * 10_000]
)
def test_anything_else_is_no_name_and_is_never_repeated(name: str) -> None:
    assert known_form(name) is None
    with pytest.raises(BadInput) as refused:
        checked_name(name)
    assert not name or name not in str(refused.value)


def test_a_name_typed_with_combining_marks_is_the_same_name() -> None:
    composed = unicodedata.normalize("NFC", "Андрей")
    apart = unicodedata.normalize("NFD", composed)
    assert apart != composed
    assert known_form(apart) == composed


@pytest.mark.parametrize("user_id", ["", "a" * 129, "a\nb", "\ud800"])
def test_an_id_of_the_apps_own_must_be_short_and_printable(user_id: str) -> None:
    with pytest.raises(BadInput):
        checked_id(user_id)


def test_roles_come_once_each_and_in_order() -> None:
    assert checked_roles(["b", "a", "b"]) == ("b", "a")


@pytest.mark.parametrize("roles", ["admin", [""], ["two words"], ["x" * 65], [f"r{n}" for n in range(33)]])
def test_roles_that_cannot_be_are_refused(roles: list[str]) -> None:
    with pytest.raises(BadInput):
        checked_roles(roles)


def test_a_user_agent_is_cut_and_cleaned() -> None:
    assert device("Fire\x1b[31mfox\r\n") == "Fire[31mfox"
    assert device("x" * 1000) == "x" * 256
    assert device("\n") is None
    assert device(None) is None

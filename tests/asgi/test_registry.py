from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from holdfast.asgi.registry import Registry

US, ELSEWHERE = "holdfast", "https://id.example"


class Line(SimpleNamespace):
    """As much of a driver as the registry looks at."""

    __hash__ = object.__hash__


@pytest.fixture
def registry() -> Registry:
    return Registry()


def placed(
    registry: Registry, id: str, *, session: str | None = None, user: str = "17", issuer: str = US
) -> Any:
    line: Any = Line(id=id)
    registry.place(line, session=session, user=user, issuer=issuer)
    return line


def test_a_connection_is_found_by_id_session_and_user(registry: Registry) -> None:
    line = placed(registry, "c1", session="s1")
    assert registry.get("c1") is line
    assert registry.of_session("s1") == registry.of_user("17", US) == list(registry) == [line]
    assert registry.get("c2") is None
    assert registry.of_session("s2") == registry.of_user("18", US) == []


def test_one_sub_at_two_issuers_is_two_users(registry: Registry) -> None:
    ours = placed(registry, "c1", session="s1")
    theirs = placed(registry, "c2", issuer=ELSEWHERE)
    placed(registry, "c3", issuer=ELSEWHERE)
    assert registry.count_of_user("17", US) == 1
    assert registry.count_of_user("17", ELSEWHERE) == 2
    assert registry.count_of_user("17", "https://third.example") == 0
    assert registry.of_user("17", US) == [ours]
    assert theirs in registry.of_user("17", ELSEWHERE)
    assert len(registry.of_user("17")) == 3, "without an issuer, whoever has this sub"


def test_a_connection_that_moves_is_in_its_new_place_alone(registry: Registry) -> None:
    line = placed(registry, "c1", session="s1")
    registry.place(line, session="s2", user="17", issuer=US)
    assert registry.of_session("s1") == []
    assert registry.of_session("s2") == [line]
    assert (len(registry), registry.count_of_user("17", US)) == (1, 1)


def test_a_connection_that_has_gone_is_nowhere(registry: Registry) -> None:
    line = placed(registry, "c1", session="s1")
    for _ in range(2):
        registry.remove(line)
    assert len(registry) == registry.count_of_user("17", US) == 0
    assert registry.of_session("s1") == registry.of_user("17") == []

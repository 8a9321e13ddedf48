from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from fastapi import Depends

from holdfast.asgi.principal import Principal
from holdfast.asgi.rules import ChannelRule, Right, Rules
from holdfast.core.policy import Retention
from holdfast.errors import MisuseError

if TYPE_CHECKING:
    from decimal import Decimal as OnlyForCheckers

USUAL = Retention(size=10, seconds=60)
ANN = Principal("ann", "Ann", (), "s", "holdfast")


def rule(pattern: str, reader=lambda user, **_: True, *, retention=USUAL):  # noqa: ARG005  # a rule's shape
    return ChannelRule(pattern, reader, retention=retention, presence=False)


def test_nothing_is_open_without_a_rule():
    assert Rules(USUAL).find("job:1") is None


def test_a_rule_is_asked_with_the_user_and_what_the_names_stand_for():
    asked = []
    rules = Rules(USUAL)
    rules.add(rule("job:{id}:{part:path}", lambda user, id, part: asked.append((user.id, id, part))))
    found, names = rules.find("job:7:log:err")
    assert not found.verdict(Right.READ, ANN, names)
    assert asked == [("ann", "7", "log:err")]


def test_to_read_is_not_to_publish():
    one = rule("job:{id}")
    assert one.verdict(Right.READ, ANN, {"id": "1"})
    assert not one.verdict(Right.PUBLISH, ANN, {"id": "1"})
    one.publisher(lambda user, id: user.id == "ann" and id == "1")
    assert one.verdict(Right.PUBLISH, ANN, {"id": "1"})
    assert not one.verdict(Right.PUBLISH, ANN, {"id": "2"})


def test_the_first_rule_that_fits_decides_alone():
    rules = Rules(USUAL)
    first, second = rule("job:{id}"), rule("job:*")
    rules.add(first)
    rules.add(second)
    assert rules.find("job:1")[0] is first
    assert rules.find("job:1:log")[0] is second


def test_a_rule_that_is_added_later_counts_for_channels_that_were_asked_about_before():
    rules = Rules(USUAL)
    assert rules.find("job:1") is None
    rules.add(late := rule("job:{id}"))
    assert rules.find("job:1") == (late, {"id": "1"})


@pytest.mark.parametrize(
    ("channel", "may"), [("user:ann", True), ("user:bob", False), ("user:ann:more", False)]
)
def test_everybody_has_a_channel_of_their_own(channel, may):
    found, names = Rules(USUAL).find(channel)
    assert found.verdict(Right.READ, ANN, names) is may
    assert not found.verdict(Right.PUBLISH, ANN, names)


def test_an_app_may_have_its_own_idea_of_that_channel():
    rules = Rules(USUAL)
    mine = rule("user:{sub}", lambda user, sub: user.has_role("admin") or user.id == sub)
    rules.add(mine)
    assert rules.find("user:bob")[0] is mine


def test_what_is_kept_is_the_rules_affair():
    rules = Rules(USUAL)
    rules.add(rule("live:*", lambda user: True, retention=Retention(size=0)))  # noqa: ARG005  # a rule's shape
    assert rules.retention_of("live:1") == Retention(size=0)
    assert rules.retention_of("elsewhere") == USUAL


@pytest.mark.parametrize("reader", [lambda user: True, lambda user, jid: True, lambda: True])  # noqa: ARG005  # a rule's shape
def test_a_function_that_cannot_be_asked_is_refused_when_it_is_registered(reader):
    with pytest.raises(MisuseError, match=r"\(user, id\)"):
        rule("job:{id}", reader)


def test_a_pattern_has_one_rule():
    rules = Rules(USUAL)
    rules.add(rule("job:{id}"))
    with pytest.raises(MisuseError, match="already"):
        rules.add(rule("job:{id}"))


def _names_as_types(asked):
    def reader(user, number: int, uuid: UUID, text: str, free) -> bool:
        asked.append((number, uuid, text, free))
        return True

    return reader


def test_names_come_as_the_types_that_a_rule_asks_for():
    asked = []
    one = rule("job:{number}:{uuid}:{text}:{free}", _names_as_types(asked))
    found = {"number": "7", "uuid": "12345678-1234-5678-1234-567812345678", "text": "8", "free": "9"}
    assert one.verdict(Right.READ, ANN, found)
    assert asked == [(7, UUID("12345678-1234-5678-1234-567812345678"), "8", "9")]


@pytest.mark.parametrize("wrong", [{"number": "seven"}, {"uuid": "7"}])
def test_a_name_that_cannot_be_read_as_its_type_is_a_no(wrong):
    asked = []
    one = rule("job:{number}:{uuid}:{text}:{free}", _names_as_types(asked))
    found = {"number": "7", "uuid": "12345678-1234-5678-1234-567812345678", "text": "8", "free": "9"}
    assert not one.verdict(Right.READ, ANN, found | wrong)
    assert asked == []


def test_a_publisher_may_ask_for_other_types_than_its_reader():
    one = rule("job:{id}", lambda user, id: id == "7")  # noqa: ARG005  # a rule's shape
    one.publisher(_only_seven)
    assert one.verdict(Right.READ, ANN, {"id": "7"})
    assert one.verdict(Right.PUBLISH, ANN, {"id": "7"})
    assert not one.verdict(Right.PUBLISH, ANN, {"id": "8"})


def _only_seven(user: Principal, id: int) -> bool:
    return id == 7


def test_a_type_that_only_checkers_know_leaves_the_text():
    def reader(user: OnlyForCheckers, id: OnlyForCheckers, number: int) -> bool:
        return (id, number) == ("7", 8)

    assert rule("job:{id}:{number}", reader).verdict(Right.READ, ANN, {"id": "7", "number": "8"})


def test_a_type_that_no_text_can_be_read_as_is_refused_when_the_rule_is_registered():
    def reader(user: Principal, id: ChannelRule) -> bool:
        return bool(id)

    with pytest.raises(MisuseError, match="wants id as"):
        rule("job:{id}", reader)


def test_a_dependency_of_fastapis_is_refused_when_the_rule_is_registered():
    """It would get the marker itself, and fail at every subscription."""

    def reader(user: Principal, id: str, db: object = Depends(list)) -> bool:
        return bool(db)

    with pytest.raises(MisuseError, match="a rule has none, so let it get db by itself"):
        rule("job:{id}", reader)


async def test_a_rule_may_be_called_as_the_function_it_was():
    async def reader(user: Principal, id: str) -> bool:
        return user.id == id

    decorated = rule("job:{id}", reader)
    assert await decorated(ANN, "ann")
    assert not await decorated(ANN, id="bob")


OUTSIDE = Principal("ann", "Ann", (), None, "https://id.example")


@pytest.mark.parametrize(("known", "may"), [(True, False), (False, True)])
async def test_somebody_from_outside_reads_no_channel_of_somebody_known_here(known, may):
    """An issuer of somebody else's may give its people any `sub`, ours too."""
    asked = []

    async def knows(user_id: str) -> bool:
        asked.append(user_id)
        return known

    found, names = Rules(USUAL, issuer="holdfast", knows=knows).find("user:ann")
    assert found.verdict(Right.READ, ANN, names) is True
    assert await found.verdict(Right.READ, OUTSIDE, names) is may
    assert asked == ["ann"]
    other = Rules(USUAL, issuer="holdfast", knows=knows).find("user:bob")
    assert other[0].verdict(Right.READ, OUTSIDE, other[1]) is False

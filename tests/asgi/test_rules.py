from __future__ import annotations

import pytest

from holdfast.asgi.principal import Principal
from holdfast.asgi.rules import ChannelRule, Right, Rules
from holdfast.core.policy import Retention
from holdfast.errors import MisuseError

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

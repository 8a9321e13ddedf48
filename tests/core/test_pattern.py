from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.pattern import Pattern
from holdfast.errors import MisuseError


@pytest.mark.parametrize(
    ("pattern", "channel", "found"),
    [
        ("lobby", "lobby", {}),
        ("lobby", "lobby2", None),
        ("lobby", "a lobby", None),
        ("job:{id}", "job:42", {"id": "42"}),
        ("job:{id}", "job:", None),
        ("job:{id}", "job:42:log", None),
        ("job:{id}", "JOB:42", None),
        ("job:{id}:log", "job:42:log", {"id": "42"}),
        ("{kind}:{id}", "job:42", {"kind": "job", "id": "42"}),
        ("{a}-{b}", "1-2-3", {"a": "1-2", "b": "3"}),
        ("file:{path:path}", "file:a:b", {"path": "a:b"}),
        ("file:{path:path}", "file:", None),
        ("{rest:path}:log", "a:b:log", {"rest": "a:b"}),
        ("public:*", "public:a:b", {}),
        ("public:*", "public:", None),
        ("*", "anything:at:all", {}),
        ("a.b", "a.b", {}),
        ("a.b", "axb", None),
        ("(a|b)+", "(a|b)+", {}),
    ],
)
def test_a_pattern_matches_whole_names(pattern: str, channel: str, found: dict[str, str] | None):
    assert Pattern(pattern).match(channel) == found


@pytest.mark.parametrize(
    ("pattern", "complaint"),
    [
        ("", "no channel"),
        ("job 42", "no channel"),
        ("job:{id", "no channel"),
        ("job:id}", "no channel"),
        ("работа:{id}", "no channel"),
        ("x" * 255 + "{id}", "no channel"),
        ("job:{}", "'' in braces"),
        ("job:{42}", "'42' in braces"),
        ("job:{id:int}", "'id:int' in braces"),
        ("job:{:path}", "'' in braces"),
        ("{id}:{id}", "same name twice"),
        ("{a}{b}", "side by side"),
        ("{a}*", "side by side"),
        ("{a:path}:{b:path}", "two parts"),
        ("*:{b:path}", "two parts"),
    ],
)
def test_a_pattern_that_makes_no_sense_is_misuse(pattern: str, complaint: str):
    with pytest.raises(MisuseError, match=complaint) as raised:
        Pattern(pattern)
    assert repr(pattern) in str(raised.value)


def test_a_pattern_knows_its_names_in_order():
    assert Pattern("{kind}:{id}:*").names == ("kind", "id")
    assert Pattern("file:{where:path}").names == ("where",)


def test_a_pattern_shows_its_text():
    assert repr(Pattern("job:{id}")) == "Pattern('job:{id}')"


PART = st.text(st.sampled_from("ab.-_%'\"\\"), min_size=1, max_size=5)


@given(PART, PART, PART)
def test_what_is_put_in_is_found_again(kind: str, id: str, rest: str):
    pattern = Pattern("{kind}:{id}:{rest:path}")
    assert pattern.match(f"{kind}:{id}:{rest}:{rest}") == {"kind": kind, "id": id, "rest": f"{rest}:{rest}"}

from __future__ import annotations

import pytest

from holdfast.errors import TokenExpired, TokenInvalid
from holdfast.tokens import claims


def refused(read, *args, **named):
    with pytest.raises(TokenInvalid) as caught:
        read(*args, **named)
    return caught.value.detail


def test_a_refusal_names_the_claim_and_never_its_value():
    assert refused(claims.text, {"sub": ["a value to keep quiet about"]}, "sub") == (
        "sub is missing or not what it should be"
    )


@pytest.mark.parametrize("value", ["a", "Алиса", "名前", "a b", "🙂", "x" * 5000])
def test_text_of_any_script_is_text(value):
    assert claims.text({"name": value}, "name") == value


@pytest.mark.parametrize("value", ["", "a\n", "\x7f", "\x00", "é\n", "\ud800", None, 1, b"a"])
def test_what_is_empty_or_breaks_a_log_is_no_text(value):
    refused(claims.text, {"name": value}, "name")
    refused(claims.texts, {"roles": ["good", value]}, "roles")


@pytest.mark.parametrize(
    ("value", "good"), [(0, True), (2**53, True), (-1, False), (2**53 + 1, False), (True, False)]
)
def test_a_count_is_a_whole_number_that_json_holds_exactly(value, good):
    if good:
        assert claims.count({"gen": value}, "gen") == value
    else:
        refused(claims.count, {"gen": value}, "gen")


@pytest.mark.parametrize("value", [0, 1_800_000_000, 1_800_000_000.25, 253_402_300_799])
def test_a_date_is_seconds_with_or_without_a_fraction(value):
    read = claims.date({"exp": value}, "exp")
    assert (read, type(read)) == (value, float)


@pytest.mark.parametrize(
    "value", [-0.001, 253_402_300_800, float("nan"), float("inf"), float("-inf"), True, "1"]
)
def test_a_date_out_of_all_range_is_refused(value):
    refused(claims.date, {"exp": value}, "exp")


@pytest.mark.parametrize(
    ("now", "over"), [(99, False), (99.999, False), (100, True), (100.001, True), (101, True)]
)
def test_exp_is_the_first_second_that_is_too_late(now, over):
    if over:
        with pytest.raises(TokenExpired):
            claims.live({"exp": 100}, now)
    else:
        assert claims.live({"exp": 100}, now) == 100


def test_the_audience_may_be_one_or_a_list():
    for aud in ("api", ["api"], ["other", "api"]):
        claims.meant_for({"iss": "us", "aud": aud}, issuer="us", audience="api")
    for aud in ("a", "api,other", ["other"], [], None):
        refused(claims.meant_for, {"iss": "us", "aud": aud}, issuer="us", audience="api")

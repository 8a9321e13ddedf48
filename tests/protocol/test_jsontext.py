from __future__ import annotations

import pytest

from holdfast.protocol.jsontext import dump, parse


def test_json_is_compact_and_utf8_as_it_is():
    assert dump({"a": [1, 2.5, None, True], "say": "Привет\n"}) == '{"a":[1,2.5,null,true],"say":"Привет\\n"}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_not_written(value: float):
    with pytest.raises(ValueError, match="not JSON compliant"):
        dump(value)


@pytest.mark.parametrize(
    "text", ["", "{", "NaN", "[Infinity]", "-Infinity", "1e999", "-1e999", '"\\ud83d"', '"\\uDC00"', "{}{}"]
)
def test_what_is_not_json_is_not_read(text: str):
    with pytest.raises(ValueError):  # noqa: PT011  # json words each of them its own way
        parse(text)


def test_nesting_without_end_is_not_read():
    with pytest.raises(RecursionError):
        parse("[" * 100_000)


def test_a_surrogate_pair_is_one_character():
    assert parse('"\\ud83d\\uDE00"') == "😀"

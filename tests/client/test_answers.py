from hypothesis import given
from hypothesis import strategies as st

from holdfast.client.answers import Granted, Refused, judge

SECRETS = '{"access_token":"aaa","refresh_token":"rrr","expires_in":900,"session_id":"s1","generation":1}'


@given(st.integers(100, 599), st.text(), st.none() | st.text())
def test_no_answer_makes_judging_fail(status: int, body: str, retry_after: str | None) -> None:
    assert not isinstance(judge(status, body, retry_after=retry_after), Granted | Refused)


def test_a_number_beyond_all_numbers_is_no_time() -> None:
    body = '{"access_token":"a","expires_in":' + "9" * 400 + "}"
    assert not isinstance(judge(200, body), Granted)


def test_a_generation_that_is_true_is_none() -> None:
    assert not isinstance(judge(200, '{"access_token":"a","expires_in":9,"generation":true}'), Granted)


def test_tokens_are_in_no_repr() -> None:
    answer = judge(200, SECRETS)
    assert isinstance(answer, Granted)
    assert answer.access_token == "aaa"
    assert "aaa" not in repr(answer)
    assert "rrr" not in repr(answer)

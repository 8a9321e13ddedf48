from __future__ import annotations

import pytest

from holdfast.protocol import endings
from holdfast.protocol.endings import MAX_REASON_BYTES, Action, Ending


def test_a_reason_longer_than_a_close_frame_holds_is_a_mistake_of_ours():
    assert Ending(4000, "\N{CYRILLIC SMALL LETTER ZHE}" * 61, Action.STOP)
    with pytest.raises(ValueError, match="123 bytes"):
        Ending(4000, "\N{CYRILLIC SMALL LETTER ZHE}" * 62, Action.STOP)


def test_an_operators_words_are_cut_to_what_a_close_frame_holds_and_never_inside_a_letter():
    short = endings.revoked("banned")
    assert (short.code, short.reason, short.action) == (
        4001,
        "Session ended: revoked (banned).",
        Action.RELOGIN,
    )
    for words in ("x" * 200, "\N{CYRILLIC SMALL LETTER ZHE}" * 200, "x\N{CYRILLIC SMALL LETTER ZHE}" * 200):
        reason = endings.revoked(words).reason
        assert MAX_REASON_BYTES - 1 <= len(reason.encode()) <= MAX_REASON_BYTES
        assert reason.startswith("Session ended: revoked (" + words[:20])
        assert reason.endswith(").")


def test_without_words_it_is_just_revoked():
    assert endings.revoked("") == endings.REVOKED


def test_a_time_to_come_back_changes_nothing_else():
    ending = endings.RESTARTING.after(3150)
    assert (ending.code, ending.reason, ending.retry_after_ms) == (1012, endings.RESTARTING.reason, 3150)
    assert endings.RESTARTING.retry_after_ms is None


def test_a_reason_is_cut_to_what_a_close_frame_holds_between_characters():
    assert endings.cut("short") == "short"
    assert endings.cut("x" * 200) == "x" * 123
    assert endings.cut("н" * 80) == "н" * 61
    assert endings.cut("half of a pair: \ud800") == "half of a pair: ?"


def test_codes_of_ours_and_of_the_rfc_are_known_and_those_of_an_app_are_not():
    assert [endings.is_unknown(code) for code in (1000, 1013, 4003, 4010)] == [False] * 4
    assert [endings.is_unknown(code) for code in (1008, 4400)] == [True] * 2


def test_endings_because_of_who_was_there_end_what_they_may_and_others_do_not():
    assert {ending.code for ending in endings.TABLE if ending.ends_rights} == {4001}
    assert endings.revoked("banned").ends_rights

from typing import Any

from holdfast.protocol.endings import TABLE, Ending, action_for

VECTORS = "endings.json"


def test_a_close_frame_alone_tells_what_to_do(vector: dict[str, Any]) -> None:
    assert action_for(vector["code"], vector["reason"]) == vector["action"]


def test_every_ending_of_the_table_has_a_vector(endings: list[dict[str, Any]]) -> None:
    known = {(ending["code"], ending["reason"]): ending["action"] for ending in endings}
    assert {(ending.code, ending.reason): ending.action for ending in TABLE}.items() <= known.items()


def test_the_protocol_text_lists_every_ending(protocol_text: str) -> None:
    missing = [ending for ending in TABLE if _row(ending) not in protocol_text]
    assert missing == []


def _row(ending: Ending) -> str:
    if not ending.reason:
        return f"| {ending.code} | (empty)"
    return f"| {ending.code} | `{ending.reason}`"

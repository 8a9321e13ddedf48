from dataclasses import asdict
from typing import Any

from holdfast.client.answers import Answer, Failed, Granted, Refused, judge

VECTORS = "answers.json"


def test_the_client_judges_an_answer(vector: dict[str, Any]) -> None:
    answer = judge(
        vector["status"],
        vector["body"],
        retry_after=vector.get("retry_after"),
        half_rtt=vector.get("half_rtt", 0),
    )
    assert meaning(answer) == vector["means"]


def meaning(answer: Answer) -> dict[str, Any]:
    match answer:
        case Granted():
            return {"kind": "granted", **asdict(answer)}
        case Refused(code):
            return {"kind": "refused", "code": code}
        case Failed(retry_after):
            return {"kind": "failed", "retry_after": retry_after}

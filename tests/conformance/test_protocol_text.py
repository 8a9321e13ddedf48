"""The examples of PROTOCOL.md are frames that this codec reads, or writes just so."""

import json
import re
from typing import Any

import pytest

from holdfast.protocol import endings
from holdfast.protocol.channels import REQUESTS
from holdfast.protocol.codec import FROM_CLIENT, FROM_SERVER, HoldfastV1
from holdfast.protocol.frames import Malformed

STEP = re.compile(r"_([CS])_ →\s+`(\{[^`]+\})`")


@pytest.fixture
def examples(protocol_text: str) -> list[tuple[str, dict[str, Any]]]:
    """Who sends it, and what: every whole object of section 13, lines joined again where the text was wrapped."""
    text = protocol_text.split("\n## 13. Examples\n")[1]
    found = [(who, re.sub(r"\s*\n\s+", " ", written)) for who, written in STEP.findall(text)]
    return [
        (who, json.loads(written)) for who, written in found if "{…}" not in written and ",…" not in written
    ]


def test_the_server_understands_what_clients_send_in_the_examples(
    examples: list[tuple[str, dict[str, Any]]],
) -> None:
    sent = [frame for who, frame in examples if who == "C" and frame.get("type") in FROM_CLIENT]
    wrong = [frame for frame in sent if isinstance(HoldfastV1().decode(json.dumps(frame)), Malformed)]
    assert wrong == []
    assert {frame["type"] for frame in sent} >= REQUESTS


def test_what_servers_send_in_the_examples_has_a_type_of_theirs(
    examples: list[tuple[str, dict[str, Any]]],
) -> None:
    kinds = {frame["type"] for who, frame in examples if who == "S" and "type" in frame}
    assert kinds <= FROM_SERVER
    assert FROM_SERVER - kinds == set()


def test_goodbyes_in_the_examples_are_endings(examples: list[tuple[str, dict[str, Any]]]) -> None:
    said = {(frame["code"], frame["reason"]) for _, frame in examples if frame.get("type") == "bye"}
    named = {(ending.code, ending.reason) for ending in endings.TABLE}
    assert {(code, reason) for code, reason in said if "(banned)" not in reason} <= named


@pytest.mark.parametrize(("heading", "kinds"), [("### 4.1", FROM_SERVER), ("### 4.2", FROM_CLIENT)])
def test_the_tables_list_every_frame(protocol_text: str, heading: str, kinds: frozenset[str]) -> None:
    table = protocol_text.split(heading)[1].split("\n#", maxsplit=1)[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`([^`]+)`", row)} == kinds

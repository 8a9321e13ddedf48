"""The numbered examples of PROTOCOL.md are played: frames through both codecs, connections through the core."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from holdfast.asgi.models import Tokens
from holdfast.asgi.requests import Refusal
from holdfast.asgi.rights import Rights
from holdfast.asgi.rules import Right, Rules
from holdfast.client import wire
from holdfast.core.connection import Connection, Proof, State
from holdfast.core.effects import Effect, Send, Verify
from holdfast.core.policy import LivePolicy, Retention
from holdfast.protocol import endings, frames
from holdfast.protocol.codec import FROM_CLIENT, FROM_SERVER, HoldfastV1, Plain
from holdfast.protocol.endings import Ending

TEXT = (Path(__file__).resolve().parents[2] / "PROTOCOL.md").read_text(encoding="utf-8")
V1, PLAIN = HoldfastV1(), Plain()
ANN = Proof(user="u1", name="ann", issuer="holdfast", session="s1", expires_at=900.0)


def section(number: str) -> str:
    """The text under a heading of this number."""
    found = re.search(rf"^#+ {re.escape(number)}\.? .*?\n(.*?)(?=^#+ |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found, f"there is no section {number}"
    return found[1]


@dataclass(frozen=True)
class Said:
    """A piece of JSON in an example: who said it, and whether it is cut short by `…`."""

    by: str
    body: dict[str, Any]
    partial: bool
    status: int | None

    @property
    def type(self) -> Any:
        return self.body.get("type")


@dataclass(frozen=True)
class Example:
    number: str
    title: str
    text: str

    @property
    def plain(self) -> bool:
        return "plain" in self.title

    def said(self) -> Iterator[Said]:
        """What is said with an arrow, in order: frames, and answers of HTTP with their status."""
        speaker = None
        for actor, arrow, code in re.findall(r"_([CS])_( →)?|`([^`]*)`", self.text):
            if actor:
                speaker = actor if arrow else None
                continue
            found = re.fullmatch(r"(\d{3} )?(\{.*\})", code)
            if speaker is None or found is None:
                continue
            whole = found[2].replace(",…}", "}")
            status = int(found[1]) if found[1] else None
            yield Said(speaker, json.loads(whole), whole != found[2], status)

    def closings(self) -> list[int]:
        return [int(code) for code in re.findall(r"closes with (\d{4})", self.text)]


def examples() -> list[Example]:
    chapter = TEXT[TEXT.index("\n## 13. Examples") :]
    parts = re.findall(r"^### (13\.\d+) (.*)\n((?:(?!^#).*\n?)*)", chapter, re.MULTILINE)
    return [Example(number, title, re.sub(r"\s+", " ", text)) for number, title, text in parts]


@pytest.fixture(params=examples(), ids=lambda example: example.number)
def example(request: pytest.FixtureRequest) -> Example:
    return request.param


def agree(shown: Said, real: dict[str, Any], *keys: str) -> None:
    """The example says what an implementation says, in these keys or in all."""
    for key in keys or shown.body if shown.partial else keys or {*shown.body, *real}:
        if key in shown.body or not shown.partial:
            assert shown.body.get(key) == real.get(key), f"{key}: {shown.body} is really {real}"


def test_the_examples_are_numbered_in_order_and_none_is_empty():
    found = examples()
    assert [one.number for one in found] == [f"13.{n}" for n in range(1, len(found) + 1)]
    assert len(found) >= 24
    for one in found:
        assert list(one.said()) or one.plain, f"nothing in {one.number} is checked"


# Frames


def test_what_the_server_says_is_what_the_client_reads_and_the_server_writes(example):
    for said in example.said():
        if said.by != "S" or said.status is not None or (example.plain and said.type is None):
            continue
        assert said.type in FROM_SERVER, said.body
        if said.partial:
            continue
        read = wire.read(json.dumps(said.body))
        assert not isinstance(read, wire.Ignored | frames.Message), f"a client cannot read {said.body}"
        again = (PLAIN if example.plain else V1).encode(as_written(read))
        assert again is not None, "a plain socket is not told this"
        assert json.loads(again) == said.body


def as_written(read: wire.Received) -> Any:
    """The server's frame that the client has read."""
    match read:
        case wire.Farewell(code, reason, action, retry):
            return frames.Bye(Ending(code, reason, action, retry))
        case wire.Event():
            return frames.Event(read.channel, read.offset, json.dumps(read.data))
        case _:
            return read


def test_what_the_client_says_is_what_the_server_understands(example):
    for said in example.said():
        if said.by == "C" and said.status is None:
            frame = (PLAIN if example.plain else V1).decode(json.dumps(said.body))
            assert not isinstance(frame, frames.Malformed), frame
            assert isinstance(frame, frames.Message) is (said.type not in FROM_CLIENT)


def test_every_answer_has_the_id_of_what_was_asked(example):
    asked = None
    for said in example.said():
        if said.by == "C":
            asked = said.body.get("id")
        elif "id" in said.body:
            assert said.body["id"] == asked, said.body


def test_endings_are_those_of_the_table_and_the_close_frame_has_their_code(example):
    byes = [said.body for said in example.said() if said.type == "bye"]
    table = {(ending.code, ending.reason): ending for ending in endings.TABLE}
    for bye in byes:
        known = table.get((bye["code"], bye["reason"])) or endings.revoked("banned")
        assert (bye["code"], bye["reason"], bye["action"]) == (known.code, known.reason, known.action)
    assert example.closings() == [bye["code"] for bye in byes]


def test_errors_are_those_of_the_tables(example):
    over_sockets = set(re.findall(r"^\| `(\w+)` ", section("5"), re.MULTILINE))
    over_http = {
        (int(status), code)
        for status, codes in re.findall(r"^\| (\d{3}) \| ([^|]*) \|", section("10.2"), re.MULTILINE)
        for code in re.findall(r"`(\w+)`", codes)
    }
    for said in example.said():
        if said.type == "error":
            assert said.body["code"] in over_sockets
        elif said.status is not None and said.status >= 400:
            assert (said.status, said.body["code"]) in over_http
        elif said.status == 200 and "access_token" in said.body:
            assert set(said.body) <= set(Tokens.model_fields)


async def test_what_is_forbidden_is_said_in_the_servers_words():
    class Ann:
        proof, state = ANN, State.READY

    said = [each.body for one in examples() for each in one.said() if each.type == "error"]
    forbidden = [body["message"] for body in said if body["code"] == "forbidden"]
    assert len(forbidden) == 2
    for message in forbidden:
        with pytest.raises(Refusal) as refused:
            await Rights(Rules(Retention())).check(cast(Any, Ann()), "user:bob", Right.READ)
        assert message == str(refused.value)


# Connections


class Stage:
    """Plays the server's part of an example with the core's own connection."""

    def __init__(self) -> None:
        self.now = 0.0
        self.machine: Connection | None = None
        self.unsaid: list[dict[str, Any]] = []
        """What the connection has said and the example not yet."""

    def connect(self, proof: Proof | None) -> Connection:
        self.machine = Connection(id="c1", policy=LivePolicy(), controlled=True, jitter=0.5, now=self.now)
        if proof is not None:
            self.machine.proven(replace(proof, expires_at=self.now + 900), self.now)
        return self.machine

    def take(self, effects: list[Effect], answer: Said | None = None) -> None:
        """Keep what is sent; a token's check comes to what the example says next."""
        assert self.machine is not None
        for effect in effects:
            if isinstance(effect, Send):
                self.unsaid.append(json.loads(V1.encode(effect.frame) or ""))
            elif isinstance(effect, Verify):
                self.take(self._checked(effect, answer))

    def _checked(self, effect: Verify, answer: Said | None) -> list[Effect]:
        assert self.machine is not None
        assert answer is not None, "nothing answers the proof"
        renewed = replace(ANN, session="s2", expires_at=self.now + 900)
        match answer.type, answer.body.get("code"):
            case "error", code:
                refusal = endings.TOKEN_EXPIRED if code == "token_expired" else endings.TOKEN_INVALID
                return self.machine.refused(refusal, self.now, request=effect.request)
            case "bye", _:
                return self.machine.proven(replace(renewed, user="u2"), self.now, request=effect.request)
            case _:
                return self.machine.proven(renewed, self.now, request=effect.request)

    def cause(self, said: Said) -> None:
        """Bring about what the server says on its own account."""
        if self.machine is None:
            first = said.type == "welcome" or said.body.get("code") in (4003, 4010)
            self.connect(None if first else ANN)
        assert self.machine is not None
        match said.type, said.body.get("code"):
            case "welcome", _:
                self.take(self.machine.proven(replace(ANN, expires_at=self.now + 900), self.now))
            case "bye", 4003:
                self.take(self.machine.refused(endings.TOKEN_EXPIRED, self.now))
            case "bye", code if code != 4010:
                action = endings.Action(said.body["action"])
                end = Ending(code, said.body["reason"], action, said.body.get("retry_after_ms"))
                self.take(self.machine.end(end))
            case _:
                self._wait(said)

    def _wait(self, said: Said) -> None:
        assert self.machine is not None
        for _ in range(1000):
            due = self.machine.next_deadline(self.now)
            assert due is not None, f"{said.body} never comes"
            self.now = due
            self.take(self.machine.handle_deadline(self.now))
            if said.type != "ping":  # the clients of the other examples answer each, without a word of it
                self.unsaid = [each for each in self.unsaid if each["type"] != "ping"]
                self.take(self.machine.received(frames.Pong(), 15, self.now))
            if any(each["type"] == said.type for each in self.unsaid):
                del self.unsaid[:-1]
                return
        raise AssertionError(f"{said.body} never comes")


OF_CHANNELS = {"subscribed", "unsubscribed", "event", "ok", "presence.join", "presence.leave"}


@pytest.mark.parametrize("example", [one for one in examples() if not one.plain], ids=lambda one: one.number)
def test_the_core_plays_the_servers_part(example):
    """Types, codes, reasons, actions and ids, in the order of the example; channels are the hub's, not the core's."""
    stage = Stage()
    script = [said for said in example.said() if said.status is None]
    for place, said in enumerate(script):
        rest = [later for later in script[place + 1 :] if later.by == "S"]
        if said.by == "C":
            opens_with_proof = said.type == "auth" and bool(rest) and rest[0].type == "welcome"
            machine = stage.machine or stage.connect(None if opens_with_proof else ANN)
            text = json.dumps(said.body)
            stage.take(machine.received(V1.decode(text), len(text), stage.now), rest[0] if rest else None)
        elif said.type in OF_CHANNELS or said.body.get("code") == "forbidden":
            continue
        else:
            if said.type == "welcome":
                stage.machine = stage.machine if stage.unsaid else None
            if not stage.unsaid:
                stage.cause(said)
            assert stage.unsaid, f"nobody says {said.body}"
            agree(said, stage.unsaid.pop(0), "type", "code", "reason", "action", "id", "message")
            if said.type == "bye":
                stage.machine = None
    assert stage.unsaid == [], "this is said as well"

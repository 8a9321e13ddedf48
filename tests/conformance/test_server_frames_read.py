import json
from dataclasses import asdict
from typing import Any

import pytest

from holdfast.client import wire
from holdfast.protocol import frames
from holdfast.protocol.codec import HoldfastV1

VECTORS = "codec/server_frames_read.json"
KINDS = {
    frames.Welcome: "welcome",
    frames.AuthDue: "auth.due",
    frames.AuthOk: "auth.ok",
    frames.AuthGrace: "auth.grace",
    frames.Ok: "ok",
    frames.Error: "error",
    frames.Ping: "ping",
    frames.Pong: "pong",
    frames.Message: "message",
    wire.Farewell: "bye",
    wire.Event: "event",
    frames.Subscribed: "subscribed",
    frames.Unsubscribed: "unsubscribed",
    frames.PresenceJoined: "presence.join",
    frames.PresenceLeft: "presence.leave",
}


def test_the_client_understands_the_frame(vector: dict[str, Any]) -> None:
    text = bytes.fromhex(vector["hex"]) if "hex" in vector else vector["text"]
    assert meaning(wire.read(text)) == vector["means"]


@pytest.mark.parametrize("depth", [100_000])
def test_nesting_without_end_is_ignored(depth: int) -> None:
    assert wire.read("[" * depth) == wire.Ignored("unreadable")


def test_what_the_server_writes_the_client_reads() -> None:
    due = HoldfastV1().encode(frames.AuthDue(12.5))
    assert due is not None
    assert wire.read(due) == frames.AuthDue(12.5)


def test_what_the_client_writes_the_server_reads() -> None:
    assert HoldfastV1().decode(wire.auth("t", "holdfast:1")) == frames.Auth("t", "holdfast:1")


def meaning(frame: wire.Received) -> dict[str, Any]:
    if isinstance(frame, wire.Ignored):
        return {"kind": "ignored", "type": frame.kind}
    fields = {"kind": KINDS[type(frame)], **asdict(frame)}
    fields.pop("missed", None)  # of no frame, but of what went before it
    for flat in ("position", "member"):
        fields.update(fields.pop(flat, {}))
    return json.loads(json.dumps(fields))

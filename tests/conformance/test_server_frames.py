import json
from typing import Any

from holdfast.protocol import frames
from holdfast.protocol.codec import HoldfastV1, Plain
from holdfast.protocol.endings import Action, Ending

VECTORS = "codec/server_frames.json"


def test_the_server_writes_the_frame(vector: dict[str, Any]) -> None:
    frame = made(vector["frame"])
    for protocol, codec in (("holdfast.v1", HoldfastV1()), ("plain", Plain())):
        text = codec.encode(frame)
        assert (None if text is None else in_order(text)) == in_order(json.dumps(vector[protocol]))


def in_order(text: str) -> Any:
    """The JSON value with the order of its keys, for `type` comes first."""
    return json.loads(text, object_pairs_hook=list)


def made(fields: dict[str, Any]) -> Any:
    kind = fields["kind"]
    given = {name: value for name, value in fields.items() if name != "kind"}
    if kind == "welcome":
        return frames.Welcome(**{**given, "limits": frames.Limits(**given["limits"])})
    if kind == "bye":
        return frames.Bye(
            Ending(given["code"], given["reason"], Action(given["action"]), given["retry_after_ms"])
        )
    plain = {
        "auth.due": frames.AuthDue,
        "auth.ok": frames.AuthOk,
        "auth.grace": frames.AuthGrace,
        "ok": frames.Ok,
        "error": frames.Error,
        "ping": frames.Ping,
        "pong": frames.Pong,
        "message": frames.Message,
    }
    return plain[kind](**given)

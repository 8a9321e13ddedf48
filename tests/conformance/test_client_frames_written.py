import json
from typing import Any

from holdfast.client import wire
from holdfast.protocol.frames import Position

VECTORS = "codec/client_frames_written.json"


def test_the_client_writes_the_frame(vector: dict[str, Any]) -> None:
    fields = vector["frame"]
    match fields["kind"]:
        case "auth":
            text = wire.auth(fields["token"], fields["id"])
        case "ping":
            text = wire.ping(fields["id"])
        case "pong":
            text = wire.pong(fields["id"])
        case "subscribe":
            since = fields["since"] and Position(**fields["since"])
            text = wire.subscribe(fields["id"], fields["channel"], since, presence=fields["presence"])
        case "unsubscribe":
            text = wire.unsubscribe(fields["id"], fields["channel"])
        case "publish":
            text = wire.publish(fields["id"], fields["channel"], fields["data"], fields["key"])
        case "history":
            since = fields["since"] and Position(**fields["since"])
            text = wire.history(fields["id"], fields["channel"], since, fields["limit"])
        case "presence":
            text = wire.presence(fields["id"], fields["channel"])
        case kind:
            raise AssertionError(f"no such frame: {kind}")
    assert list(json.loads(text).items()) == list(vector["text"].items())

import json
from typing import Any

from holdfast.client import wire

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
        case kind:
            raise AssertionError(f"no such frame: {kind}")
    assert list(json.loads(text).items()) == list(vector["text"].items())

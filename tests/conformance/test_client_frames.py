from collections.abc import Callable
from typing import Any

from holdfast.protocol import frames
from holdfast.protocol.codec import HoldfastV1, Plain

VECTORS = "codec/client_frames.json"
CODECS = {"holdfast.v1": HoldfastV1(), "plain": Plain()}


Requested = Callable[[frames.ChannelRequest], dict[str, Any]]


def test_the_server_understands_the_frame(vector: dict[str, Any], requested: Requested) -> None:
    assert meaning(CODECS[vector["protocol"]].decode(written(vector)), requested) == vector["means"]


def written(vector: dict[str, Any]) -> str | bytes:
    if "hex" in vector:
        return bytes.fromhex(vector["hex"])
    if "repeat" in vector:
        part, times = vector["repeat"]
        return str(part) * int(times)
    return str(vector["text"])


def meaning(frame: frames.ClientFrame, requested: Requested) -> dict[str, Any]:
    match frame:
        case frames.Auth(token, request):
            return {"kind": "auth", "token": token, "id": request}
        case frames.Ping(request):
            return {"kind": "ping", "id": request}
        case frames.Pong(request):
            return {"kind": "pong", "id": request}
        case frames.Message(data):
            return {"kind": "message", "data": data}
        case frames.ChannelRequest():
            return requested(frame)
        case frames.Malformed(error):
            return {"kind": "error", "code": error.code, "id": error.id}

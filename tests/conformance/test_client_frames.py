import json
from dataclasses import asdict
from typing import Any

from holdfast.protocol import frames
from holdfast.protocol.codec import HoldfastV1, Plain

VECTORS = "codec/client_frames.json"
CODECS = {"holdfast.v1": HoldfastV1(), "plain": Plain()}
REQUESTS: dict[type[frames.ChannelRequest], str] = {
    frames.Subscribe: "subscribe",
    frames.Unsubscribe: "unsubscribe",
    frames.Publish: "publish",
    frames.ReadHistory: "history",
    frames.ReadPresence: "presence",
}


def test_the_server_understands_the_frame(vector: dict[str, Any]) -> None:
    assert meaning(CODECS[vector["protocol"]].decode(written(vector))) == vector["means"]


def written(vector: dict[str, Any]) -> str | bytes:
    if "hex" in vector:
        return bytes.fromhex(vector["hex"])
    if "repeat" in vector:
        part, times = vector["repeat"]
        return str(part) * int(times)
    return str(vector["text"])


def meaning(frame: frames.ClientFrame) -> dict[str, Any]:
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
            asked = {"kind": REQUESTS[type(frame)], **asdict(frame)}
            return {**asked, "data": json.loads(asked["data"])} if "data" in asked else asked
        case frames.Malformed(error):
            return {"kind": "error", "code": error.code, "id": error.id}

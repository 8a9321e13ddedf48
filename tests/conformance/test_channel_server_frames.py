import json
from typing import Any

from holdfast.protocol import frames
from holdfast.protocol.codec import HoldfastV1, Plain

VECTORS = "codec/channel_server_frames.json"


def test_the_server_writes_the_frame(vector: dict[str, Any]) -> None:
    frame = made(vector["frame"])
    for protocol, codec in (("holdfast.v1", HoldfastV1()), ("plain", Plain())):
        text = codec.encode(frame)
        assert (None if text is None else in_order(text)) == in_order(json.dumps(vector[protocol]))


def in_order(text: str) -> Any:
    """The JSON value with the order of its keys, for `type` comes first."""
    return json.loads(text, object_pairs_hook=list)


def made(fields: dict[str, Any]) -> frames.ServerFrame:
    """The frame; its data is text already, as it is wherever a publication goes."""
    match fields["kind"]:
        case "event":
            return frames.Event(fields["channel"], fields["offset"], json.dumps(fields["data"]))
        case "subscribed":
            presence = fields["presence"]
            return frames.Subscribed(
                fields["channel"],
                position(fields),
                fields["recovered"],
                fields["positioned"],
                None if presence is None else [member(each) for each in presence],
                fields["id"],
            )
        case "unsubscribed":
            return frames.Unsubscribed(fields["channel"], fields["reason"])
        case "presence.join":
            return frames.PresenceJoined(fields["channel"], member(fields))
        case "presence.leave":
            return frames.PresenceLeft(fields["channel"], member(fields))
        case "ok":
            return frames.Ok(fields["id"], fields["result"])
        case "published":
            return frames.Published(fields["id"], position(fields))
        case "history":
            kept = [frames.Publication(it["offset"], json.dumps(it["data"])) for it in fields["publications"]]
            return frames.HistoryRead(fields["id"], position(fields), kept, fields["recovered"])
        case "presence":
            return frames.PresenceRead(fields["id"], [member(each) for each in fields["members"]])
        case "error":
            return frames.Error(fields["code"], fields["message"], fields["id"], fields["retry_after_ms"])
        case kind:
            raise AssertionError(f"no such frame: {kind}")


def position(fields: dict[str, Any]) -> frames.Position:
    return frames.Position(fields["epoch"], fields["offset"])


def member(fields: dict[str, Any]) -> frames.Member:
    return frames.Member(fields["connection"], fields["user"], fields["name"])

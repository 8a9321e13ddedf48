import json
from collections.abc import Callable
from typing import Any

import pytest

from holdfast.core import effects
from holdfast.core.connection import Connection, Proof
from holdfast.core.policy import LivePolicy, Renewal
from holdfast.protocol import endings, frames
from holdfast.protocol.codec import Codec, HoldfastV1, Plain

VECTORS = "connection"
POLICY = {
    "grace": 30.0,
    "refresh_lead": 300.0,
    "renewal": "auto",
    "proof_timeout": 10.0,
    "ping_interval": 25.0,
    "max_frame_bytes": 65_536,
    "max_frames_per_second": 100,
}
"""What vectors build on; the server's own defaults may move."""


Requested = Callable[[frames.ChannelRequest], dict[str, Any]]


def test_the_server_holds_the_connection(vector: dict[str, Any], requested: Requested) -> None:
    codec: Codec = HoldfastV1() if vector["controlled"] else Plain()
    policy = {**POLICY, **vector.get("policy", {})}
    connection = Connection(
        id="c1",
        policy=LivePolicy(**{**policy, "renewal": Renewal(policy["renewal"])}),
        controlled=vector["controlled"],
        jitter=vector.get("jitter", 0.5),
        now=0.0,
    )
    for number, step in enumerate(vector["steps"]):
        came = happens(connection, codec, step)
        done = [told for effect in came if (told := tell(effect, codec, requested))]
        where = f"step {number} at {step['at']}"
        assert done == step["do"], where
        assert connection.state == step["state"], where
        assert connection.next_deadline(step["at"]) == pytest.approx(step["next"], abs=1e-6), where


def happens(connection: Connection, codec: Codec, step: dict[str, Any]) -> list[effects.Effect]:
    now: float = step["at"]
    match step["event"]:
        case "deadline":
            return connection.handle_deadline(now)
        case "proven":
            proof = {"issuer": "holdfast", "name": step["proof"]["user"], **step["proof"]}
            return connection.proven(Proof(**proof), now, request=step.get("id"))
        case "refused":
            return connection.refused(getattr(endings, step["ending"]), now, request=step.get("id"))
        case "session_renewed":
            return connection.session_renewed(step["expires_at"], now)
        case "received":
            return connection.received(codec.decode(step["text"]), len(step["text"].encode()), now)
        case "disconnected":
            return connection.disconnected(step["code"])
        case "end":
            return connection.end(getattr(endings, step["ending"]))
        case event:
            raise AssertionError(f"no such event: {event}")


def tell(effect: effects.Effect, codec: Codec, requested: Requested) -> dict[str, Any] | None:
    """The effect as the vectors write it; `None` for what the client does not see."""
    match effect:
        case effects.Send(frame):
            text = codec.encode(frame)
            if text is None:
                return None
            body = json.loads(text)
            if body.get("type") == "error":
                del body["message"]
            return {"do": "send", "frame": body}
        case effects.Verify(token, request):
            return {"do": "verify", "token": token, "id": request}
        case effects.Deliver(message=data):
            return {"do": "deliver", "data": data}
        case effects.Request(frame):
            return {"do": "request", "request": requested(frame)}
        case effects.Bind(session):
            return {"do": "bind", "session": session}
        case effects.Close(ending):
            return {"do": "close", "code": ending.code, "reason": ending.reason}
        case effects.Record():
            return None

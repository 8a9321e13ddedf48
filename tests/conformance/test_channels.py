import json
from typing import Any

import pytest

from holdfast.client import channels, wire
from holdfast.client.channels import ChannelMachine
from holdfast.client.timing import Now
from holdfast.protocol.frames import Member, Position

VECTORS = "channels"


def test_the_client_holds_its_channels(vector: dict[str, Any]) -> None:
    machine = ChannelMachine(vector.get("capacity", 64))
    for number, step in enumerate(vector["steps"]):
        now = Now(**step["clock"]) if "clock" in step else Now(step["at"], step["at"])
        done = [told(effect) for effect in happens(machine, step, now)]
        where = f"step {number}: {step['event']} at {now}"
        assert done == [expected(effect) for effect in step["do"]], where
        assert machine.wake_in(now) == pytest.approx(step["wake_in"], abs=1e-6), where


def happens(machine: ChannelMachine, step: dict[str, Any], now: Now) -> list[channels.Effect]:
    match step["event"]:
        case "subscribe":
            since = step.get("since")
            since = None if since is None else Position(**since)
            return machine.subscribe(step["channel"], now, presence=step.get("presence", False), since=since)
        case "unsubscribe":
            return machine.unsubscribe(step["channel"], now)
        case "request":
            request = machine.next_id()
            return machine.request(request, written(request, step["frame"]), now)
        case "close":
            return machine.close()
        case "ready":
            return machine.ready(step["token"], step.get("frame_bytes", 65536), now)
        case "hold":
            machine.hold()
            return []
        case "lost":
            return machine.lost()
        case "user":
            return machine.user(step["user"])
        case "tick":
            return machine.tick(now)
        case "received":
            return machine.received(wire.read(json.dumps(step["frame"])), now, step.get("unit", 0.5))
        case event:
            raise AssertionError(f"no such event: {event}")


def written(request: str, frame: dict[str, Any]) -> str:
    channel = frame["channel"]
    match frame["type"]:
        case "publish":
            return wire.publish(request, channel, frame["data"], frame.get("key"))
        case "history":
            since = frame.get("since")
            return wire.history(request, channel, since and Position(**since), frame.get("limit"))
        case "presence":
            return wire.presence(request, channel)
        case kind:
            raise AssertionError(f"no such request: {kind}")


def told(effect: channels.Effect) -> dict[str, Any]:
    match effect:
        case channels.Send(text):
            return {"do": "send", "frame": json.loads(text)}
        case channels.Answer(request, result):
            return {"do": "answer", "id": request, "result": result}
        case channels.Fail(request, code, message, retry_in):
            return {"do": "fail", "id": request, "code": code, "message": message, "retry_in": retry_in}
        case wire.Event(channel, offset, data):
            return {"do": "event", "channel": channel, "offset": offset, "data": data}
        case channels.Subscribing(channel):
            return {"do": "subscribing", "channel": channel}
        case channels.Subscribed(channel, recovered, Position(epoch, offset)):
            position = {"epoch": epoch, "offset": offset}
            return {"do": "subscribed", "channel": channel, "recovered": recovered, "position": position}
        case channels.Refused(channel, code, message):
            return {"do": "refused", "channel": channel, "code": code, "message": message}
        case channels.Unsubscribed(channel, reason):
            return {"do": "unsubscribed", "channel": channel, "reason": reason}
        case channels.Present(channel, members):
            return {"do": "presence", "channel": channel, "members": [fields(each) for each in members]}
        case _:
            raise AssertionError(f"no such effect: {effect}")


def fields(member: Member) -> dict[str, str]:
    return {"connection": member.connection, "user": member.user, "name": member.name}


def expected(effect: dict[str, Any]) -> dict[str, Any]:
    """The effect as the vector has it: what a failure leaves out is empty."""
    return {"message": "", "retry_in": 0, **effect} if effect["do"] == "fail" else effect

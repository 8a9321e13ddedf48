import json
from typing import Any

import pytest

from holdfast.client import live_effects as live
from holdfast.client import wire
from holdfast.client.live import LiveMachine
from holdfast.client.live_effects import Denial
from holdfast.client.timing import Now

VECTORS = "live"


def test_the_client_holds_the_connection(vector: dict[str, Any]) -> None:
    machine = LiveMachine()
    for number, step in enumerate(vector["steps"]):
        now = Now(**step["clock"]) if "clock" in step else Now(step["at"], step["at"])
        done = [told(effect) for effect in happens(machine, step, now)]
        where = f"step {number}: {step['event']} at {now}"
        assert done == [expected(effect) for effect in step["do"]], where
        assert machine.state == step["state"], where
        assert machine.may_send() == (step["state"] == "ready"), where
        assert machine.wake_in(now) == pytest.approx(step["wake_in"], abs=1e-6), where


def happens(machine: LiveMachine, step: dict[str, Any], now: Now) -> list[live.Effect]:
    unit: float = step.get("unit", 0.5)
    match step["event"]:
        case "connect":
            return machine.connect(now)
        case "close":
            return machine.close()
        case "token_available":
            return machine.token_available(step["token"], now)
        case "user_changed":
            return machine.user_changed(now)
        case "session_over":
            return machine.session_over(step["reason"])
        case "wake":
            return machine.wake(now)
        case "tick":
            return machine.tick(now, unit)
        case "opened":
            return machine.opened(step["socket"], step["token"], now)
        case "denied":
            answer = Denial(step["status"], step.get("code", ""), step.get("retry_after"))
            return machine.denied(step["socket"], step["token"], answer, now, unit)
        case "received":
            return machine.received(step["socket"], wire.read(json.dumps(step["frame"])), now, unit)
        case "closed":
            return machine.closed(step["socket"], step["code"], step["reason"], now, unit)
        case event:
            raise AssertionError(f"no such event: {event}")


def told(effect: live.Effect) -> dict[str, Any]:
    match effect:
        case live.Open(socket):
            return {"do": "open", "socket": socket}
        case live.SendAuth(socket, request):
            return {"do": "send_auth", "socket": socket, "id": request}
        case live.SendPing(socket, request):
            return {"do": "send_ping", "socket": socket, "id": request}
        case live.SendPong(socket, request):
            return {"do": "send_pong", "socket": socket, "id": request}
        case live.Close(socket):
            return {"do": "close", "socket": socket}
        case live.Deliver(data):
            return {"do": "deliver", "data": data}
        case live.AskRefresh(token):
            return {"do": "ask_refresh", "token": token}
        case live.Announce(what, code, reason, seconds, request):
            said = {"what": what, "code": code, "reason": reason, "seconds": seconds, "id": request}
            return {"do": "announce", **said}


def expected(effect: dict[str, Any]) -> dict[str, Any]:
    """The effect as the vector has it: what an announcement leaves out is empty, and numbers are near enough."""
    if effect["do"] != "announce":
        return effect
    seconds = effect.get("seconds")
    near = None if seconds is None else pytest.approx(seconds, abs=1e-6)
    return {"code": None, "reason": "", "id": None, **effect, "seconds": near}

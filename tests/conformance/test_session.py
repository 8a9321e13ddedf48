from typing import Any

import pytest

from holdfast.client import machine
from holdfast.client.machine import Grant, SessionMachine
from holdfast.client.timing import Now

VECTORS = "session"


def test_the_client_holds_the_session(vector: dict[str, Any]) -> None:
    session = SessionMachine()
    for number, step in enumerate(vector["steps"]):
        now = Now(**step["clock"]) if "clock" in step else Now(step["at"], step["at"])
        done = [told(effect) for effect in happens(session, step, now)]
        where = f"step {number}: {step['event']} at {now}"
        assert done == [expected(effect) for effect in step["do"]], where
        assert session.state == step["state"], where
        assert session.wake_in(now) == pytest.approx(step["wake_in"], abs=1e-6), where


def happens(session: SessionMachine, step: dict[str, Any], now: Now) -> list[machine.Effect]:
    unit: float = step.get("unit", 0.5)
    match step["event"]:
        case "resume":
            return session.resume()
        case "signed_in":
            return session.signed_in(Grant(**step["grant"]), now, unit)
        case "tick":
            return session.tick(now)
        case "wake":
            return session.wake(now)
        case "due":
            return session.due(now, step.get("token", 0))
        case "refreshed":
            return session.refreshed(step["attempt"], Grant(**step["grant"]), now, unit)
        case "refused":
            return session.refused(step["attempt"], step["code"], now, unit)
        case "failed":
            return session.failed(step["attempt"], now, unit, step.get("retry_after"))
        case "adopted":
            return session.adopted(Grant(**step["grant"]), now, unit)
        case "signed_out":
            return session.signed_out(step.get("reason", "signed_out"))
        case event:
            raise AssertionError(f"no such event: {event}")


def told(effect: machine.Effect) -> dict[str, Any]:
    match effect:
        case machine.Refresh(attempt):
            return {"do": "refresh", "attempt": attempt}
        case machine.PresentToken(confirm):
            return {"do": "present_token", "confirm": confirm}
        case machine.Announce(what, reason, seconds):
            return {"do": "announce", "what": what, "reason": reason, "seconds": seconds}


def expected(effect: dict[str, Any]) -> dict[str, Any]:
    """The effect as the vector has it: what an announcement leaves out is empty, and numbers are near enough."""
    if effect["do"] != "announce":
        return effect
    seconds = effect.get("seconds")
    near = None if seconds is None else pytest.approx(seconds, abs=1e-6)
    return {"reason": "", **effect, "seconds": near}

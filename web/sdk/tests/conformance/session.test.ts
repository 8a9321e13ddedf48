import { describe, expect, test } from "vitest";
import { type Grant, type SessionEffect, SessionMachine } from "../../src/machine.js";
import { createClock } from "../../src/timing.js";
import { given, near, type Step, timelines, timeOf } from "./vectors.js";

describe("the client holds the session", () => {
  test.each(timelines("session"))("%s", (_name, { steps }) => {
    const clock = createClock();
    const machine = new SessionMachine();
    for (const [number, step] of steps.entries()) {
      const now = timeOf(step, clock);
      const where = `step ${number}: ${step.event} at ${now}`;
      happens(machine, step, now);
      expect(machine.effects.splice(0).map(told), where).toEqual(step.do.map(expected));
      expect(machine.status, where).toBe(step.state);
      expect(near(machine.wakeIn(now), step.wake_in), `${where}: wakes in ${machine.wakeIn(now)}`).toBe(true);
    }
  });
});

function happens(machine: SessionMachine, step: Step, now: number): unknown {
  const unit = step.unit ?? 0.5;
  switch (step.event) {
    case "resume":
      return machine.restore();
    case "signed_in":
      return machine.signedIn(grant(step), now, unit);
    case "tick":
      return machine.tick(now);
    case "wake":
      return machine.wake(now);
    case "due":
      return machine.due(now, step.token ?? 0);
    case "refreshed":
      return machine.refreshed(given(step.attempt), grant(step), now, unit);
    case "refused":
      return machine.failed(given(step.attempt), { code: String(step.code), retryIn: 0 }, now, unit);
    case "failed":
      return machine.failed(given(step.attempt), { code: "", retryIn: step.retry_after ?? 0 }, now, unit);
    case "adopted":
      return machine.adopted(grant(step), now, unit);
    case "signed_out":
      return machine.signedOut(step.reason);
    default:
      throw new Error(`no such event: ${step.event}`);
  }
}

function grant(step: Step): Grant {
  const told = given(step.grant);
  return {
    session: told["session"] as string,
    generation: told["generation"] as number,
    expires_in: told["expires_in"] as number,
    refresh_in: told["refresh_in"] as number | null,
    age: told["half_rtt"] as number,
  };
}

const told = (effect: SessionEffect) => rounded(effect);

const expected = (effect: Record<string, unknown>) =>
  rounded(effect["do"] === "announce" ? { reason: "", seconds: null, ...effect } : effect);

function rounded(effect: Record<string, unknown>) {
  const seconds = effect["seconds"];
  return typeof seconds === "number" ? { ...effect, seconds: Number(seconds.toFixed(6)) } : effect;
}

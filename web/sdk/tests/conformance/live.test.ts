import { describe, expect, test } from "vitest";
import { type LiveEffect, LiveMachine } from "../../src/live-machine.js";
import { read } from "../../src/protocol.js";
import { createClock } from "../../src/timing.js";
import { given, near, type Step, timelines, timeOf } from "./vectors.js";

describe("the client holds the connection", () => {
  test.each(timelines("live"))("%s", (_name, { steps }) => {
    const clock = createClock();
    const machine = new LiveMachine();
    for (const [number, step] of steps.entries()) {
      const now = timeOf(step, clock);
      const where = `step ${number}: ${step.event} at ${now}`;
      const done = happens(machine, step, now);
      expect(
        done.map((effect) => rounded({ ...effect })),
        where,
      ).toEqual(step.do.map(expected).map(rounded));
      expect(machine.phase, where).toBe(step.state);
      expect(machine.maySend(), where).toBe(step.state === "ready");
      expect(near(machine.wakeIn(now), step.wake_in), `${where}: wakes in ${machine.wakeIn(now)}`).toBe(true);
    }
  });
});

function happens(machine: LiveMachine, step: Step, now: number): LiveEffect[] {
  const unit = step.unit ?? 0.5;
  const socket = () => given(step.socket);
  switch (step.event) {
    case "connect":
      return machine.connect(now);
    case "close":
      return machine.close();
    case "token_available":
      return machine.tokenAvailable(given(step.token), now);
    case "user_changed":
      return machine.userChanged(now);
    case "session_over":
      return machine.sessionOver(given(step.reason));
    case "wake":
      return machine.wake(now);
    case "tick":
      return machine.tick(now, unit);
    case "opened":
      return machine.opened(socket(), given(step.token), now);
    case "denied": {
      const answer = {
        status: given(step.status),
        code: String(step.code ?? ""),
        retryAfter: step.retry_after ?? null,
      };
      return machine.denied(socket(), given(step.token), answer, now, unit);
    }
    case "received":
      return machine.received(socket(), read(JSON.stringify(step.frame)), now, unit);
    case "closed":
      return machine.closed(socket(), Number(step.code), given(step.reason), now, unit);
    default:
      throw new Error(`no such event: ${step.event}`);
  }
}

const expected = (effect: Record<string, unknown>): Record<string, unknown> =>
  effect["do"] === "announce" ? { code: null, reason: "", seconds: null, id: null, ...effect } : effect;

function rounded(effect: Record<string, unknown>) {
  const seconds = effect["seconds"];
  return typeof seconds === "number" ? { ...effect, seconds: Number(seconds.toFixed(6)) } : effect;
}

import { describe, expect, test } from "vitest";
import { type LiveEffect, LiveMachine } from "../../src/live-machine.js";
import { read } from "../../src/protocol.js";
import { createClock, NEVER } from "../../src/timing.js";
import { given, near, type Step, timelines, timeOf } from "./vectors.js";

describe("the client holds the connection", () => {
  test.each(timelines("live"))("%s", (_name, { steps }) => {
    const clock = createClock();
    const machine = new LiveMachine();
    let socket = 0;
    let isLeaving = false;
    for (const [number, step] of steps.entries()) {
      const now = timeOf(step, clock);
      const where = `step ${number}: ${step.event} at ${now}`;
      const { phase, ending } = machine;
      // A driver hears nothing of a socket that is not in use any more.
      if ((step.socket ?? socket) === socket) happens(machine, step, now);
      const effects = machine.effects.splice(0);
      const opened = effects.some((effect) => effect.do === "open");
      const done = effects.map((effect) => shape(effect, socket, machine));
      if (opened) socket += 1;
      // A socket is closed first, and what comes of that is done after it is told.
      done.splice(
        done[0]?.["do"] === "close" ? 1 : 0,
        0,
        ...announced({ phase, ending }, machine, step, now),
      );
      expect(done.map(rounded), where).toEqual(step.do.map(expected).map(rounded));
      expect(machine.phase, where).toBe(step.state);
      isLeaving = step.state === "ready" && (isLeaving || isBye(step));
      expect(machine.maySend(), where).toBe(step.state === "ready" && !isLeaving);
      expect(near(machine.wakeIn(now), step.wake_in), `${where}: wakes in ${machine.wakeIn(now)}`).toBe(true);
    }
  });
});

type Effect = Record<string, unknown>;

const isBye = ({ event, frame }: Step) => event === "received" && (frame as Effect)["type"] === "bye";

/** An effect as the vectors name it. */
function shape(effect: LiveEffect, socket: number, { presented }: LiveMachine): Effect {
  switch (effect.do) {
    case "open":
      return { do: "open", socket: socket + 1 };
    case "close":
      return { do: "close", socket };
    case "ask_refresh":
      return { do: "ask_refresh", token: presented };
    case "send":
      return { do: `send_${effect.type}`, socket, id: effect.id ?? null };
    case "tell": {
      if (effect.what === "message") return { do: "deliver", data: effect.news };
      const { code, message, id } = effect.news;
      return announcement("error", { code, reason: message, id });
    }
  }
}

/** What this machine does not announce: its driver reads it off its state. */
function announced(
  before: Pick<LiveMachine, "phase" | "ending">,
  { phase, ending, retryAt, graceEndsAt }: LiveMachine,
  step: Step,
  now: number,
): Effect[] {
  const { code = null, reason = "" } = ending ?? {};
  const why = { code, reason, seconds: retryAt < NEVER ? retryAt - now : null };
  const hasEnded = ending !== null && ending !== before.ending;
  if (hasEnded) return [announcement(phase === "connecting" || phase === "waiting" ? "lost" : phase, why)];
  if (phase === before.phase) return [];
  if (phase === "ready") return [announcement(before.phase === "grace" ? "healed" : "ready", {})];
  if (phase === "grace") return [announcement("grace", { seconds: graceEndsAt - now })];
  if (phase === "stopped") return [announcement("stopped", { reason: "closed by the app" })];
  if (phase !== "parked") return [];
  // By the session's end, which its driver knows of; the ending of before says more where a new token was to mend it.
  const told = step.do.some((effect) => effect["what"] === "parked" && effect["code"]);
  return [announcement("parked", told ? why : { reason: step.reason })];
}

const announcement = (what: string, fields: Effect): Effect => ({
  ...{ do: "announce", what, code: null, reason: "", seconds: null, id: null },
  ...fields,
});

function happens(machine: LiveMachine, step: Step, now: number): unknown {
  const unit = step.unit ?? 0.5;
  switch (step.event) {
    case "connect":
      return machine.connect(now);
    case "close":
      return machine.close();
    case "token_available":
      return machine.refreshed(given(step.token), now);
    case "user_changed":
      return machine.userChanged(now);
    case "session_over":
      return machine.over(false, now, unit);
    case "wake":
      return machine.wake(now);
    case "tick":
      return machine.tick(now, unit);
    case "opened":
      return machine.opened(given(step.token), now);
    case "denied": {
      const answer = {
        status: given(step.status),
        code: String(step.code ?? ""),
        retryIn: step.retry_after ?? 0,
      };
      return machine.denied(given(step.token), answer, now, unit);
    }
    case "received":
      return machine.received(read(JSON.stringify(step.frame)), now, unit);
    case "closed":
      return machine.closed(Number(step.code), given(step.reason), now, unit);
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

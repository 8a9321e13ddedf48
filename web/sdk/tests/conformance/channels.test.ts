import { describe, expect, test } from "vitest";
import { type ChannelEffect, ChannelMachine } from "../../src/channels.js";
import { read } from "../../src/protocol.js";
import { createClock } from "../../src/timing.js";
import { given, near, type Step, timelines, timeOf } from "./vectors.js";

describe("the client holds its channels", () => {
  test.each(timelines("channels"))("%s", (_name, { steps, capacity }) => {
    const clock = createClock();
    const machine = new ChannelMachine<Asker>(capacity ?? 64);
    for (const [number, step] of steps.entries()) {
      const now = timeOf(step, clock);
      const where = `step ${number}: ${step.event} at ${now}`;
      happens(machine, step, now);
      expect(machine.effects.splice(0).map(told), where).toEqual(step.do.map(expected));
      expect(near(machine.wakeIn(now), step.wake_in), `${where}: wakes in ${machine.wakeIn(now)}`).toBe(true);
    }
  });
});

/** Whoever has made a request: here its id. */
interface Asker {
  id: string;
}

function happens(machine: ChannelMachine<Asker>, step: Step, now: number): unknown {
  switch (step.event) {
    case "subscribe":
      return machine.subscribe(given(step.channel), step.presence ?? false, now, step.since);
    case "unsubscribe":
      return machine.unsubscribe(given(step.channel), now);
    case "request": {
      const { type, ...fields } = step.frame as Record<string, unknown>;
      const asker = { id: "" };
      asker.id = machine.request(asker, fields, now, String(type));
      return;
    }
    case "close":
      return machine.close();
    case "ready":
      return machine.ready(given(step.token), step.frame_bytes ?? 65536, now);
    case "hold":
      return machine.hold();
    case "lost":
      return machine.lost();
    case "user":
      machine.user(given(step.user));
      return;
    case "tick":
      return machine.tick(now);
    case "received":
      return machine.received(read(JSON.stringify(step.frame)), now, step.unit ?? 0.5);
    default:
      throw new Error(`no such event: ${step.event}`);
  }
}

function told(effect: ChannelEffect<Asker>): unknown {
  switch (effect.do) {
    case "send":
      return { do: "send", frame: JSON.parse(effect.text) };
    case "settle": {
      const { result, to, why } = effect;
      if (!why) return { do: "answer", id: to.id, result };
      const isOurs = why.message === why.code || why.message === "it may have arrived";
      const { code, message, retryIn } = why;
      return { do: "fail", id: to.id, code, message: isOurs ? "" : message, retry_in: retryIn };
    }
    case "tell": {
      const { channel, what, news } = effect;
      return { do: what, channel, ...(what === "presence" ? { members: news } : news) };
    }
  }
}

const expected = (effect: Record<string, unknown>): Record<string, unknown> =>
  effect["do"] === "fail" ? { message: "", retry_in: 0, ...effect } : effect;

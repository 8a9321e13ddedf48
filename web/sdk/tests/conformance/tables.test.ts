import { describe, expect, test } from "vitest";
import { actionFor, read } from "../../src/protocol.js";
import { refreshIn } from "../../src/timing.js";
import { cases } from "./vectors.js";

describe("a close frame alone tells what to do", () => {
  const endings = cases<{ code: number; reason: string; action: string }>("endings.json");
  test.each(endings)("$code $reason", ({ code, reason, action }) => {
    expect(actionFor(code, reason)).toBe(action);
  });
});

describe("a refresh is due when the vector says", () => {
  const timings = cases<{ lifetime: number; lead: number; jitter: number; refresh_in: number }>(
    "timing.json",
  );
  test.each(timings)(
    "$lifetime s, lead $lead s, jitter $jitter",
    ({ lifetime, lead, jitter, refresh_in }) => {
      expect(refreshIn(lifetime, lead, jitter)).toBeCloseTo(refresh_in, 6);
    },
  );
});

describe("what a server writes is read", () => {
  type Fields = Record<string, unknown>;
  const frames = cases<{ name: string; frame: Fields; "holdfast.v1": unknown }>("codec/server_frames.json");
  test.each(frames)("$name", ({ frame, "holdfast.v1": written }) => {
    const meant = read(JSON.stringify(written));
    expect(meant).toEqual(shape(frame, written as Fields));
  });

  /** The frame as this client names it; what was rounded on the way is taken from the text. */
  function shape(frame: Fields, written: Fields): unknown {
    const { kind, ...fields } = frame;
    if (kind === "message") return { kind, data: fields["data"] };
    const named = Object.entries(fields).map(([name, value]) => [camel(name), wire(name, value, written)]);
    const body: Fields = Object.fromEntries(named);
    if (kind === "bye") return { kind, ending: body };
    if (kind === "welcome") {
      const { frame_bytes: frameBytes, frames_per_second: framesPerSecond } = frame["limits"] as Fields;
      return { kind, ...body, limits: { frameBytes, framesPerSecond } };
    }
    return { kind, ...body };
  }

  const wire = (name: string, value: unknown, written: Fields) =>
    typeof value === "number" ? written[name] : value;

  const camel = (name: string) => name.replace(/_(.)/g, (_all, letter: string) => letter.toUpperCase());
});

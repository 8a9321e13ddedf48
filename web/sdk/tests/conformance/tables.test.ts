import { describe, expect, test } from "vitest";
import { actionFor, type Received, read, write } from "../../src/protocol.js";
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

type Fields = Record<string, unknown>;

/** What was read, field by field as the vector `means` it: what is left out is empty, and an action is one of ours. */
function meaning(frame: Received, means: Fields): Fields {
  const read: Fields = { ...EMPTY, ...frame, kind: frame.type };
  if (frame.type === "welcome") read["limits"] = named(frame.limits, means["limits"] as Fields);
  if (frame.type === "bye") read["action"] = actionFor(frame.code, frame.reason ?? "", frame["action"]);
  return named(read, means);
}

const named = (fields: Fields, by: Fields): Fields =>
  Object.fromEntries(Object.keys(by).map((name) => [name, fields[name] ?? null]));

const EMPTY: Fields = { message: "", reason: "", recovered: false, positioned: false };

describe("what a server writes is read", () => {
  const frames = ["codec/server_frames.json", "codec/channel_server_frames.json"].flatMap((path) =>
    cases<{ name: string; frame: Fields; "holdfast.v1": Fields }>(path),
  );
  test.each(frames)("$name", ({ frame, "holdfast.v1": written }) => {
    const means = asAnswer(rounded(frame, written), written);
    expect(meaning(read(JSON.stringify(written)), means)).toEqual(means);
  });

  /** What was rounded on the way is taken from the text. */
  const rounded = (frame: Fields, written: Fields): Fields =>
    Object.fromEntries(
      Object.entries(frame).map(([name, value]) => [name, typeof value === "number" ? written[name] : value]),
    );

  /** The answers to requests have kinds of their own only where they are written. */
  const asAnswer = (frame: Fields, { type, id, result }: Fields): Fields =>
    type === "ok" ? { kind: "ok", id, result } : frame;
});

describe("what comes from a server is understood, or left alone", () => {
  const frames = cases<{ name: string; text?: string; hex?: string; means: Fields }>(
    "codec/server_frames_read.json",
  );
  test.each(frames)("$name", ({ text, means: { type: _why, ...means } }) => {
    expect(meaning(read(text ?? new ArrayBuffer(2)), means)).toEqual(means);
  });
});

describe("what a client writes", () => {
  const frames = cases<{ name: string; frame: Fields; text: Fields }>("codec/client_frames_written.json");
  test.each(frames)("$name", ({ frame: { kind, id, ...fields }, text }) => {
    const given = Object.entries(fields).filter(([name, value]) => name === "data" || Boolean(value));
    const written = write(String(kind), id as string | number | null, Object.fromEntries(given));
    expect(Object.entries(JSON.parse(written))).toEqual(Object.entries(text));
  });
});

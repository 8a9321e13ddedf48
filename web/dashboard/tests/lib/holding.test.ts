import type { LiveState } from "@holdfast/client";
import { describe, expect, it } from "vitest";
import { happeningOf } from "../../src/lib/holding.js";

const ending = { code: 1006, reason: "", action: "reconnect", retryAfterMs: null } as const;
const at = (status: LiveState["status"], more: Partial<LiveState> = {}): LiveState => ({
  status,
  connection: null,
  retryAt: null,
  graceEndsAt: null,
  ending: null,
  ...more,
});
const up = (status: LiveState["status"], connection = "c1"): LiveState => at(status, { connection });

describe("what has happened to a connection", () => {
  it("is nothing while a renewal comes and goes on the same socket", () => {
    expect(happeningOf(up("ready"), up("due"))).toBeNull();
    expect(happeningOf(up("due"), up("ready"))).toBeNull();
    expect(happeningOf(up("grace"), up("ready"))).toBeNull();
  });

  it("is that it is ready, once for each socket", () => {
    expect(happeningOf(at("connecting"), up("ready"))).toEqual({ what: "ready", id: "c1" });
    expect(happeningOf(up("ready", "c1"), up("ready", "c2"))).toEqual({ what: "ready", id: "c2" });
  });

  it("is that the grace has begun, once", () => {
    expect(happeningOf(up("due"), up("grace"))?.what).toBe("grace");
    expect(happeningOf(up("grace"), up("grace"))).toBeNull();
  });

  it("is why it was lost, once", () => {
    expect(happeningOf(up("ready"), at("offline", { ending }))).toEqual({
      what: "lost",
      code: 1006,
      reason: "",
    });
    expect(happeningOf(at("offline", { ending }), at("connecting", { ending }))).toBeNull();
  });

  it("is that the session is over", () => {
    const over = at("parked", {
      ending: { ...ending, code: 4001, reason: "Session ended: revoked (banned)." },
    });
    expect(happeningOf(up("ready"), over)).toEqual({
      what: "parked",
      code: 4001,
      reason: "Session ended: revoked (banned).",
    });
  });
});

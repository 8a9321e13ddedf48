import type { LiveState, SessionState } from "@holdfast/client";
import { describe, expect, it } from "vitest";
import { said, words } from "../../src/components/ConnectionState.js";
import { translator } from "../../src/i18n/language.js";
import { type Hold, holdOf, TONES } from "../../src/lib/hold.js";

const NOW = 1_000_000;

const session = (status: SessionState["status"], refreshAt: number | null = null) => ({ status, refreshAt });
const live = (status: LiveState["status"], more: Partial<LiveState> = {}) => ({
  status,
  retryAt: null,
  graceEndsAt: null,
  ...more,
});

describe("the state of the connection", () => {
  it.each<[string, Hold, Hold["kind"]]>([
    ["active and ready", holdOf(session("active"), live("ready")), "connected"],
    ["refreshing with the socket up", holdOf(session("refreshing"), live("ready")), "renewing"],
    ["the server having asked for a token", holdOf(session("active"), live("due")), "renewing"],
    ["a refresh that fails with the socket up", holdOf(session("degraded", NOW), live("ready")), "late"],
    ["a token that has expired", holdOf(session("active"), live("grace")), "grace"],
    ["a refresh that fails in the grace", holdOf(session("degraded"), live("grace")), "grace"],
    ["a socket that waits", holdOf(session("active"), live("offline")), "offline"],
    ["a socket that opens", holdOf(session("active"), live("connecting")), "connecting"],
    [
      "a socket that waits for a token that does not come",
      holdOf(session("degraded"), live("connecting")),
      "offline",
    ],
    ["a socket that was stopped", holdOf(session("active"), live("stopped")), "stopped"],
    ["a session that the server ended", holdOf(session("ended"), live("ready")), "over"],
    ["nobody", holdOf(session("signed_out"), live("ready")), "signedOut"],
  ])("with %s is told as %s", (_, hold, kind) => {
    expect(hold.kind).toBe(kind);
  });

  it("has a colour for each of its words", () => {
    for (const kind of ["connected", "renewing", "grace", "offline", "signedOut"] as const) {
      expect(TONES[kind]).toBeTruthy();
    }
    expect(new Set([TONES.connected, TONES.renewing, TONES.grace, TONES.offline, TONES.signedOut]).size).toBe(
      5,
    );
  });
});

describe("its words", () => {
  const en = translator("en");
  const ru = translator("ru");

  it("count the seconds of a retry down, and say so when it is time", () => {
    const hold: Hold = { kind: "offline", until: NOW + 5_000 };
    expect(words(hold, NOW, "en", en)).toBe("Offline, retrying in 5 sec");
    expect(words(hold, NOW + 4_001, "en", en)).toBe("Offline, retrying in 1 sec");
    expect(words(hold, NOW + 4_999, "ru", ru)).toBe("Нет связи, повтор через 1 с");
    expect(words(hold, NOW + 5_000, "en", en)).toBe("Offline, retrying");
    expect(words(hold, NOW + 5_001, "en", en)).toBe("Offline, retrying");
  });

  it("count the grace down", () => {
    const hold: Hold = { kind: "grace", until: NOW + 30_000 };
    expect(words(hold, NOW, "en", en)).toBe("In grace, 0:30 left");
    expect(words(hold, NOW + 29_500, "ru", ru)).toBe("Отсрочка, ещё 0:01");
    expect(words(hold, NOW + 31_000, "en", en)).toBe("In grace, 0:00 left");
  });

  it("are said to a screen reader without the numbers, and not for a renewal, which is routine", () => {
    const hold: Hold = { kind: "offline", until: NOW };
    expect(said(hold, en)).toBe("Connection lost. It is retried by itself.");
    expect(said({ kind: "renewing" }, en)).toBe(said({ kind: "connected" }, en));
  });
});

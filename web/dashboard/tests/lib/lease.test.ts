import { describe, expect, it } from "vitest";
import { translator } from "../../src/i18n/language.js";
import type { Connection, Moment } from "../../src/lib/admin.js";
import { leaseOf } from "../../src/lib/lease.js";
import { momentWords } from "../../src/pages/connections/words.js";

const moment = (what: string, at: number, seconds: number | null = null, detail = ""): Moment => ({
  at,
  what,
  detail,
  seconds,
});

const connection = (more: Partial<Connection>): Connection => ({
  id: "c1",
  user: "u1",
  user_name: "ann",
  session: "s1",
  state: "ready",
  carrier: "ticket",
  controlled: true,
  path: "/ws",
  origin: null,
  address: null,
  user_agent: null,
  connected_at: 1_000,
  expires_in: 60,
  channels: [],
  ends_in: 90,
  timeline: [moment("proven", 1_000), moment("renewed", 1_040, 20)],
  ...more,
});

describe("a lease", () => {
  it("is what is left since the last proof", () => {
    expect(leaseOf(connection({}), 1_080, 0)).toEqual({ left: 60, endsIn: 90, share: 0.6, phase: "held" });
  });

  it.each([
    [59, 1],
    [60, 0],
    [61, 0],
    [95, 0],
  ])("told %i s ago still has %i s, and stands still until the server is heard again", (age, left) => {
    expect(leaseOf(connection({}), 1_080, age)).toMatchObject({ phase: "held", left });
  });

  it.each([
    [14, "grace", 1],
    [15, "over", 0],
    [16, "over", 0],
  ])("%i s after it was in grace is in %s", (age, phase, endsIn) => {
    expect(leaseOf(connection({ expires_in: -15, ends_in: 15 }), 2_000, age)).toMatchObject({
      phase,
      endsIn,
    });
  });

  it("in grace is the share of the grace", () => {
    expect(leaseOf(connection({ expires_in: -15, ends_in: 15 }), 2_000, 0)).toMatchObject({
      phase: "grace",
      share: 0.5,
    });
  });

  it("without a grace is over at once", () => {
    expect(leaseOf(connection({ expires_in: 0, ends_in: 0 }), 2_000, 0)).toMatchObject({
      phase: "over",
      share: 0,
    });
  });
});

describe("a moment of a timeline", () => {
  const t = translator("en");

  it("says how long before expiry a renewal came", () => {
    const words = momentWords(moment("renewed", 0, 277, "in band"), "en", t);
    expect(words).toMatchObject({
      title: "Renewed",
      offset: "−4:37",
      meaning: "4:37 before expiry",
      tone: "good",
    });
  });

  it("says how long after expiry one was healed", () => {
    expect(momentWords(moment("healed", 0, -12), "en", t)).toMatchObject({
      title: "Healed",
      offset: "+0:12",
    });
  });

  it("says where the first token was", () => {
    expect(momentWords(moment("proven", 0, 60, "query"), "en", t)).toMatchObject({
      detail: "URL",
      meaning: "lease 1:00",
    });
  });

  it("knows the words with spaces in them", () => {
    expect(momentWords(moment("in grace", 0, 30), "en", t)).toMatchObject({
      title: "In grace",
      meaning: "0:30 of grace",
    });
    expect(momentWords(moment("renewal refused", 0), "en", t).title).toBe("Renewal refused");
  });

  it("shows words that it does not know as they are", () => {
    expect(momentWords(moment("teleported", 0, 1, "x"), "en", t)).toMatchObject({
      title: "teleported",
      detail: "x",
      offset: null,
    });
  });
});

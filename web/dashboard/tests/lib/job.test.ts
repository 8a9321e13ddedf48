import { describe, expect, it } from "vitest";
import type { Change } from "../../src/lib/feed.js";
import { JOB, type Job, LINES_KEPT, QUIET, silence, standingOf } from "../../src/lib/job.js";

const NOW = 1_700_000_000_000;

const change = (data: unknown, more: Partial<Change> = {}): Change => ({
  data,
  at: NOW,
  isLive: true,
  isKnown: false,
  ...more,
});
const jobAfter = (...told: readonly unknown[]): Job =>
  told.reduce((job: Job, data) => JOB.take(job, change(data)), JOB.empty);
const texts = (job: Job): string[] => job.log.map(({ text }) => text);

describe("a job", () => {
  it("is what has been told of it, the newest first to count", () => {
    const job = jobAfter(
      { title: "Report", state: "running", log: ["started"] },
      { progress: 0.25, log: [{ text: "a quarter", level: "warning", at: 12.5 }] },
      { state: "done", result: { rows: 7 } },
    );
    expect(job).toMatchObject({ title: "Report", state: "done", progress: 0.25, result: { rows: 7 } });
    expect(job.log).toEqual([
      { number: 0, at: null, level: "info", text: "started" },
      { number: 1, at: 12_500, level: "warning", text: "a quarter" },
    ]);
  });

  it.each([
    [-1, 0],
    [0.4, 0.4],
    [7, 1],
    [Number.NaN, null],
    ["0.5", null],
    [null, null],
  ])("takes %s for a progress of %s", (progress, expected) => {
    expect(jobAfter({ progress }).progress).toBe(expected);
  });

  it("keeps its state when it is told one that nobody knows", () => {
    expect(jobAfter({ state: "running" }, { state: "exploded" }).state).toBe("running");
  });

  it("tells a result of null from none", () => {
    expect([jobAfter({ state: "done" }).result, jobAfter({ result: null }).result]).toEqual([
      undefined,
      null,
    ]);
  });

  it.each([["hello"], [42], [null], [["a"]], [{ hello: "world" }]])(
    "shows %j as a line of its log",
    (data) => {
      expect(texts(jobAfter(data))).toEqual([typeof data === "string" ? data : JSON.stringify(data)]);
    },
  );

  it.each([[{ text: 7 }], [17], [{}]])("shows the line %j as it came", (line) => {
    expect(texts(jobAfter({ log: [line] }))).toEqual([JSON.stringify(line)]);
  });

  it("begins anew with a whole, but its lines are counted on, for they are other lines", () => {
    const job = jobAfter(
      { title: "old", result: 1, log: ["a", "b"] },
      { whole: true, state: "running", log: ["c"] },
    );
    expect(job).toMatchObject({ title: null, state: "running", result: undefined });
    expect(job.log).toEqual([{ number: 2, at: null, level: "info", text: "c" }]);
  });

  it("keeps its longer log when a whole tells nothing new", () => {
    const job = jobAfter({ title: "Report", log: ["a", "b"] });
    const whole = { whole: true, title: "Report", state: "failed", log: ["b"] };
    const told = JOB.take(job, change(whole, { isKnown: true, at: NOW + 1 }));
    expect([texts(told), told.state, told.heardAt]).toEqual([["a", "b"], "failed", NOW + 1]);
  });

  it("keeps no more lines than it may", () => {
    const lines = Array.from({ length: LINES_KEPT + 5 }, (_, index) => String(index));
    const job = jobAfter({ log: lines }, { log: ["last"] });
    expect(job.log).toHaveLength(LINES_KEPT);
    expect([texts(job)[0], texts(job).at(-1), job.log.at(-1)?.number]).toEqual(["6", "last", LINES_KEPT + 5]);
  });

  it("marks a gap once", () => {
    const job = JOB.gap(JOB.gap(jobAfter({ log: ["a"] })));
    expect(job.log.map(({ level }) => level)).toEqual(["info", "gap"]);
  });
});

describe("when a job was heard of", () => {
  it("is now for what comes, whatever its own clock says", () => {
    expect(JOB.take(JOB.empty, change({ state: "running", at: 5 })).heardAt).toBe(NOW);
  });

  it.each([
    [{ state: "running", at: 5 }, 5_000],
    [{ log: ["x", { text: "y", at: 6 }] }, 6_000],
    [{ state: "running" }, NOW],
    ["text", NOW],
  ])("is what %j of the history says", (data, expected) => {
    expect(JOB.take(JOB.empty, change(data, { isLive: false })).heardAt).toBe(expected);
  });

  it("makes a running job silent in the end, and no other", () => {
    const running = jobAfter({ state: "running" });
    expect(silence(running, NOW + QUIET - 1)).toBeNull();
    expect(silence(running, NOW + QUIET)).toBe(QUIET / 1000);
    expect(silence(jobAfter({ state: "done" }), NOW + QUIET)).toBeNull();
    expect(silence(JOB.empty, NOW)).toBeNull();
  });
});

describe("how a job stands", () => {
  it.each([
    ["running", "live", false, "running"],
    ["running", "live", true, "silent"],
    ["running", "away", true, "away"],
    ["running", "closed", false, "away"],
    ["running", "revoked", true, "revoked"],
    ["running", "refused", false, "refused"],
    ["done", "away", true, "done"],
    ["failed", "revoked", false, "failed"],
    ["cancelled", "live", false, "cancelled"],
    [null, "live", false, "unknown"],
    [null, "away", false, "unknown"],
    [null, "refused", false, "refused"],
  ] as const)("%s, %s, silent %s: %s", (state, phase, isSilent, expected) => {
    expect(standingOf({ state }, phase, isSilent)).toBe(expected);
  });
});

import { describe, expect, it } from "vitest";
import { JOB } from "../../src/lib/job.js";
import {
  completed,
  isJobId,
  JOB_INDEX,
  JOBS_KEPT,
  listed,
  type Summaries,
  type Summary,
} from "../../src/lib/job-index.js";

const jobsAfter = (...told: readonly unknown[]): Summaries =>
  told.reduce(
    (jobs: Summaries, data) => JOB_INDEX.take(jobs, { data, at: 0, isLive: true, isKnown: false }),
    JOB_INDEX.empty,
  );
const order = (jobs: Summaries, ...asked: string[]): string[] => listed(jobs, asked).map(({ id }) => id);

describe("the index of jobs", () => {
  it("knows of each job what was told last, and what was told before and not since", () => {
    const jobs = jobsAfter(
      { job: "a", title: "A", state: "running", progress: 0.1, at: 1 },
      { job: "a", state: "done", at: 2 },
    );
    expect([...jobs.values()]).toEqual([{ id: "a", title: "A", state: "done", progress: 0.1, at: 2_000 }]);
  });

  it.each([
    [null],
    ["a"],
    [{ title: "no id" }],
    [{ job: 7 }],
    [{ job: "" }],
    [{ job: "a:b" }],
    [{ job: "two words" }],
    [{ job: "index" }],
  ])("learns nothing from %j", (data) => {
    expect(jobsAfter(data).size).toBe(0);
  });

  it("lists the running first, the newest of each first, and those in the lead that were asked for by id", () => {
    const jobs = jobsAfter(
      { job: "old", state: "done" },
      { job: "one", state: "running" },
      { job: "two", state: "running" },
      { job: "new", state: "failed" },
    );
    expect(order(jobs, "mine", "one")).toEqual(["mine", "two", "one", "new", "old"]);
  });

  it("lets a job keep its place while it runs", () => {
    const running = [
      { job: "a", state: "running" },
      { job: "b", state: "running" },
    ];
    expect(order(jobsAfter(...running, { job: "a", state: "running", progress: 0.5 }))).toEqual(["b", "a"]);
    expect(order(jobsAfter(...running, { job: "b", state: "done" }, { job: "a", state: "done" }))).toEqual([
      "a",
      "b",
    ]);
  });

  it("forgets the oldest when there are too many", () => {
    const jobs = jobsAfter(
      ...Array.from({ length: JOBS_KEPT + 1 }, (_, n) => ({ job: `j${n}`, state: "done" })),
    );
    expect([jobs.size, jobs.has("j0"), jobs.has(`j${JOBS_KEPT}`)]).toEqual([JOBS_KEPT, false, true]);
  });
});

describe("the id of a job", () => {
  it.each([
    ["42", true],
    ["a-b_c.d", true],
    ["x".repeat(251), true],
    ["x".repeat(252), false],
    ["", false],
    ["index", false],
    ["a:b", false],
    ["a b", false],
    ["a*", false],
    ["ж", false],
  ])("%s: %s", (id, good) => {
    expect(isJobId(id)).toBe(good);
  });
});

it("a job takes from the index what its own channel has not told", () => {
  const summary: Summary = { id: "a", title: "A", state: "done", progress: 1, at: 5 };
  expect(completed(JOB.empty, summary)).toMatchObject({ title: "A", state: "done", progress: 1, heardAt: 5 });
  const known = { ...JOB.empty, title: "B", state: "running" as const, progress: 0.5, heardAt: 9 };
  expect(completed(known, summary)).toEqual(known);
  expect(completed(known, undefined)).toBe(known);
});

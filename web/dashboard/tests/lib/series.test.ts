import { describe, expect, it } from "vitest";
import type { Sample } from "../../src/lib/admin.js";
import { codesOf, extentOf, levels, rates, recent, thinned } from "../../src/lib/series.js";

const sample = (at: number, more: Partial<Sample> = {}): Sample => ({
  at,
  connections: 0,
  opened: 0,
  renewals: 0,
  closes: 0,
  closes_by_code: {},
  refreshes: 0,
  sign_ins: 0,
  drops_avoided: 0,
  publications: 0,
  deliveries: 0,
  subscriptions: 0,
  ...more,
});

describe("rates", () => {
  it("are per minute, however long between two samples", () => {
    const samples = [sample(0), sample(5, { renewals: 1 }), sample(15, { renewals: 3 })];
    expect(rates(samples, (it) => it.renewals).values).toEqual([null, 12, 12]);
  });

  it("are not known where the count began anew, or no time has passed", () => {
    const samples = [sample(0, { renewals: 9 }), sample(5, { renewals: 1 }), sample(5, { renewals: 2 })];
    expect(rates(samples, (it) => it.renewals).values).toEqual([null, null, null]);
  });
});

describe("the samples of a time", () => {
  it("begin one before it, so that the first difference is known", () => {
    const samples = [0, 5, 10, 15].map((at) => sample(at));
    expect(recent(samples, 15, 5).map(({ at }) => at)).toEqual([5, 10, 15]);
    expect(recent(samples, 15, 100)).toHaveLength(4);
    expect(recent(samples, 100, 5)).toEqual([]);
  });
});

describe("thinning", () => {
  it("keeps the last sample of each step, and the newest", () => {
    const samples = [0, 5, 10, 15, 20, 25, 31].map((at) => sample(at));
    expect(thinned(samples, 15).map(({ at }) => at)).toEqual([10, 25, 31]);
    expect(thinned(samples, 5)).toEqual(samples);
    expect(thinned([], 5)).toEqual([]);
  });
});

describe("the codes of a time", () => {
  it("are those that have become more, most frequent first", () => {
    const samples = [
      sample(0, { closes_by_code: { "1000": 9, "4003": 1 } }),
      sample(5, { closes_by_code: { "1000": 9, "4003": 4, "1001": 1 } }),
    ];
    expect(codesOf(samples)).toEqual(["4003", "1001"]);
    expect(codesOf([])).toEqual([]);
  });
});

describe("the extent of a series", () => {
  it("is what it is now, was at least and at most", () => {
    const series = levels(
      [sample(0, { connections: 3 }), sample(5, { connections: 1 }), sample(9, { connections: 2 })],
      (it) => it.connections,
    );
    expect(extentOf(series)).toEqual({ now: 2, least: 1, most: 3 });
  });

  it("is nothing where nothing is known", () => {
    expect(extentOf({ times: [1], values: [null] })).toBeNull();
  });
});

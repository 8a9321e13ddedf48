/** What the plots draw, made of the samples that the server keeps. */

import type { Sample } from "./admin.js";

/** Points in time, in seconds since the epoch, and what was counted at each; null where nothing is known. */
export interface Series {
  readonly times: readonly number[];
  readonly values: readonly (number | null)[];
}

const MINUTE = 60;

/** The samples of the last `seconds`, and the one before them, so that the first difference is known. */
export function recent(samples: readonly Sample[], now: number, seconds: number): readonly Sample[] {
  const first = samples.findIndex(({ at }) => at >= now - seconds);
  return first < 0 ? [] : samples.slice(Math.max(0, first - 1));
}

/** A value that goes up and down. */
export function levels(samples: readonly Sample[], read: (sample: Sample) => number): Series {
  return { times: samples.map(({ at }) => at), values: samples.map(read) };
}

/** The last sample of each `step` seconds, so that an hour is not drawn finer than a screen can show. */
export function thinned(samples: readonly Sample[], step: number): readonly Sample[] {
  const bucket = (sample: Sample | undefined): number | null =>
    sample === undefined ? null : Math.floor(sample.at / step);
  return samples.filter((sample, index) => bucket(sample) !== bucket(samples[index + 1]));
}

/**
 * How fast a count rises, per minute.
 *
 * A count that has fallen began anew, since its process did: that point is not known.
 */
export function rates(samples: readonly Sample[], read: (sample: Sample) => number): Series {
  const values = samples.map((sample, index) => {
    const before = samples[index - 1];
    if (before === undefined || sample.at <= before.at) return null;
    const risen = read(sample) - read(before);
    return risen < 0 ? null : (risen / (sample.at - before.at)) * MINUTE;
  });
  return { times: samples.map(({ at }) => at), values };
}

/** The codes that connections were closed with, most frequent first. */
export function codesOf(samples: readonly Sample[]): readonly string[] {
  const last = samples.at(-1)?.closes_by_code ?? {};
  const first = samples[0]?.closes_by_code ?? {};
  const grown = (code: string): number => (last[code] ?? 0) - (first[code] ?? 0);
  return Object.keys(last)
    .filter((code) => grown(code) > 0)
    .toSorted((a, b) => grown(b) - grown(a) || a.localeCompare(b));
}

export interface Extent {
  readonly now: number;
  readonly least: number;
  readonly most: number;
}

/** What a plot shows, in three numbers, for those who do not see it; null if there is nothing. */
export function extentOf({ values }: Series): Extent | null {
  const known = values.filter((value) => value !== null);
  const now = known.at(-1);
  return now === undefined ? null : { now, least: Math.min(...known), most: Math.max(...known) };
}

/** One time out of two clocks, and how long to wait after a failure. All in seconds. */

import { APART, BACKOFF_DOUBLINGS, BACKOFF_MOST, JITTER, TICK } from "./limits.js";

/** A moment that does not come; finite, so that one can reckon with it. */
export const NEVER = 1e99;

/**
 * A time that only goes forward: as the monotonic clock does, which may stand still while the machine sleeps, and by what
 * the wall clock has jumped ahead of it. So whatever is due by either clock is due; a clock that is set back changes nothing.
 */
export function createClock(): (wall: number, mono: number) => number {
  let gap: number | undefined;
  let ahead = 0;
  return (wall, mono) => {
    gap ??= wall - mono;
    const jump = wall - mono - gap;
    if (Math.abs(jump) > APART) {
      gap += jump;
      ahead += Math.max(0, jump);
    }
    return mono + ahead;
  };
}

/** In how many seconds to look again, when this is waited for. */
export const wait = (moment: number, now: number): number =>
  moment < NEVER ? Math.min(TICK, Math.max(0, moment - now)) : NEVER;

/** How long to wait after so many failures before this one: full jitter under 1, 2, 4, … 60 s; `unit` is from [0, 1). */
export const backoff = (failures: number, unit: number): number =>
  Math.min(BACKOFF_MOST, 2 ** Math.min(failures, BACKOFF_DOUBLINGS)) * unit;

/** In how many seconds to refresh a token that lives `lifetime` more; the lead is never over half of that. */
export const refreshIn = (lifetime: number, lead: number, jitter: number): number =>
  Math.max(0, lifetime - Math.min(lead, lifetime / 2) * (1 + JITTER * (2 * jitter - 1)));

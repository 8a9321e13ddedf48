/** Spans of time as people read them on a clock. */

import type { Language } from "../i18n/translate.js";

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** `0:07`, `4:37`, `1:02:03`; days are left to `span`. Seconds are rounded up, so that a countdown ends at 0:00. */
export function clockFace(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  const two = (value: number): string => String(value).padStart(2, "0");
  const minutes = Math.floor(whole / MINUTE) % MINUTE;
  const rest = two(whole % MINUTE);
  return whole < HOUR ? `${minutes}:${rest}` : `${Math.floor(whole / HOUR)}:${two(minutes)}:${rest}`;
}

/** `4:37` up to a day, and `13 days` beyond it. */
export function span(language: Language, seconds: number): string {
  return Math.abs(seconds) < DAY ? clockFace(seconds) : inUnit(language, Math.floor(seconds / DAY), "day");
}

/** `5 s`, for waits that are short and not worth a clock. */
export function inSeconds(language: Language, seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  return whole < 100 ? inUnit(language, whole, "second") : clockFace(whole);
}

/** `3 minutes ago`, `in 5 days`; `now` for less than ten seconds. */
export function relative(language: Language, seconds: number, now: string): string {
  const format = new Intl.RelativeTimeFormat(language, { numeric: "auto", style: "short" });
  const size = Math.abs(seconds);
  if (size < 10) return now;
  if (size < MINUTE) return format.format(Math.trunc(seconds), "second");
  if (size < HOUR) return format.format(Math.trunc(seconds / MINUTE), "minute");
  if (size < DAY) return format.format(Math.trunc(seconds / HOUR), "hour");
  return format.format(Math.trunc(seconds / DAY), "day");
}

function inUnit(language: Language, value: number, unit: string): string {
  return new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "short" }).format(value);
}

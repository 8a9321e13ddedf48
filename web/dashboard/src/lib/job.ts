/**
 * A long job, as it is told on its channel `job:{id}`.
 *
 * A publication is an object with what has changed: `title`, `state`, `progress` from 0 to 1, `result`, and the lines that
 * come to the `log`, each a text or `{text, level, at}`. One that is `whole` says everything. `at` is when, in seconds
 * since the epoch. Whatever else is published is shown as a line: a page that hides what it does not know is no help.
 */

import type { Change, Fold, Phase } from "./feed.js";

export const STATES = ["running", "done", "failed", "cancelled"] as const;
export type JobState = (typeof STATES)[number];

const LEVELS = ["info", "warning", "error"] as const;
export type Level = (typeof LEVELS)[number];

/** A line of a job's log; `gap` stands where some may be missing. */
export interface Line {
  readonly number: number;
  /** By the clock of whoever has told it, in milliseconds since the epoch. */
  readonly at: number | null;
  readonly level: Level | "gap";
  readonly text: string;
}

export interface Job {
  readonly title: string | null;
  readonly state: JobState | null;
  /** From 0 to 1. */
  readonly progress: number | null;
  /** Oldest first. */
  readonly log: readonly Line[];
  /** Lines that have come so far, those that are let go too. */
  readonly lines: number;
  /** Undefined until there is one. */
  readonly result: unknown;
  /** When it was heard of last, by `Date.now()`. */
  readonly heardAt: number | null;
}

export const LINES_KEPT = 1_000;
/** A running job that is silent for so long is taken for lost, in milliseconds. */
export const QUIET = 20_000;

const UNKNOWN: Job = {
  title: null,
  state: null,
  progress: null,
  log: [],
  lines: 0,
  result: undefined,
  heardAt: null,
};
const FIELDS = ["title", "state", "progress", "log", "result", "whole"] as const;

export const JOB: Fold<Job> = { empty: UNKNOWN, take, isWhole, gap };

/** For how long nothing has been heard of a job that should be running, in seconds; null if that is no wonder. */
export function silence({ state, heardAt }: Job, now: number): number | null {
  if (state !== "running" || heardAt === null || now - heardAt < QUIET) return null;
  return (now - heardAt) / 1000;
}

/** How a job stands, for the eye: its state, or why that is not to be had. */
export type Standing = JobState | "unknown" | "silent" | "away" | "refused" | "revoked";

export function standingOf({ state }: Pick<Job, "state">, phase: Phase, isSilent: boolean): Standing {
  if (state !== null && state !== "running") return state;
  if (phase === "refused" || phase === "revoked") return phase;
  if (state === null) return "unknown";
  if (phase === "away" || phase === "closed") return "away";
  return isSilent ? "silent" : "running";
}

function take(job: Job, { data, at, isLive, isKnown }: Change): Job {
  const told = isRecord(data) ? data : {};
  const heardAt = isLive ? at : (milliseconds(told["at"]) ?? lastOf(told["log"]) ?? at);
  if (!FIELDS.some((field) => field in told)) return added({ ...job, heardAt }, [data]);
  const before = isWhole(data) && !isKnown ? { ...UNKNOWN, lines: job.lines } : job;
  const changed: Job = {
    ...before,
    heardAt,
    title: typeof told["title"] === "string" ? told["title"] : before.title,
    state: STATES.find((state) => state === told["state"]) ?? before.state,
    progress: share(told["progress"]) ?? before.progress,
    result: "result" in told ? told["result"] : before.result,
  };
  return added(changed, Array.isArray(told["log"]) && !isKnown ? told["log"] : []);
}

function isWhole(data: unknown): boolean {
  return isRecord(data) && data["whole"] === true;
}

function gap(job: Job): Job {
  if (job.log.at(-1)?.level === "gap") return job;
  const mark: Line = { number: job.lines, at: null, level: "gap", text: "" };
  return { ...job, log: [...job.log, mark].slice(-LINES_KEPT), lines: job.lines + 1 };
}

function added(job: Job, lines: readonly unknown[]): Job {
  if (lines.length === 0) return job;
  const log = lines.map((line, index) => lineOf(line, job.lines + index));
  return { ...job, log: [...job.log, ...log].slice(-LINES_KEPT), lines: job.lines + lines.length };
}

function lineOf(line: unknown, number: number): Line {
  const { text, level, at } = isRecord(line) ? line : {};
  const known = LEVELS.find((one) => one === level) ?? "info";
  const words = typeof line === "string" ? line : typeof text === "string" ? text : JSON.stringify(line);
  return { number, at: milliseconds(at), level: known, text: words };
}

function lastOf(log: unknown): number | null {
  const last: unknown = Array.isArray(log) ? log.at(-1) : undefined;
  return isRecord(last) ? milliseconds(last["at"]) : null;
}

/** A share of 1; null for what is none. */
export function share(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? Math.min(1, Math.max(0, value)) : null;
}

export function milliseconds(seconds: unknown): number | null {
  return typeof seconds === "number" && Number.isFinite(seconds) ? seconds * 1000 : null;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

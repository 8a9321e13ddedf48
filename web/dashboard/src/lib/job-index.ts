/** Which jobs there are, as it is told on the channel `job:index`: `{job, title, state, progress, at}`, the newest counts. */

import { isChannel } from "./channel.js";
import type { Change, Fold } from "./feed.js";
import { isRecord, type Job, type JobState, milliseconds, STATES, share } from "./job.js";

export const INDEX = "job:index";
/** So many are kept; those that were heard of longest ago go first. */
export const JOBS_KEPT = 200;

export interface Summary {
  readonly id: string;
  readonly title: string | null;
  readonly state: JobState | null;
  readonly progress: number | null;
  /** When it was told, in milliseconds since the epoch; null if nobody has told. */
  readonly at: number | null;
}

/** By id; whose news is the newest is last. */
export type Summaries = ReadonlyMap<string, Summary>;

export const JOB_INDEX: Fold<Summaries> = {
  empty: new Map(),
  take,
  isWhole: () => false,
  gap: (jobs) => jobs,
};

/** The channel of a job. */
export const channelOf = (id: string): string => `job:${id}`;

/** Whether a job can have this id. */
export function isJobId(id: string): boolean {
  return id !== "" && !id.includes(":") && isChannel(channelOf(id)) && channelOf(id) !== INDEX;
}

/** Those of the index and those that were asked for by id: the running first, then the newest. */
export function listed(jobs: Summaries, asked: Iterable<string>): readonly Summary[] {
  const others = [...asked].filter((id) => !jobs.has(id));
  const unknown = others.map((id) => ({ id, title: null, state: null, progress: null, at: null }));
  const known = [...jobs.values()].reverse();
  return [...unknown, ...known].toSorted((a, b) => Number(isOver(a)) - Number(isOver(b)));
}

/** Whether nothing more is to be expected of it. */
export function isOver({ state }: { readonly state: JobState | null }): boolean {
  return state !== null && state !== "running";
}

/** A job with what only the index knows of it: its channel may have forgotten. */
export function completed(job: Job, summary: Summary | undefined): Job {
  if (summary === undefined) return job;
  return {
    ...job,
    title: job.title ?? summary.title,
    state: job.state ?? summary.state,
    progress: job.progress ?? summary.progress,
    heardAt: job.heardAt ?? summary.at,
  };
}

function take(jobs: Summaries, { data }: Change): Summaries {
  if (!isRecord(data) || typeof data["job"] !== "string" || !isJobId(data["job"])) return jobs;
  const id = data["job"];
  const before = jobs.get(id);
  const summary: Summary = {
    id,
    title: typeof data["title"] === "string" ? data["title"] : (before?.title ?? null),
    state: STATES.find((state) => state === data["state"]) ?? before?.state ?? null,
    progress: share(data["progress"]) ?? before?.progress ?? null,
    at: milliseconds(data["at"]) ?? before?.at ?? null,
  };
  const changed = new Map(jobs);
  // A job keeps its place while it runs, so that the list does not jump under the pointer.
  if (before?.state !== summary.state) changed.delete(id);
  changed.set(id, summary);
  for (const oldest of changed.keys()) {
    if (changed.size <= JOBS_KEPT) break;
    changed.delete(oldest);
  }
  return changed;
}

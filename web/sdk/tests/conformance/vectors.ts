import { readdirSync, readFileSync } from "node:fs";
import { type createClock, NEVER } from "../../src/timing.js";

const ROOT = new URL("../../../../conformance/", import.meta.url);

/** The cases of one file. */
export function cases<Case>(path: string): Case[] {
  return (JSON.parse(readFileSync(new URL(path, ROOT), "utf8")) as { cases: Case[] }).cases;
}

export interface Step {
  readonly at?: number;
  readonly clock?: { readonly wall: number; readonly mono: number };
  readonly event: string;
  readonly do: readonly Record<string, unknown>[];
  readonly state: string;
  readonly wake_in: number | null;
  readonly unit?: number;
  // What an event brings.
  readonly attempt?: number;
  readonly channel?: string;
  readonly code?: string | number;
  readonly frame?: unknown;
  readonly frame_bytes?: number;
  readonly presence?: boolean;
  readonly since?: { readonly epoch: string; readonly offset: number };
  readonly grant?: Record<string, unknown>;
  readonly reason?: string;
  readonly retry_after?: number;
  readonly socket?: number;
  readonly status?: number;
  readonly token?: number;
  readonly user?: string;
}

export interface Timeline {
  readonly name: string;
  /** How many requests may wait. */
  readonly capacity?: number;
  readonly steps: readonly Step[];
}

/** Every timeline of a folder, with its file's name. */
export function timelines(folder: string): [string, Timeline][] {
  const where = new URL(`${folder}/`, ROOT);
  const files = readdirSync(where).filter((name) => name.endsWith(".json"));
  return files.map((name) => [name, JSON.parse(readFileSync(new URL(name, where), "utf8")) as Timeline]);
}

/** The time of a step, as a client's two clocks tell it. */
export function timeOf(step: Step, clock: ReturnType<typeof createClock>): number {
  const { wall, mono } = step.clock ?? { wall: given(step.at), mono: given(step.at) };
  return clock(wall, mono);
}

/** A field that this event must have. */
export function given<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("the vector lacks a field that its event needs");
  return value;
}

const NEAR = 1e-6;

/** Equal, but for the last bits of numbers that were added up. */
export const near = (actual: number, expected: number | null): boolean =>
  expected === null ? actual === NEVER : Math.abs(actual - expected) <= NEAR;

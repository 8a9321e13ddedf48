/** The admin API, as src/holdfast/server/admin_models.py has it. Times are seconds since the epoch, by the server's clock. */

import type { Session } from "@holdfast/client";
import { ask } from "./ask.js";

export interface Moment {
  readonly at: number;
  readonly what: string;
  readonly detail: string;
  /** What was left of the lease or the grace; of the lease before a renewal. */
  readonly seconds: number | null;
}

export interface Connection {
  readonly id: string;
  readonly user: string;
  readonly user_name: string;
  readonly session: string | null;
  readonly state: string;
  readonly carrier: string;
  readonly controlled: boolean;
  readonly path: string;
  readonly origin: string | null;
  readonly address: string | null;
  readonly user_agent: string | null;
  readonly connected_at: number;
  /** Seconds until the newest proof expires; negative in grace. */
  readonly expires_in: number;
  /** What it is subscribed to. */
  readonly channels: readonly string[];
  /** Seconds until the connection ends without a renewal. */
  readonly ends_in: number;
  readonly timeline: readonly Moment[];
}

export interface Connections {
  readonly node: string;
  readonly now: number;
  readonly connections: readonly Connection[];
}

/** Counts at one moment; all but `connections` and `subscriptions` only ever rise. */
export interface Sample {
  readonly at: number;
  readonly connections: number;
  readonly opened: number;
  readonly renewals: number;
  readonly closes: number;
  readonly closes_by_code: Readonly<Record<string, number>>;
  readonly refreshes: number;
  readonly sign_ins: number;
  readonly drops_avoided: number;
  readonly publications: number;
  /** Publications handed to subscribers. */
  readonly deliveries: number;
  readonly subscriptions: number;
}

export interface Close {
  readonly by: string;
  readonly code: string;
  readonly reason: string;
  readonly count: number;
}

export interface Stats {
  readonly node: string;
  readonly now: number;
  readonly started_at: number;
  readonly live_by_state: Readonly<Record<string, number>>;
  readonly live_by_carrier: Readonly<Record<string, number>>;
  readonly totals: Sample;
  readonly renewals: Readonly<Record<string, number>>;
  readonly healed: number;
  readonly renewals_refused: number;
  readonly closes: readonly Close[];
  /** Channels that have a subscriber in this process. */
  readonly channels: number;
  readonly samples: readonly Sample[];
}

export interface Revocation {
  readonly session?: string;
  readonly user?: string;
  readonly reason?: string;
}

export const connections = (session: Session, signal: AbortSignal): Promise<Connections> =>
  ask<Connections>(session, "/admin/connections", { signal });

export const stats = (session: Session, signal: AbortSignal): Promise<Stats> =>
  ask<Stats>(session, "/admin/stats", { signal });

export const disconnect = (session: Session, id: string): Promise<null> =>
  ask<null>(session, `/admin/connections/${encodeURIComponent(id)}/disconnect`, { method: "POST" });

export const revoke = (session: Session, what: Revocation): Promise<null> =>
  ask<null>(session, "/admin/revoke", { method: "POST", json: what });

import type { Connection, Moment } from "./admin.js";

export interface Lease {
  /** Seconds until the token expires. */
  readonly left: number;
  /** Seconds until the connection ends without a renewal. */
  readonly endsIn: number;
  /** What is left of the lease, from 1 to 0; of the grace, once that has begun. */
  readonly share: number;
  readonly phase: "held" | "grace" | "over";
}

/**
 * The lease as it stands `age` seconds after the server told of it.
 *
 * It may have been renewed since, so one that runs out in between stands at 0 until the server is heard again.
 */
export function leaseOf(connection: Connection, now: number, age: number): Lease {
  const { expires_in: told, ends_in: end } = connection;
  const left = Math.max(0, told - age);
  const endsIn = Math.max(0, end - age);
  if (told > 0)
    return { left, endsIn, share: part(left, told + (now - lastProof(connection))), phase: "held" };
  return { left, endsIn, share: part(endsIn, end - told), phase: endsIn > 0 ? "grace" : "over" };
}

export const PROOFS: ReadonlySet<string> = new Set(["proven", "renewed", "healed"]);

/** When the token in force was shown; the server does not keep more of it. */
function lastProof({ timeline, connected_at }: Connection): number {
  return timeline.findLast((moment: Moment) => PROOFS.has(moment.what))?.at ?? connected_at;
}

function part(left: number, whole: number): number {
  return whole <= 0 ? 0 : Math.min(1, Math.max(0, left / whole));
}

import type { Connection } from "../../lib/admin.js";

export const STATES = ["all", "ready", "due", "grace"] as const;
export type StateChoice = (typeof STATES)[number];

export interface Chosen {
  readonly state: StateChoice;
  readonly text: string;
}

/** Those in this state whose user, address, ids or channels have the text in them. */
export function chosen(all: readonly Connection[], { state, text }: Chosen): readonly Connection[] {
  const wanted = text.trim().toLowerCase();
  return all.filter(
    (one) =>
      (state === "all" || one.state === state) &&
      [
        one.user_name,
        one.user,
        one.address,
        one.id,
        one.session,
        one.path,
        one.carrier,
        ...one.channels,
      ].some((field) => field?.toLowerCase().includes(wanted)),
  );
}

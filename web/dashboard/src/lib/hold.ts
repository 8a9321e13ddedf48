/** How well this page is held, in one word for the header: the session and its connection taken together. */

import type { LiveState, SessionState } from "@holdfast/client";

export type Hold =
  | { readonly kind: "connected" | "connecting" | "renewing" | "stopped" | "over" | "signedOut" }
  /** The token has expired; until then a renewal heals it. */
  | { readonly kind: "grace"; readonly until: number | null }
  /** No socket; tried again then, or as soon as there is a token. */
  | { readonly kind: "offline"; readonly until: number | null }
  /** The socket is up, but the last renewal did not get through; tried again then. */
  | { readonly kind: "late"; readonly until: number | null };

export type HoldKind = Hold["kind"];

type HeldSession = Pick<SessionState, "status" | "refreshAt">;
type HeldLive = Pick<LiveState, "status" | "retryAt" | "graceEndsAt">;

/** The worst that is true comes first: who is not signed in has no use for the state of a socket. */
export function holdOf(session: HeldSession, live: HeldLive): Hold {
  if (session.status === "ended") return { kind: "over" };
  if (session.status === "signed_out") return { kind: "signedOut" };
  switch (live.status) {
    case "parked":
    case "connecting":
      // Opening waits for a token, and that one for the network.
      return session.status === "degraded"
        ? { kind: "offline", until: session.refreshAt }
        : { kind: "connecting" };
    case "stopped":
      return { kind: "stopped" };
    case "offline":
      return { kind: "offline", until: live.retryAt };
    case "grace":
      return { kind: "grace", until: live.graceEndsAt };
    case "ready":
    case "due":
      if (session.status === "degraded") return { kind: "late", until: session.refreshAt };
      return { kind: session.status === "refreshing" || live.status === "due" ? "renewing" : "connected" };
  }
}

/** How it looks: one of five colours. */
export type Tone = "good" | "busy" | "warn" | "bad" | "off";

export const TONES: Readonly<Record<HoldKind, Tone>> = {
  connected: "good",
  connecting: "busy",
  renewing: "busy",
  grace: "warn",
  late: "warn",
  offline: "bad",
  over: "bad",
  stopped: "off",
  signedOut: "off",
};

/** How the page's connection has been held so far: since when, through how many renewals, at the price of how many breaks. */

import type { LiveState, SubscriptionEvents } from "@holdfast/client";
import type { UsedSession } from "@holdfast/client/react";
import { useEffect, useRef, useState } from "react";
import type { Entry, MessageLog } from "./log.js";

export interface Holding {
  /** When the present connection was ready for the first time, by `Date.now()`. */
  readonly since: number | null;
  readonly renewals: number;
  readonly reconnects: number;
}

/** An entry of the log that the page words when it shows it, in the language of that moment. */
export interface Happening {
  readonly what: "ready" | "renewed" | "healed" | "grace" | "lost" | "parked" | "stopped" | OfChannel;
  readonly code?: number;
  readonly reason?: string;
  /** What the server says to a subscription that it refuses. */
  readonly refusal?: SubscriptionEvents["refused"];
  readonly id?: string;
  /** Seconds of lease or grace. */
  readonly seconds?: number;
  readonly channel?: string;
  readonly offset?: number;
}

/** What happens to a subscription; it is `recovered` when nothing was lost. */
type OfChannel = "subscribed" | "recovered" | "unrecovered" | "refused" | "revoked" | "left";

const TONES: Readonly<Record<Happening["what"], NonNullable<Entry["tone"]>>> = {
  ready: "good",
  renewed: "good",
  healed: "good",
  grace: "warn",
  lost: "bad",
  parked: "bad",
  stopped: "bad",
  subscribed: "good",
  recovered: "good",
  unrecovered: "warn",
  refused: "bad",
  revoked: "bad",
  left: "warn",
};

export function useHolding(session: UsedSession, live: LiveState, log: MessageLog): Holding {
  const [holding, setHolding] = useState<Holding>({ since: null, renewals: 0, reconnects: 0 });
  const before = useRef<LiveState>(live);
  const ready = useRef<string | null>(null);

  useEffect(() => {
    const what = happeningOf(before.current, live);
    before.current = live;
    if (what === null) return;
    note(log, what);
    if (what.what !== "ready" || live.connection === null) return;
    const isFirst = ready.current === null;
    ready.current = live.connection;
    setHolding(({ reconnects }) => ({
      since: Date.now(),
      renewals: 0,
      reconnects: reconnects + (isFirst ? 0 : 1),
    }));
  }, [live, log]);

  useEffect(() => {
    const renewed = (): void => {
      const { status } = before.current;
      if (status !== "ready" && status !== "due" && status !== "grace") return;
      const { expiresAt } = session.session.state;
      const seconds = expiresAt === null ? 0 : (expiresAt - Date.now()) / 1000;
      note(log, { what: status === "grace" ? "healed" : "renewed", seconds });
      setHolding((now) => ({ ...now, renewals: now.renewals + 1 }));
    };
    const stops = (["refreshed", "tab_sync", "signed_in"] as const).map((news) =>
      session.session.on(news, renewed),
    );
    return () => {
      for (const stop of stops) stop();
    };
  }, [session.session, log]);

  return holding;
}

/** What has happened between two moments of a connection; null if nothing that people care about. */
export function happeningOf(before: LiveState, now: LiveState): Happening | null {
  const was = isUp(before);
  if (isUp(now)) return whileUp(before, now, was);
  const why = { code: now.ending?.code ?? 1006, reason: now.ending?.reason ?? "" };
  if (now.status === "stopped" && before.status !== "stopped") return { what: "stopped", ...why };
  if (!was) return null;
  return { what: now.status === "parked" ? "parked" : "lost", ...why };
}

function whileUp(before: LiveState, now: LiveState, was: boolean): Happening | null {
  if (now.status === "grace" && before.status !== "grace") {
    return { what: "grace", seconds: now.graceEndsAt === null ? 0 : (now.graceEndsAt - Date.now()) / 1000 };
  }
  if (now.connection === null || (was && before.connection === now.connection)) return null;
  return { what: "ready", id: now.connection };
}

function isUp({ status }: LiveState): boolean {
  return status === "ready" || status === "due" || status === "grace";
}

/** Write down what has happened. */
export function note(log: MessageLog, what: Happening): void {
  log.add({ at: Date.now(), kind: "event", text: "", data: what, tone: TONES[what.what] });
}

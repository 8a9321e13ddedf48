/**
 * A session as its client sees it: when to refresh, what to make of the answer, when it is over.
 *
 *     signed_out --signedIn--> active --due--> refreshing --refreshed--> active
 *         |                      ^              ^   |   |
 *         +--resume--> refreshing|    time, wake|   |   +--failed--> degraded
 *                                |              +---|-------------------+
 *                      signedIn  +--- ended <-------+ refused
 *
 * Pure: events come in as calls with `now`, effects come out. After every call the driver sets one timer to
 * `wakeIn(now)` and calls `tick` when it fires. Tokens stay with the driver; the machine counts them (`token`), so
 * that a complaint about an older one starts nothing. conformance/session has its vectors.
 */

import {
  FINAL,
  LEAD,
  NEWER_BY,
  NEWER_BY_SHARE,
  RETRY_AFTER_MOST,
  SHORTEST_PAUSE,
  WAKE_PAUSE,
} from "./limits.js";
import { backoff, NEVER, refreshIn, wait } from "./timing.js";

/**
 * Where a session is.
 *
 * `degraded`: the last refresh failed for a reason that may pass; another will be tried. `ended`: the server said no,
 * so only a new sign-in helps; the page and what is on it may stay.
 */
export type Status = "signed_out" | "active" | "refreshing" | "degraded" | "ended";

/** What is announced to the app. */
export type News =
  | "signed_in"
  | "expiring"
  | "refreshed"
  | "degraded"
  | "recovered"
  | "reuse_detected"
  | "signed_out"
  | "tab_sync";

/** What an answer with tokens says of them; all in seconds. `age` is how old the answer is, give or take. */
export interface Grant {
  readonly session: string;
  readonly generation: number;
  readonly expires_in: number;
  readonly refresh_in: number | null;
  readonly age: number;
}

/** What came of a refresh that brought nothing; `code` is empty where the server gave none, `retryIn` is in seconds or 0. */
export interface Refusal {
  readonly code: string;
  readonly retryIn: number;
}

/**
 * What the driver has to do.
 *
 * `refresh`: ask for new tokens; answer with `refreshed` or `failed` and the same attempt.
 * `present_token`: show the token to every connection; with `confirm`, over HTTP when there is none.
 */
export type SessionEffect =
  | { readonly do: "refresh"; readonly attempt: number }
  | { readonly do: "present_token"; readonly confirm: boolean }
  | {
      readonly do: "announce";
      readonly what: News;
      readonly reason: string;
      readonly seconds: number | null;
    };

/** One session's state. `unit` arguments are numbers drawn from [0, 1), one a call. */
export class SessionMachine {
  /** What is to be done, in this order; the driver takes it from here after each call. */
  readonly effects: SessionEffect[] = [];
  status: Status = "signed_out";
  /** How many tokens there were; the newest has this number, 0 is none. */
  token = 0;
  /** The id of the session in hand; kept when it has ended, empty when nobody is signed in. */
  session = "";
  generation = 0;
  attempt = 0;
  /** Why the session is over, once it is. */
  reason = "";
  expiresAt = -NEVER;
  /** When the next refresh is to be; never while one is under way or none can be. */
  refreshAt = NEVER;
  /** The session that the person signed out of last. */
  #left: string | undefined;
  #holdUntil = -NEVER;
  #wakeFrom = NEVER;
  #failures = 0;
  #stale = 0;

  // What the driver asks

  /** In how many seconds to call `tick`; `NEVER` when nothing is waited for. */
  wakeIn(now: number): number {
    return wait(this.refreshAt, now);
  }

  /** Whether there is no session to speak of. */
  over(): boolean {
    return this.status === "signed_out" || this.status === "ended";
  }

  /** Whether the answer to this refresh is still waited for; ask before starting one late. */
  wants(attempt: number): boolean {
    return this.status === "refreshing" && attempt === this.attempt;
  }

  /** Whether this grant is from before the one in hand. */
  isOld(grant: Grant): boolean {
    return grant.session === this.session && grant.generation < this.generation;
  }

  // Events

  /** There may be a session from before, in a cookie. Find out by a refresh. */
  restore(): void {
    if (this.status === "signed_out") this.#refresh(0);
  }

  /** The person has signed in, for the first time or again. */
  signedIn(grant: Grant, now: number, unit: number): void {
    this.#take(grant, now, unit, "signed_in");
  }

  /** Time has passed. */
  tick(now: number): void {
    if (now >= this.refreshAt) this.#refresh(now);
  }

  /** The page is seen again, the machine has woken, the network is back. */
  wake(now: number): void {
    if (now >= Math.min(this.#wakeFrom, this.refreshAt)) this.#refresh(now);
  }

  /**
   * The server asks for a newer token: `auth.due`, `auth.grace`, 4003, or a 401 for token number `token` (0: the newest).
   *
   * That also cuts a backoff short, and starts it over: the grace of a connection is shorter than the longest pause.
   */
  due(now: number, token = 0): void {
    if (token && token < this.token) return;
    const from = this.status === "active" ? this.#holdUntil : this.#wakeFrom;
    this.#failures &&= 1;
    if (now >= from) this.#refresh(now);
    else this.refreshAt = Math.min(this.refreshAt, from);
  }

  /** The refresh brought tokens. */
  refreshed(attempt: number, grant: Grant, now: number, unit: number): void {
    if (!this.wants(attempt)) return;
    if (this.isOld(grant)) {
      // The cookie jar may hold the older answer's token now, so ask again.
      this.status = "active";
      this.refreshAt = this.#hold(now, unit);
      return;
    }
    const failures = this.#failures;
    const stale = this.#stale;
    const newer = this.#gain(grant, now) >= Math.min(NEWER_BY, NEWER_BY_SHARE * grant.expires_in);
    this.#take(grant, now, unit, this.session ? "refreshed" : "signed_in", true);
    if (failures) this.#tell("recovered");
    if (!newer) {
      this.#stale = stale;
      this.refreshAt = Math.max(this.refreshAt, this.#hold(now, unit));
    }
  }

  /**
   * The refresh was refused, or came to nothing.
   *
   * Only a final code ends the session: the others say nothing about it.
   */
  failed(attempt: number, { code, retryIn }: Refusal, now: number, unit: number): void {
    if (!this.wants(attempt)) return;
    if (FINAL.includes(code)) {
      if (code === "token_reused") this.#tell("reuse_detected");
      this.#end(this.session ? "ended" : "signed_out", code);
      return;
    }
    const asked = Math.min(retryIn, RETRY_AFTER_MOST);
    const pause = Math.max(backoff(this.#failures, unit), asked);
    this.status = "degraded";
    this.refreshAt = now + pause;
    this.#wakeFrom = now + Math.max(asked, WAKE_PAUSE);
    if (this.#failures++ === 0) this.#tell("degraded", "", pause);
  }

  /** Another tab has signed in or refreshed, and hands its token on. */
  adopted(grant: Grant, now: number, unit: number): void {
    // Another tab's refresh was on its way while the person signed out: that brings nobody back.
    if (grant.session === this.#left && grant.generation > 0) return;
    const known = grant.session === this.session;
    if (known && (this.isOld(grant) || this.#gain(grant, now) <= 0)) return;
    this.#take(grant, now, unit, "tab_sync");
  }

  /** The person has signed out, here or in another tab. */
  signedOut(reason = "signed_out"): void {
    if (this.status === "signed_out") return;
    this.#left = this.session;
    this.#end("signed_out", reason);
  }

  // What they share

  #tell(what: News, reason = "", seconds: number | null = null): void {
    this.effects.push({ do: "announce", what, reason, seconds });
  }

  #refresh(now: number): void {
    this.effects.push({ do: "refresh", attempt: ++this.attempt });
    if (this.status === "active") this.#tell("expiring", "", Math.max(0, this.expiresAt - now));
    this.status = "refreshing";
    this.refreshAt = this.#wakeFrom = NEVER;
  }

  #take(grant: Grant, now: number, unit: number, what: News, confirm = false): void {
    const dueIn = grant.refresh_in ?? refreshIn(grant.expires_in, LEAD, unit);
    this.#settle("active", "");
    this.token += 1;
    this.session = grant.session;
    this.generation = grant.generation;
    this.expiresAt = now + grant.expires_in - grant.age;
    this.refreshAt = now + Math.max(SHORTEST_PAUSE, Math.min(dueIn, grant.expires_in) - grant.age);
    this.effects.push({ do: "present_token", confirm });
    this.#tell(what);
  }

  #end(status: Status, reason: string): void {
    this.#settle(status, reason);
    this.#tell("signed_out", reason);
  }

  #settle(status: Status, reason: string): void {
    this.status = status;
    this.reason = reason;
    this.expiresAt = this.#holdUntil = -NEVER;
    this.refreshAt = this.#wakeFrom = NEVER;
    this.#failures = this.#stale = 0;
    if (status === "signed_out") this.session = "";
  }

  /** No refresh for a while: the last one brought nothing, and each in a row doubles the wait. */
  #hold(now: number, unit: number): number {
    this.#holdUntil = now + Math.max(SHORTEST_PAUSE, backoff(this.#stale++, unit));
    return this.#holdUntil;
  }

  /** How much later than the token in hand this one expires. */
  #gain(grant: Grant, now: number): number {
    return now + grant.expires_in - grant.age - this.expiresAt;
  }
}

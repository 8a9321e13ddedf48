/**
 * A live connection as its client sees it: when to open it, prove it, renew it, doubt it, and when to come back.
 *
 *     idle --connect--> connecting --opened--> proving --welcome--> ready <--auth.ok-- grace
 *                         ^    |                  |                 |  |                ^ |
 *                         |    +------------------+-----------------+--|--- auth.grace -+ |
 *       time, wake, token |    |        closed: by its action           +-----------------+
 *                         |    v
 *                         +- waiting --refused twice, or the session is over--> parked --a new token--> connecting
 *                              closed with `stop`, or by the app: stopped
 *
 * Pure, as `machine`. Its driver opens one socket at a time, and hears nothing more of one that it has closed: otherwise a
 * slow close of the last one would end the next. Tokens are numbered: the driver holds them. conformance/live has its
 * vectors, whose announcements are told by `phase`, `retryAt`, `graceEndsAt` and `ending` here.
 */

import {
  BACKOFF_MOST,
  BYE_PATIENCE,
  FINAL,
  OPEN_PATIENCE,
  PROBE_PATIENCE,
  PROOF_PATIENCE,
  passes,
  QUIET_INTERVALS,
  RETRY_AFTER_MOST,
  STEADY,
} from "./limits.js";
import {
  actionFor,
  type Ending,
  type Frames,
  OWN,
  type Received,
  type RequestId,
  SIGNED_IN_AS_ANOTHER,
  TOKEN_EXPIRED,
  TOKEN_INVALID,
} from "./protocol.js";
import { backoff, NEVER, wait } from "./timing.js";

/**
 * Where a connection is.
 *
 * `proving`: open, which is not ready. `grace`: the token has expired, nothing may be sent until a renewal. `waiting`: for
 * time to pass, or for a new token. `parked`: the session is over, or the server takes none of its tokens; a new sign-in
 * brings the connection back, and where the session lives, so does time.
 */
export type LivePhase =
  | "idle"
  | "connecting"
  | "proving"
  | "ready"
  | "grace"
  | "waiting"
  | "parked"
  | "stopped";

/** What HTTP answered instead of opening, if it did; `retryIn` is in seconds, 0 where it was not said. */
export interface Denial {
  readonly status: number;
  readonly code: string;
  readonly retryIn: number;
}

/** Something that was sent could not be used; `id` is that of the message, if it had one. */
export interface LiveProblem {
  readonly code: string;
  readonly message: string;
  readonly id: RequestId | null;
}

/**
 * What the driver has to do.
 *
 * `open`: take the session's token, after a refresh if one is due, and open a socket with it; answer with `opened`,
 * `denied`, `closed` or `over`. Waiting for the token is part of opening, so that a reconnect and a refresh after a sleep
 * do not race. `close`: close with 1000 and forget it. `send` this frame, `auth` with the session's newest token.
 * `ask_refresh`: tell the session that the `presented` token is not good enough (`due`); if it is over, answer `over`.
 */
export type LiveEffect =
  | { readonly do: "open" | "close" | "ask_refresh" }
  | {
      readonly do: "send";
      readonly type: "auth" | "ping" | "pong";
      readonly id: RequestId | null | undefined;
    }
  | { readonly do: "tell"; readonly what: "message"; readonly news: unknown }
  | { readonly do: "tell"; readonly what: "error"; readonly news: LiveProblem };

/** `told`: the action that the server has named. */
const ends = (
  code: number,
  reason: string | null | undefined,
  told?: unknown,
  retryAfterMs?: number | null,
): Ending => ({
  code,
  reason: reason ?? "",
  action: actionFor(code, reason, told),
  retryAfterMs: retryAfterMs ?? null,
});

/** What the server asked for, in seconds; one that asks for more than an hour is asked again all the same. */
const seconds = (milliseconds: number | null | undefined): number | null =>
  milliseconds == null ? null : Math.min(milliseconds / 1000, RETRY_AFTER_MOST);

/** One connection's state. `unit` arguments are numbers drawn from [0, 1), one a call. */
export class LiveMachine {
  /** What is to be done, in this order; the driver takes it from here after each call. */
  readonly effects: LiveEffect[] = [];
  phase: LivePhase = "idle";
  /** The newest token that the session has told of. */
  token = 0;
  /** The token that this socket has shown last. */
  presented = 0;
  /** What the present socket was greeted with: it is ready, or in its grace. */
  welcome: Frames["welcome"] | null = null;
  /** Whether the server has asked for a new token and has not got it. */
  due = false;
  graceEndsAt = NEVER;
  /** When it is tried again; never when it waits for a token. */
  retryAt = NEVER;
  /** Why the last socket was closed; null while connected. */
  ending: Ending | null = null;
  /** A wake tries again sooner, but not before this. */
  #wakeFrom = NEVER;
  #sessionOver = false;
  #welcomed = false;
  #attempts = 0;
  #refusals = 0;
  #requests = 0;
  #bye: Ending | null = null;
  #probe = "";
  #auth = "";
  #authFailures = 0;
  #authAt = NEVER;
  #limit = NEVER;
  #quietAt = NEVER;
  #steadyAt = NEVER;

  // What the driver asks

  /** Whether the app's messages may go out. */
  maySend(): boolean {
    return this.phase === "ready" && !this.#bye;
  }

  /** In how many seconds to call `tick`; `NEVER` when nothing is waited for. */
  wakeIn(now: number): number {
    return wait(Math.min(this.retryAt, this.#limit, this.#quietAt, this.#authAt), now);
  }

  // Events from the app and the session

  /** Open, and keep open. */
  connect(now: number): void {
    if (this.phase === "idle") this.#open(now);
  }

  /** The app is done with it. */
  close(): void {
    this.#rest("stopped");
  }

  /** The session has token number `token`; called for every new one. */
  refreshed(token: number, now: number): void {
    const isAwaited = this.phase === "waiting" && this.retryAt === NEVER;
    this.token = Math.max(this.token, token);
    this.#sessionOver = false;
    if (this.phase === "parked" && this.retryAt === NEVER) this.#attempts = 0;
    if (this.phase === "parked" || isAwaited) this.#open(now);
    else this.#present();
  }

  /** Somebody else has signed in: nothing more of the first is heard or said. `refreshed` follows. */
  userChanged(now: number): void {
    if (!this.#hasSocket()) return;
    this.ending = ends(4001, SIGNED_IN_AS_ANOTHER);
    this.#open(now);
  }

  /**
   * The session has ended: an open socket lives on until the server ends it, but nothing new is opened.
   *
   * `isLeft`: the person has signed out. Nobody waits for the server to say so: what is on the screen belongs to nobody now.
   */
  over(isLeft: boolean, now: number, unit: number): void {
    this.#sessionOver = true;
    if (["connecting", "waiting", "parked"].includes(this.phase)) this.#rest("parked");
    if (isLeft && this.#hasSocket())
      this.#end(this.#bye ?? ends(4001, "Session ended: signed out."), now, unit);
  }

  /** The page is seen again, the machine has woken, the network is back or gone. */
  wake(now: number): void {
    // A probe from before a sleep proves nothing: its answer may have had no chance.
    if (this.welcome && !this.#bye) {
      if (!this.#probe || now >= this.#limit) this.#ask(now);
    } else if (now >= this.#wakeFrom) this.#again(now);
  }

  /** Time has passed. */
  tick(now: number, unit: number): void {
    if (now >= this.#limit) this.#end(this.#bye ?? ends(1006, "no answer in time"), now, unit);
    else if (now >= this.retryAt) this.#again(now);
    else {
      if (now >= this.#authAt) this.#sendAuth();
      if (now < this.#quietAt) return;
      this.#quietAt = NEVER;
      if (!this.#probe && !this.#bye) this.#ask(now);
    }
  }

  // Events from the socket

  /** The socket is open, and token number `token` was in its handshake. */
  opened(token: number, now: number): void {
    if (this.phase !== "connecting") return;
    this.phase = "proving";
    this.#shown(token);
    this.#limit = now + PROOF_PATIENCE;
  }

  /** The handshake with token number `token`, or the ticket for it, was answered with a refusal over HTTP. */
  denied(token: number, answer: Denial, now: number, unit: number): void {
    if (!this.#hasSocket()) return;
    this.#shown(token);
    this.#ended(this.#endingOf(answer), now, unit);
  }

  /** The server sent a frame. */
  received(frame: Received, now: number, unit: number): void {
    if (!this.#hasSocket()) return;
    if (frame.type === "ping") this.effects.push({ do: "send", type: "pong", id: frame.id });
    else if (frame.type === "error") this.#errored(frame, now, unit);
    else if (frame.type === "bye") {
      const { code, reason, action, retry_after_ms } = frame;
      this.#bye = ends(code, reason, action, retry_after_ms);
      this.#probe = "";
      this.#limit = now + BYE_PATIENCE;
    } else if (this.welcome) this.#heard(frame, now);
    else if (frame.type === "welcome") this.#welcome(frame, now);
    if (this.welcome) this.#quietAt = now + QUIET_INTERVALS * this.welcome.ping_interval;
  }

  /** The socket is closed, or could not be opened (1006). */
  closed(code: number, reason: string, now: number, unit: number): void {
    if (!this.#hasSocket()) return;
    this.#ended(this.#bye ?? ends(code, reason), now, unit);
  }

  // Frames

  #welcome(frame: Frames["welcome"], now: number): void {
    this.phase = "ready";
    this.welcome = frame;
    this.ending = null;
    this.#welcomed = true;
    this.#refusals = 0;
    this.#limit = NEVER;
    this.#steadyAt = now + STEADY;
    this.#present();
  }

  #heard(frame: Received, now: number): void {
    if (frame.type === "message") {
      this.effects.push({ do: "tell", what: "message", news: frame.data });
    } else if (frame.type === "pong" && frame.id === this.#probe) {
      this.#probe = "";
      this.#limit = NEVER;
    } else if (frame.type === "auth.due") {
      this.#renew();
    } else if (frame.type === "auth.grace") {
      this.phase = "grace";
      this.graceEndsAt = now + frame.grace_left;
      this.#renew();
    } else if (frame.type === "auth.ok") {
      this.phase = "ready";
      this.#renewed();
      if (frame.id === this.#auth) this.#auth = "";
    }
  }

  #errored({ id, code, message, retry_after_ms }: Frames["error"], now: number, unit: number): void {
    if (!`${id}`.startsWith(OWN)) {
      const news = { code, message: message ?? "", id: id ?? null };
      this.effects.push({ do: "tell", what: "error", news });
    } else if (id === this.#auth) {
      this.#auth = "";
      if (code === "token_expired" || code === "invalid_token") this.#askRefresh();
      if (code === "try_later") {
        this.#authAt = now + (seconds(retry_after_ms) ?? backoff(this.#authFailures, unit));
        this.#authFailures += 1;
      }
    }
  }

  /** The server wants a newer token: show it if there is one, or have it fetched. */
  #renew(): void {
    this.due = true;
    if (this.#sessionOver) return;
    if (this.token > this.presented) this.#present();
    else this.#askRefresh();
  }

  #askRefresh(): void {
    this.effects.push({ do: "ask_refresh" });
  }

  #present(): void {
    if (this.welcome && !this.#bye && this.token > this.presented) this.#sendAuth();
  }

  #sendAuth(): void {
    this.presented = this.token;
    this.#authAt = NEVER;
    this.#auth = this.#request("auth");
  }

  #ask(now: number): void {
    this.#probe = this.#request("ping");
    this.#limit = now + PROBE_PATIENCE;
    this.#quietAt = NEVER;
  }

  #request(type: "auth" | "ping"): string {
    const id = OWN + ++this.#requests;
    this.effects.push({ do: "send", type, id });
    return id;
  }

  // Beginnings and ends

  #open(now: number): void {
    this.#rest("connecting");
    this.#limit = now + OPEN_PATIENCE;
    this.effects.push({ do: "open" });
  }

  /** What was waited for between two tries is over. */
  #again(now: number): void {
    if (this.phase === "waiting" || this.token > this.presented) {
      this.#open(now);
    } else {
      // Its token was refused, so it needs another one.
      this.#rest("waiting");
      this.#askRefresh();
    }
  }

  /** The socket is gone. */
  #ended(ending: Ending, now: number, unit: number): void {
    this.phase = "waiting";
    this.#end(ending, now, unit);
  }

  #end(ending: Ending, now: number, unit: number): void {
    this.ending = ending;
    if (now >= this.#steadyAt) this.#attempts = 0;
    if (ending.action === "stop") this.#rest("stopped");
    else if (this.#sessionOver) this.#rest("parked");
    else this.#comeBack(ending, now, unit);
  }

  #comeBack({ action, retryAfterMs }: Ending, now: number, unit: number): void {
    // A refresh went well and its token was refused as well: a new sign-in may help, or time where the server is at fault.
    const isAtLoss = action === "relogin" && this.#refusals > 0;
    const isRefused = action !== "reconnect" && !isAtLoss;
    // There is a newer token, or one that was on its way when the end came: try that first.
    const isRenewed = this.token > this.presented || this.#auth !== "";
    const told = seconds(retryAfterMs);
    const drawn = backoff(this.#attempts, unit);
    // The server has spread its clients already; only one that keeps failing waits longer than told.
    const pause = this.#attempts > 0 || told === null ? Math.max(drawn, told ?? 0) : told;
    this.#attempts += 1;
    this.#rest(isAtLoss ? "parked" : "waiting");
    if (isRefused) this.#refusals += 1;
    if (isRefused && !isRenewed) {
      this.#askRefresh();
    } else {
      this.retryAt = now + pause;
      this.#wakeFrom = now + Math.min(told ?? 0, BACKOFF_MOST);
    }
  }

  #endingOf({ status, code, retryIn }: Denial): Ending {
    if (status < 400) return ends(1006, "");
    if (code === "token_expired") return ends(4003, TOKEN_EXPIRED);
    if (FINAL.includes(code)) return ends(4003, TOKEN_INVALID);
    // Any other 401 is a proxy's. A path that was there before is there again when the deployment is through.
    const action = passes(status) || this.#welcomed ? "reconnect" : "stop";
    const reason = `the handshake was answered with HTTP ${status}`;
    return ends(status, reason, action, retryIn ? retryIn * 1000 : null);
  }

  #shown(token: number): void {
    this.presented = token;
    this.token = Math.max(this.token, token);
  }

  #rest(phase: LivePhase): void {
    if (this.#hasSocket()) this.effects.push({ do: "close" });
    this.phase = phase;
    this.welcome = this.#bye = null;
    this.retryAt = this.#wakeFrom = this.#limit = this.#quietAt = this.#steadyAt = NEVER;
    this.#probe = this.#auth = "";
    this.#renewed();
  }

  #renewed(): void {
    this.due = false;
    this.graceEndsAt = this.#authAt = NEVER;
    this.#authFailures = 0;
  }

  #hasSocket(): boolean {
    return ["connecting", "proving", "ready", "grace"].includes(this.phase);
  }
}

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
 * Pure, as `machine`. Sockets are numbered, and what an older one still says is not heard: otherwise a slow close of
 * the last one would end the next. Tokens are numbered too: the driver holds them. conformance/live has its vectors.
 */

import {
  BACKOFF_MOST,
  BYE_PATIENCE,
  FINAL,
  OPEN_PATIENCE,
  PROBE_PATIENCE,
  PROOF_PATIENCE,
  QUIET_INTERVALS,
  RETRY_AFTER_MOST,
  STEADY,
} from "./limits.js";
import {
  type Action,
  actionFor,
  type Ending,
  type ErrorFrame,
  OWN,
  type Received,
  type RequestId,
  SIGNED_IN_AS_ANOTHER,
  TOKEN_EXPIRED,
  TOKEN_INVALID,
  type Welcome,
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

/** What is announced to the app. */
export type LiveNews = "ready" | "grace" | "healed" | "lost" | "parked" | "stopped" | "error";

/** What HTTP answered instead of opening; `retryAfter` is in seconds. */
export interface Denial {
  readonly status: number;
  readonly code: string;
  readonly retryAfter: number | null;
}

/**
 * What the driver has to do.
 *
 * `open`: take the session's token, after a refresh if one is due, and open socket number `socket` with it; answer with
 * `opened`, `denied`, `closed` or `sessionOver`. Waiting for the token is part of opening, so that a reconnect and a
 * refresh after a sleep do not race. `close`: close with 1000 and forget it. `ask_refresh`: tell the session that token
 * number `token` is not good enough (`due`); if it is over, answer `sessionOver`.
 */
export type LiveEffect =
  | { readonly do: "open" | "close"; readonly socket: number }
  | { readonly do: "send_auth" | "send_ping"; readonly socket: number; readonly id: string }
  | { readonly do: "send_pong"; readonly socket: number; readonly id: RequestId | null }
  | { readonly do: "deliver"; readonly data: unknown }
  | { readonly do: "ask_refresh"; readonly token: number }
  | LiveAnnouncement;

/** `code` is a close code, or an error frame's code. */
export interface LiveAnnouncement {
  readonly do: "announce";
  readonly what: LiveNews;
  readonly code: RequestId | null;
  readonly reason: string;
  readonly seconds: number | null;
  readonly id: RequestId | null;
}

const tell = (
  what: LiveNews,
  code: RequestId | null = null,
  reason = "",
  seconds: number | null = null,
  id: RequestId | null = null,
): LiveEffect => ({ do: "announce", what, code, reason, seconds, id });

const ends = (code: number, reason: string, action: Action = actionFor(code, reason)): Ending => ({
  code,
  reason,
  action,
  retryAfterMs: null,
});

/** What the server asked for, in seconds; one that asks for more than an hour is asked again all the same. */
const seconds = (milliseconds: number | null): number | null =>
  milliseconds === null ? null : Math.min(milliseconds / 1000, RETRY_AFTER_MOST);

/** One connection's state. `unit` arguments are numbers drawn from [0, 1), one a call. */
export class LiveMachine {
  phase: LivePhase = "idle";
  socket = 0;
  /** The newest token that the session has told of. */
  token = 0;
  /** The token that this socket has shown last. */
  presented = 0;
  /** What the present socket was greeted with. */
  welcome: Welcome | null = null;
  /** When it is tried again; never when it waits for a token. */
  until = NEVER;
  /** Why the last socket was closed. */
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
    return this.phase === "ready";
  }

  /** In how many seconds to call `tick`; null when nothing is waited for. */
  wakeIn(now: number): number | null {
    return wait(Math.min(this.until, this.#limit, this.#quietAt, this.#authAt), now);
  }

  // Events from the app and the session

  /** Open, and keep open. */
  connect(now: number): LiveEffect[] {
    return this.phase === "idle" ? this.#open(now) : [];
  }

  /** The app is done with it. */
  close(): LiveEffect[] {
    if (this.phase === "stopped") return [];
    const close = this.#closing();
    this.#rest("stopped");
    return [...close, tell("stopped", null, "closed by the app")];
  }

  /** The session has token number `token`; called for every new one. */
  tokenAvailable(token: number, now: number): LiveEffect[] {
    this.token = Math.max(this.token, token);
    this.#sessionOver = false;
    if (this.phase === "ready" || this.phase === "grace") return this.#present();
    if (this.phase === "parked") {
      if (this.until === NEVER) this.#attempts = 0;
      return this.#open(now);
    }
    return this.phase === "waiting" && this.until === NEVER ? this.#open(now) : [];
  }

  /** Somebody else has signed in: nothing more of the first is heard or said. `tokenAvailable` follows. */
  userChanged(now: number): LiveEffect[] {
    if (!this.#hasSocket()) return [];
    const close = this.#closing();
    this.ending = ends(4001, SIGNED_IN_AS_ANOTHER);
    return [...close, tell("lost", 4001, SIGNED_IN_AS_ANOTHER), ...this.#open(now)];
  }

  /** The session has ended: an open socket lives on until the server ends it, but nothing new is opened. */
  sessionOver(reason: string): LiveEffect[] {
    this.#sessionOver = true;
    if (this.phase === "connecting") return [...this.#closing(), ...this.#park(null, reason)];
    if (this.phase !== "waiting") {
      this.until = this.#wakeFrom = NEVER;
      return [];
    }
    // The ending that a new token was to mend says more than that there will be none.
    const cause = this.until === NEVER ? this.ending : null;
    return cause === null ? this.#park(null, reason) : this.#park(cause.code, cause.reason);
  }

  /** The page is seen again, the machine has woken, the network is back or gone. */
  wake(now: number): LiveEffect[] {
    if ((this.phase === "ready" || this.phase === "grace") && this.#bye === null) {
      // A probe from before a sleep proves nothing: its answer may have had no chance.
      return this.#probe !== "" && now < this.#limit ? [] : this.#ask(now);
    }
    return now >= this.#wakeFrom ? this.#again(now) : [];
  }

  /** Time has passed. */
  tick(now: number, unit: number): LiveEffect[] {
    if (now >= this.#limit) return this.#giveUp(now, unit);
    if (now >= this.until) return this.#again(now);
    const effects: LiveEffect[] = [];
    if (now >= this.#authAt) effects.push(...this.#sendAuth());
    if (now >= this.#quietAt) {
      this.#quietAt = NEVER;
      if (this.#probe === "" && this.#bye === null) effects.push(...this.#ask(now));
    }
    return effects;
  }

  // Events from the socket

  /** The socket is open, and token number `token` was in its handshake. */
  opened(socket: number, token: number, now: number): LiveEffect[] {
    if (!this.#isOpening(socket)) return [];
    this.phase = "proving";
    this.#shown(token);
    this.#limit = now + PROOF_PATIENCE;
    return [];
  }

  /** The handshake with token number `token`, or the ticket for it, was answered with a refusal over HTTP. */
  denied(socket: number, token: number, answer: Denial, now: number, unit: number): LiveEffect[] {
    if (!this.#isOpening(socket)) return [];
    this.#shown(token);
    return this.#end(this.#endingOf(answer), now, unit);
  }

  /** The server sent a frame. */
  received(socket: number, frame: Received, now: number, unit: number): LiveEffect[] {
    if (socket !== this.socket || !this.#isOpen()) return [];
    if (this.welcome !== null) this.#quietAt = now + QUIET_INTERVALS * this.welcome.pingInterval;
    if (frame.kind === "ping") return [{ do: "send_pong", socket, id: frame.id }];
    if (frame.kind === "bye") {
      this.#bye = frame.ending;
      this.#probe = "";
      this.#limit = now + BYE_PATIENCE;
      return [];
    }
    return this.phase === "proving" ? this.#proving(frame, now) : this.#received(frame, now, unit);
  }

  /** The socket is closed, or could not be opened (1006). */
  closed(socket: number, code: number, reason: string, now: number, unit: number): LiveEffect[] {
    if (socket !== this.socket || !this.#hasSocket()) return [];
    return this.#end(this.#bye ?? ends(code, reason), now, unit);
  }

  // Frames

  #proving(frame: Received, now: number): LiveEffect[] {
    if (frame.kind === "error") return [tell("error", frame.code, frame.message, null, frame.id)];
    if (frame.kind !== "welcome") return [];
    this.phase = "ready";
    this.welcome = frame;
    this.#welcomed = true;
    this.#refusals = 0;
    this.#limit = NEVER;
    this.#steadyAt = now + STEADY;
    this.#quietAt = now + QUIET_INTERVALS * frame.pingInterval;
    return [tell("ready"), ...this.#present()];
  }

  #received(frame: Received, now: number, unit: number): LiveEffect[] {
    switch (frame.kind) {
      case "message":
        return [{ do: "deliver", data: frame.data }];
      case "pong":
        if (this.#probe !== "" && frame.id === this.#probe) {
          this.#probe = "";
          this.#limit = NEVER;
        }
        return [];
      case "auth.due":
        return this.#renew();
      case "auth.grace":
        this.phase = "grace";
        return [tell("grace", null, "", frame.graceLeft), ...this.#renew()];
      case "auth.ok":
        return this.#renewed(frame.id);
      case "error":
        return this.#errored(frame, now, unit);
      default:
        return [];
    }
  }

  #renewed(id: RequestId | null): LiveEffect[] {
    if (id === this.#auth) this.#auth = "";
    this.#authAt = NEVER;
    this.#authFailures = 0;
    if (this.phase !== "grace") return [];
    this.phase = "ready";
    return [tell("healed")];
  }

  #errored(frame: ErrorFrame, now: number, unit: number): LiveEffect[] {
    if (typeof frame.id !== "string" || !frame.id.startsWith(OWN)) {
      return [tell("error", frame.code, frame.message, null, frame.id)];
    }
    if (frame.id !== this.#auth) return [];
    this.#auth = "";
    if (frame.code === "token_expired" || frame.code === "invalid_token") {
      return [{ do: "ask_refresh", token: this.presented }];
    }
    if (frame.code === "try_later") {
      this.#authAt = now + (seconds(frame.retryAfterMs) ?? backoff(this.#authFailures, unit));
      this.#authFailures += 1;
    }
    return [];
  }

  /** The server wants a newer token: show it if there is one, or have it fetched. */
  #renew(): LiveEffect[] {
    if (this.#sessionOver) return [];
    return this.token > this.presented ? this.#present() : [{ do: "ask_refresh", token: this.presented }];
  }

  #present(): LiveEffect[] {
    return this.token > this.presented && this.#bye === null ? this.#sendAuth() : [];
  }

  #sendAuth(): LiveEffect[] {
    this.presented = this.token;
    this.#authAt = NEVER;
    this.#auth = this.#request();
    return [{ do: "send_auth", socket: this.socket, id: this.#auth }];
  }

  #ask(now: number): LiveEffect[] {
    this.#probe = this.#request();
    this.#limit = now + PROBE_PATIENCE;
    this.#quietAt = NEVER;
    return [{ do: "send_ping", socket: this.socket, id: this.#probe }];
  }

  #request(): string {
    this.#requests += 1;
    return OWN + this.#requests;
  }

  // Beginnings and ends

  #open(now: number): LiveEffect[] {
    this.#rest("connecting");
    this.socket += 1;
    this.#limit = now + OPEN_PATIENCE;
    return [{ do: "open", socket: this.socket }];
  }

  /** What was waited for between two tries is over. */
  #again(now: number): LiveEffect[] {
    if (this.phase === "waiting" || this.token > this.presented) return this.#open(now);
    // Its token was refused, so it needs another one.
    this.#rest("waiting");
    return [{ do: "ask_refresh", token: this.presented }];
  }

  /** What was waited for has not come: the socket is as good as dead. */
  #giveUp(now: number, unit: number): LiveEffect[] {
    const ending = this.#bye ?? ends(1006, "no answer in time");
    return [{ do: "close", socket: this.socket }, ...this.#end(ending, now, unit)];
  }

  #end(ending: Ending, now: number, unit: number): LiveEffect[] {
    const { code, reason, action } = ending;
    this.ending = ending;
    if (now >= this.#steadyAt) this.#attempts = 0;
    if (action === "stop") {
      this.#rest("stopped");
      return [tell("stopped", code, reason)];
    }
    if (this.#sessionOver) return this.#park(code, reason);
    if (action === "reconnect") return this.#wait(ending, now, unit);
    // A refresh went well and its token was refused as well: a new sign-in may help, or time where the server is at fault.
    if (action === "relogin" && this.#refusals > 0) {
      const pause = backoff(this.#attempts++, unit);
      const told = this.#park(code, reason, pause);
      this.until = now + pause;
      this.#wakeFrom = now;
      return told;
    }
    this.#refusals += 1;
    // There is a newer token, or one that was on its way when the end came: try that first.
    if (this.token > this.presented || this.#auth !== "") return this.#wait(ending, now, unit);
    this.#attempts += 1;
    this.#rest("waiting");
    return [tell("lost", code, reason), { do: "ask_refresh", token: this.presented }];
  }

  #wait(ending: Ending, now: number, unit: number): LiveEffect[] {
    const told = seconds(ending.retryAfterMs);
    let pause = backoff(this.#attempts, unit);
    // The server has spread its clients already; only one that keeps failing waits longer than told.
    if (told !== null) pause = this.#attempts === 0 ? told : Math.max(pause, told);
    this.#attempts += 1;
    this.#rest("waiting");
    this.until = now + pause;
    this.#wakeFrom = now + Math.min(told ?? 0, BACKOFF_MOST);
    return [tell("lost", ending.code, ending.reason, pause)];
  }

  #park(code: number | null, reason: string, pause: number | null = null): LiveEffect[] {
    this.#rest("parked");
    return [tell("parked", code, reason, pause)];
  }

  #endingOf({ status, code, retryAfter }: Denial): Ending {
    if (status === 401 && code === "token_expired") return ends(4003, TOKEN_EXPIRED);
    if (status === 401 && FINAL.includes(code)) return ends(4003, TOKEN_INVALID);
    // Any other 401 is a proxy's, and says nothing about the token.
    const passing = status < 400 || status >= 500 || [401, 408, 425, 429].includes(status);
    // A path that was there before is there again when the deployment is through.
    const action = passing || this.#welcomed ? "reconnect" : "stop";
    const retryAfterMs = retryAfter === null ? null : Math.round(retryAfter * 1000);
    return { code: status, reason: `the handshake was answered with HTTP ${status}`, action, retryAfterMs };
  }

  #shown(token: number): void {
    this.presented = token;
    this.token = Math.max(this.token, token);
  }

  #rest(phase: LivePhase): void {
    this.phase = phase;
    this.welcome = this.#bye = null;
    this.until = this.#wakeFrom = this.#authAt = this.#limit = this.#quietAt = this.#steadyAt = NEVER;
    this.#probe = this.#auth = "";
    this.#authFailures = 0;
  }

  #closing(): LiveEffect[] {
    return this.#hasSocket() ? [{ do: "close", socket: this.socket }] : [];
  }

  #isOpening(socket: number): boolean {
    return socket === this.socket && this.phase === "connecting";
  }

  #hasSocket(): boolean {
    return this.phase === "connecting" || this.#isOpen();
  }

  #isOpen(): boolean {
    return this.phase === "proving" || this.phase === "ready" || this.phase === "grace";
  }
}

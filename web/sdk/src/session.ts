/** What an app does with its session. */

import { type Body, codeOf, type Reply, type User } from "./answers.js";
import {
  ask,
  askTicket,
  authorized,
  credential,
  type Driver,
  endOf,
  obtain,
  resolve,
  run,
  type SessionEvents,
  type SessionState,
  settled,
  signOut,
  start,
  tokenOf,
  until,
} from "./driver.js";
import { HoldfastError } from "./errors.js";
import { listen } from "./events.js";
import { passes, RETRY_AFTER_MOST } from "./limits.js";
import { backoff, NEVER } from "./timing.js";

export interface SessionOptions {
  /** Where the server is, a path included if it has one; the page's own origin by default. */
  readonly url?: string | undefined;
}

/** One of the user's sessions, on this device or another, as the server tells of it; times are seconds since 1970. */
export interface Device {
  readonly id: string;
  /** Whether it is this one. */
  readonly current: boolean;
  readonly client: "browser" | "program";
  readonly created_at: number;
  readonly last_seen_at: number;
  readonly idle_expires_at: number;
  readonly absolute_expires_at: number;
  readonly address: string | null;
  readonly user_agent: string | null;
}

/** What ends a wait. */
export interface Waiting {
  readonly signal?: AbortSignal | undefined;
}

/** Made by `createSession`. Its functions may be passed around on their own. */
export interface Session {
  /** The session at this moment; the same object until something changes. */
  readonly state: SessionState;

  /** Listen to one kind of event, or to every change (`state`); the answer stops it. */
  readonly on: <Name extends keyof SessionEvents>(
    name: Name,
    listener: (event: SessionEvents[Name]) => void,
  ) => () => void;

  /**
   * Find the session of before, when the page is loaded: one refresh by the cookie.
   *
   * Quietly `signed_out` if there is none. `degraded` if the server could not be asked: that goes on by itself.
   */
  readonly restore: () => Promise<SessionState>;

  /** Sign in, for the first time, again, or as somebody else; throws with `bad_credentials`, `throttled`, … */
  readonly login: (name: string, password: string) => Promise<User | null>;

  /**
   * Sign out in all tabs, or on all devices.
   *
   * Here it takes effect at once, whatever the network does; throws if the server could not be told, and may be called
   * again then. With `everywhere` nothing changes until the server has agreed.
   */
  readonly logout: (options?: { readonly everywhere?: boolean }) => Promise<void>;

  /** Refresh now: a new token, as soon as there can be one; throws when that fails or the session is over. */
  readonly refreshToken: () => Promise<string>;

  /**
   * A token to use now; one that is due is refreshed first.
   *
   * Waits while the server cannot be reached, as nothing can be done without a token; `signal` ends the wait. Throws
   * when nobody is signed in.
   */
  readonly getToken: (options?: Waiting) => Promise<string>;

  /**
   * `fetch` with the token; on a 401 the token is refreshed and the request sent once more.
   *
   * A path, from a slash on, is one on the session's server. The token goes nowhere else: other origins are refused.
   */
  readonly fetch: (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

  /**
   * The URL of a WebSocket with a ticket in it: good once, for 30 seconds. Get a new one for each connection.
   *
   * Keeps trying while the server cannot be reached; `signal` ends that. Throws when nobody is signed in.
   */
  readonly ticketUrl: (path: string, options?: Waiting) => Promise<string>;

  /** The user's sessions on all devices. */
  readonly sessions: () => Promise<readonly Device[]>;

  /** End one of them; if it is this one, as `logout`. */
  readonly endSession: (id: string) => Promise<void>;

  /** Stop everything here: timers, listeners, connections. The session itself lives on in its cookie. */
  readonly destroy: () => void;
}

export function sessionOf(driver: Driver): Session {
  const { machine } = driver;
  const call = async (method: string, path: string): Promise<Body> =>
    expectDone(await authorized(driver, (token) => ask(driver, path, { method, token })));

  return {
    get state() {
      return driver.state;
    },

    on: (name, listener) => listen(driver, name, listener),

    async restore() {
      run(driver, () => machine.restore());
      await settled(driver);
      return driver.state;
    },

    async login(username, password) {
      const body = new URLSearchParams({ username, password });
      const answer = await obtain(driver, () => ask(driver, "/token", { body }));
      const { grant } = answer;
      if (!grant) throw failure(answer);
      run(driver, (_machine, at, unit) => machine.signedIn(grant, at, unit), answer);
      return answer.user;
    },

    async logout({ everywhere = false } = {}) {
      const { token } = driver;
      if (everywhere) await call("POST", "/auth/logout-everywhere");
      signOut(driver);
      if (everywhere) return;
      const answer = ask(driver, "/auth/logout", { token, keepalive: true });
      // It takes the cookie away, so whoever signs in next waits for it; it itself waits for nobody.
      void start(driver).turn(() => answer);
      expectDone(await answer);
    },

    async refreshToken() {
      const { token } = machine;
      run(driver, (_machine, at) => machine.due(at));
      // Soon after a refresh that brought nothing newer there is none at once.
      await until(driver, () => machine.token > token || machine.over() || machine.status === "degraded");
      if (machine.status === "degraded") throw new HoldfastError("unreachable");
      return tokenOf(driver);
    },

    getToken: ({ signal } = {}) => credential(driver, signal),

    fetch: (input, init) => fetchFor(driver, input, init),

    ticketUrl: (path, { signal } = {}) => newTicketUrl(driver, path, signal),

    async sessions() {
      return (await call("GET", "/auth/sessions"))["sessions"] as Device[];
    },

    async endSession(id) {
      await call("DELETE", `/auth/sessions/${encodeURIComponent(id)}`);
      if (id === machine.session) signOut(driver);
    },

    destroy() {
      driver.life.abort(new HoldfastError("destroyed"));
      driver.alarm(NEVER);
      driver.tabs?.close();
    },
  };
}

async function fetchFor(
  driver: Driver,
  input: string | URL | Request,
  init?: RequestInit,
): Promise<Response> {
  const request = new Request(`${input}`.startsWith("/") ? resolve(driver, `${input}`) : input, init);
  const { origin } = resolve(driver, "");
  if (!request.url.startsWith(`${origin}/`)) throw new HoldfastError("foreign_origin");
  const send = (token: string): Promise<Response> => {
    // The body can be read once, and may have to be sent twice.
    const copy = request.clone();
    copy.headers.set("Authorization", `Bearer ${token}`);
    return fetch(copy);
  };
  return await authorized(driver, send, request.signal);
}

async function newTicketUrl(driver: Driver, path: string, signal: AbortSignal | undefined): Promise<string> {
  for (let failures = 0; ; failures++) {
    const ticket = await askTicket(driver, path, signal);
    if (ticket.url) return ticket.url;
    const { status, code, retryIn } = ticket;
    if (code || !passes(status)) throw failure(ticket);
    await pause(driver, Math.min(retryIn || backoff(failures, Math.random()), RETRY_AFTER_MOST), signal);
  }
}

/** The answer as an error. */
function failure({ body, retryIn }: Reply): HoldfastError {
  return new HoldfastError(codeOf(body) || "unreachable", body["message"], retryIn);
}

/** The body of a good answer; any other is thrown. */
function expectDone(reply: Reply): Body {
  if (reply.ok) return reply.body;
  throw failure(reply);
}

/** Wait so long, or until `signal` ends. */
const pause = (driver: Driver, seconds: number, signal?: AbortSignal): Promise<unknown> =>
  new Promise((done) => {
    setTimeout(done, seconds * 1000);
    endOf(driver, signal).addEventListener("abort", done);
  });

/**
 * Does what the session machine says, with the browser's timers, tabs and network.
 *
 * Functions over one record, so that a bundler leaves out what an app does not use. The record holds the access token,
 * in memory alone, and only `refresh` here ever asks for another.
 */

import { alarm } from "./alarm.js";
import { type Answer, type Body, judge, NOTHING, type User } from "./answers.js";
import { HoldfastError } from "./errors.js";
import { emit, publish, type Stateful, stateful } from "./events.js";
import { REQUEST_MS } from "./limits.js";
import { type News, type SessionEffect, SessionMachine, type Status } from "./machine.js";
import { joinTabs, type Tabs } from "./tabs.js";
import { createClock, NEVER } from "./timing.js";

/** One moment of a session: a new object whenever something has changed, and only then. */
export interface SessionState {
  readonly status: Status;
  /** Who is signed in; who was, while `status` is `ended`. */
  readonly user: User | null;
  /** Why there is no session any more: `signed_out`, `session_ended`, `token_reused`, …; else empty. */
  readonly reason: string;
  /** When the token expires, for display: by this machine's own `Date.now()`. */
  readonly expiresAt: number | null;
  /** When the next refresh is to be, likewise; null while one is under way. */
  readonly refreshAt: number | null;
}

/** What happened. `seconds` is how long the token has left (`expiring`), or until the next try (`degraded`). */
export interface SessionEvent {
  readonly what: News;
  readonly state: SessionState;
  readonly reason: string;
  readonly seconds: number | null;
}

export type SessionEvents = { readonly [Name in News]: SessionEvent } & { readonly state: SessionState };

/** What goes on inside, for connections. */
interface Signals {
  /** The page is seen again, the machine has woken, the network is back or gone. */
  readonly wake: null;
}

/** One session at work. */
export interface Driver extends Stateful<SessionEvents & Signals> {
  readonly url: string;
  readonly machine: SessionMachine;
  readonly clock: (wall: number, mono: number) => number;
  readonly life: AbortController;
  readonly alarm: (seconds: number) => void;
  tabs: Tabs | null;
  /** The newest token, good or not. */
  token: string | null;
  user: User | null;
  /** The number of the newest token that a connection has shown to the server. */
  shown: number;
}

export function createDriver(url = "/"): Driver {
  const driver: Driver = Object.assign(stateful<SessionEvents & Signals>(), {
    url,
    machine: new SessionMachine(),
    clock: createClock(),
    life: new AbortController(),
    alarm: alarm(() => run(driver, (machine, at) => machine.tick(at))),
    tabs: null,
    token: null,
    user: null,
    shown: 0,
  });
  publishState(driver);
  return driver;
}

/** Let something happen, and do what comes of it; `answer` is what the machine may take tokens from. */
export function run(
  driver: Driver,
  happening: (machine: SessionMachine, at: number, unit: number) => void,
  answer?: Answer,
): void {
  if (driver.life.signal.aborted) return;
  const { machine } = driver;
  const { token } = machine;
  const at = now(driver);
  happening(machine, at, Math.random());
  const effects = machine.effects.splice(0);
  if (answer && machine.token > token) {
    driver.token = answer.token;
    driver.user = answer.user;
  }
  if (machine.over()) driver.token = null;
  if (machine.status === "signed_out") driver.user = null;
  driver.alarm(machine.wakeIn(at));
  publishState(driver);
  for (const effect of effects) perform(driver, effect);
}

/** The time for machines, in seconds. */
export const now = ({ clock }: Driver): number => clock(Date.now() / 1000, performance.now() / 1000);

/** A machine's moment as `Date.now()` will tell it, if nobody sets that clock. */
export const dateOf = (driver: Driver, moment: number): number | null =>
  Math.abs(moment) < NEVER ? Date.now() + (moment - now(driver)) * 1000 : null;

/** Nothing is done before the first use, so that a session may be made anywhere, on a server too. */
export function start(driver: Driver): Tabs {
  if (!driver.tabs) {
    driver.tabs = joinTabs(
      `holdfast:${resolve(driver, "/")}`,
      (answer, grant) => run(driver, (machine, at, unit) => machine.adopted(grant, at, unit), answer),
      (session) => run(driver, (machine) => session === machine.session && machine.signedOut()),
    );
    const wake = (): void => {
      run(driver, (machine, at) => machine.wake(at));
      emit(driver, "wake", null);
    };
    // Some of these come when nothing was asleep; looking at the clocks once more does no harm.
    for (const name of ["focus", "offline", "online", "pageshow", "visibilitychange"]) {
      globalThis.addEventListener?.(name, wake, driver.life);
    }
    globalThis.document?.addEventListener("resume", wake, driver.life);
  }
  return driver.tabs;
}

/** Sign out here and in the other tabs. */
export function signOut(driver: Driver): void {
  const { session } = driver.machine;
  run(driver, (machine) => machine.signedOut());
  start(driver).signedOut(session);
}

// The server

/** A path on the server; whatever it looks like, it leads nowhere else. */
export function resolve({ url }: Driver, path: string): URL {
  const base = new URL(url.replace(/\/*$/, "/"), globalThis.location?.href);
  return new URL(path.replace(/^\/?/, "./"), base);
}

/** `keepalive`: let it arrive even if the page is left meanwhile. */
export interface Call extends Pick<RequestInit, "method" | "body" | "keepalive"> {
  readonly token?: string | null;
  readonly signal?: AbortSignal | undefined;
}

/** One request; status 0 when it came to nothing. Never throws. */
export async function ask(
  driver: Driver,
  path: string,
  { token, signal, ...init }: Call = {},
): Promise<Answer> {
  const sent = now(driver);
  let reply = NOTHING;
  try {
    const response = await fetch(resolve(driver, path), {
      method: "POST",
      headers: { "X-Holdfast": "1", ...(token && { Authorization: `Bearer ${token}` }) },
      credentials: "include",
      signal: AbortSignal.any([endOf(driver, signal), AbortSignal.timeout(REQUEST_MS)]),
      ...init,
    });
    reply = {
      ok: response.ok,
      status: response.status,
      // Of another kind than an object it has none of the fields that are looked for.
      body: Object(await response.json().catch(() => null)) as Body,
      // A date is left out, for it would be compared with a clock that may be wrong.
      retryIn: Number(response.headers.get("Retry-After")) || 0,
      seconds: now(driver) - sent,
    };
  } catch {}
  return judge(reply);
}

/** Ask for tokens when it is our turn with the cookie, and tell the other tabs before it is theirs. */
export function obtain(driver: Driver, asking: () => Promise<Answer>): Promise<Answer> {
  const tabs = start(driver);
  return tabs.turn(async () => {
    const answer = await asking();
    if (answer.grant) tabs.granted(answer);
    return answer;
  });
}

// Waiting for tokens

/** Wait for `met`, which may become true when the state changes. */
export async function until(driver: Driver, met: () => boolean, signal?: AbortSignal): Promise<void> {
  const end = endOf(driver, signal);
  for (;;) {
    end.throwIfAborted();
    if (met()) return;
    await new Promise((done) => {
      driver.addEventListener("state", done, { once: true });
      end.addEventListener("abort", done);
    });
  }
}

/** Wait for the refresh that is under way, if one is. */
export const settled = (driver: Driver, signal?: AbortSignal): Promise<void> =>
  until(driver, () => driver.machine.status !== "refreshing", signal);

/** A token that has not expired, after a refresh if one is due. */
export async function credential(driver: Driver, signal?: AbortSignal): Promise<string> {
  const { machine } = driver;
  run(driver, (_machine, at) => machine.tick(at));
  const met = () => machine.over() || (machine.status !== "refreshing" && now(driver) < machine.expiresAt);
  await until(driver, met, signal);
  return tokenOf(driver);
}

/** The token in hand; throws where there is none. */
export function tokenOf({ token, machine }: Driver): string {
  if (!token) throw new HoldfastError(machine.reason || "signed_out");
  return token;
}

/** Send with the token, and once more with a newer one if it was refused and there is one to be had. */
export async function authorized<Answered extends { readonly status: number }>(
  driver: Driver,
  send: (token: string) => Promise<Answered>,
  signal?: AbortSignal,
): Promise<Answered> {
  const token = await credential(driver, signal);
  const { machine } = driver;
  const number = machine.token;
  const reply = await send(token);
  if (reply.status !== 401) return reply;
  run(driver, (_machine, at) => machine.due(at, number));
  await settled(driver, signal);
  return driver.token && machine.token > number ? send(driver.token) : reply;
}

/** What ends at `signal`, and when the session is destroyed. */
export const endOf = ({ life }: Driver, signal = life.signal): AbortSignal =>
  AbortSignal.any([life.signal, signal]);

// Effects

function perform(driver: Driver, effect: SessionEffect): void {
  const { machine, shown, state, token } = driver;
  if (effect.do === "refresh") void refresh(driver, effect.attempt);
  else if (effect.do === "present_token") {
    if (effect.confirm && shown < machine.token) void ask(driver, "/auth/confirm", { token });
    // A page that was loaded and found nobody signed in has lost nothing.
  } else if (effect.what !== "signed_out" || machine.token) {
    emit(driver, effect.what, { ...effect, state });
  }
}

async function refresh(driver: Driver, attempt: number): Promise<void> {
  const { machine } = driver;
  const answer = await obtain(driver, async () =>
    // Another tab may have done it while we waited for our turn.
    machine.wants(attempt) ? ask(driver, "/auth/refresh") : judge(NOTHING),
  );
  const { grant } = answer;
  run(
    driver,
    (_machine, at, unit) =>
      grant ? machine.refreshed(attempt, grant, at, unit) : machine.failed(attempt, answer, at, unit),
    answer,
  );
}

function publishState(driver: Driver): void {
  const { user, machine } = driver;
  const { token, status, reason, expiresAt, refreshAt } = machine;
  publish(driver, [token, status, reason, expiresAt, refreshAt, user], {
    status,
    user,
    reason,
    expiresAt: dateOf(driver, expiresAt),
    refreshAt: dateOf(driver, refreshAt),
  });
}

/** A way in for one socket, or why there is none. */
export interface Ticket extends Answer {
  /** Where to open it; empty if there was no ticket to be had. */
  readonly url: string;
  /** The number of the token that the ticket stands for. */
  readonly number: number;
}

/** Ask for a ticket for the WebSocket at `path`. */
export async function askTicket(driver: Driver, path: string, signal?: AbortSignal): Promise<Ticket> {
  let number = 0;
  const send = (token: string): Promise<Answer> => {
    number = driver.machine.token;
    return ask(driver, "/auth/ticket", { token, signal });
  };
  const answer = await authorized(driver, send, signal);
  const ticket = answer.body["ticket"];
  const url = resolve(driver, path);
  url.protocol = url.protocol.replace("http", "ws");
  url.searchParams.set("ticket", `${ticket}`);
  return { ...answer, url: ticket ? url.href : "", number };
}

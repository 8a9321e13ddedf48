/**
 * Does what the session machine says, with the browser's timers, tabs and network.
 *
 * Functions over one record, so that a bundler leaves out what an app does not use. The record holds the access token,
 * in memory alone, and only `refresh` here ever asks for another.
 */

import { alarm } from "./alarm.js";
import { type Answer, type Body, judge, NOTHING, type Reply, type User } from "./answers.js";
import { HoldfastError } from "./errors.js";
import { type Emitter, emit } from "./events.js";
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
  /** There is a new token; a connection that shows it to the server by itself deals with it. */
  readonly token: null;
  /** The page is seen again, the machine has woken, the network is back or gone. */
  readonly wake: null;
}

/** One session at work. */
export interface Driver extends Emitter<SessionEvents & Signals> {
  readonly url: string;
  readonly machine: SessionMachine;
  readonly clock: (wall: number, mono: number) => number;
  readonly life: AbortController;
  readonly setAlarm: (seconds: number | null) => void;
  tabs: Tabs | null;
  /** The newest token, good or not. */
  token: string | null;
  /** The machine's number of it; 0 when there never was one. */
  number: number;
  user: User | null;
  state: SessionState;
  /** What `state` was made of. */
  told: string;
}

export function createDriver(url = "/"): Driver {
  const driver: Driver = Object.assign(new EventTarget(), {
    url,
    machine: new SessionMachine(),
    clock: createClock(),
    life: new AbortController(),
    setAlarm: alarm(() => run(driver, driver.machine.tick(now(driver)))),
    tabs: null,
    token: null,
    number: 0,
    user: null,
    state: {} as SessionState, // until it is published, below
    told: "",
  });
  publish(driver);
  return driver;
}

/** Do what the machine says; `answer` is what it has just taken tokens from, or has not. */
export function run(driver: Driver, effects: readonly SessionEffect[], answer?: Answer): void {
  if (driver.life.signal.aborted) return;
  const { machine } = driver;
  if (answer && machine.token > driver.number) {
    driver.number = machine.token;
    driver.token = answer.token;
    driver.user = answer.user;
  }
  if (machine.over()) driver.token = null;
  if (machine.status === "signed_out") driver.user = null;
  driver.setAlarm(machine.wakeIn(now(driver)));
  publish(driver);
  for (const effect of effects) perform(driver, effect);
}

/** The time for machines, in seconds. */
export const now = ({ clock }: Driver): number => clock(Date.now() / 1000, performance.now() / 1000);

/** A machine's moment as `Date.now()` will tell it, if nobody sets that clock. */
export const dateOf = (driver: Driver, moment: number): number | null =>
  Math.abs(moment) < NEVER ? Date.now() + (moment - now(driver)) * 1000 : null;

/** Nothing is done before the first use, so that a session may be made anywhere, on a server too. */
export function start(driver: Driver): Tabs {
  const { machine } = driver;
  if (!driver.tabs) {
    driver.tabs = joinTabs(
      `holdfast:${resolve(driver, "/")}`,
      (answer, grant) => run(driver, machine.adopted(grant, now(driver), Math.random()), answer),
      (session) => run(driver, session === machine.session ? machine.signedOut() : []),
    );
    const wake = (): void => {
      run(driver, machine.wake(now(driver)));
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
  const { machine } = driver;
  const { session } = machine;
  run(driver, machine.signedOut());
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
): Promise<Reply> {
  const sent = now(driver);
  try {
    const response = await fetch(resolve(driver, path), {
      method: "POST",
      headers: { "X-Holdfast": "1", ...(token && { Authorization: `Bearer ${token}` }) },
      credentials: "include",
      signal: AbortSignal.any([endOf(driver, signal), AbortSignal.timeout(REQUEST_MS)]),
      ...init,
    });
    return {
      ok: response.ok,
      status: response.status,
      // Of another kind than an object it has none of the fields that are looked for.
      body: Object(await response.json().catch(() => null)) as Body,
      // A date is left out, for it would be compared with a clock that may be wrong.
      retryAfter: Number(response.headers.get("Retry-After")) || 0,
      seconds: now(driver) - sent,
    };
  } catch {
    return NOTHING;
  }
}

/** Ask for tokens when it is our turn with the cookie, and tell the other tabs before it is theirs. */
export function obtain(driver: Driver, path: string, call?: Call, isWanted = () => true): Promise<Answer> {
  const tabs = start(driver);
  return tabs.turn(async () => {
    const answer = judge(isWanted() ? await ask(driver, path, call) : NOTHING);
    if (answer.grant) tabs.granted(answer.reply);
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
  run(driver, machine.tick(now(driver)));
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
  const { machine, number } = driver;
  const reply = await send(token);
  if (reply.status !== 401) return reply;
  run(driver, machine.due(now(driver), number));
  await settled(driver, signal);
  return driver.token && driver.number > number ? send(driver.token) : reply;
}

/** What ends at `signal`, and when the session is destroyed. */
export const endOf = ({ life }: Driver, signal = life.signal): AbortSignal =>
  AbortSignal.any([life.signal, signal]);

// Effects

function perform(driver: Driver, effect: SessionEffect): void {
  const { token, state, number } = driver;
  if (effect.do === "refresh") void refresh(driver, effect.attempt);
  else if (effect.do === "present_token") {
    if (emit(driver, "token", null) && effect.confirm) void ask(driver, "/auth/confirm", { token });
    // A page that was loaded and found nobody signed in has lost nothing.
  } else if (effect.what !== "signed_out" || number > 0) {
    emit(driver, effect.what, { ...effect, state });
  }
}

async function refresh(driver: Driver, attempt: number): Promise<void> {
  const { machine } = driver;
  // Another tab may do it while we wait for our turn.
  const answer = await obtain(driver, "/auth/refresh", {}, () => machine.wants(attempt));
  const { grant, code, reply } = answer;
  const at = now(driver);
  const unit = Math.random();
  const effects = grant
    ? machine.refreshed(attempt, grant, at, unit)
    : machine.refused(attempt, code, at, unit, reply.retryAfter);
  run(driver, effects, answer);
}

function publish(driver: Driver): void {
  const { user, machine } = driver;
  const { status, reason, expiresAt, nextAt } = machine;
  const told = JSON.stringify([status, reason, expiresAt, nextAt, user]);
  if (told === driver.told) return;
  driver.told = told;
  const state = {
    status,
    user,
    reason,
    expiresAt: dateOf(driver, expiresAt),
    refreshAt: dateOf(driver, nextAt),
  };
  driver.state = state;
  emit(driver, "state", state);
}

/** Ask for a ticket: a way in for one socket. */
export const askTicket = (driver: Driver, signal?: AbortSignal): Promise<Reply> =>
  authorized(driver, (token) => ask(driver, "/auth/ticket", { token, signal }), signal);

/** The URL of the WebSocket at `path` with the ticket in `reply`; null where there is none in it. */
export function ticketUrl(driver: Driver, path: string, { body }: Reply): string | null {
  const ticket = body["ticket"];
  const url = resolve(driver, path);
  url.protocol = url.protocol.replace("http", "ws");
  url.searchParams.set("ticket", `${ticket}`);
  return ticket ? url.href : null;
}

/**
 * A browser and a server in one process, with time that tests move: what a session meets out there.
 *
 * Tabs are sessions that share the globals, as tabs share a browser. The server keeps time of its own, so that a test may
 * set the browser's clock to whatever it likes.
 */

import { vi } from "vitest";
import { Sockets } from "./sockets.js";
import { Streams } from "./streams.js";

const WINDOW = 10;
const LATENCY = 20;

interface Family {
  readonly id: string;
  readonly user: { id: string; name: string; roles: string[] };
  generation: number;
  confirmed: number;
  issuedAt: number;
  ended: string;
}

interface Issued {
  readonly family: Family;
  readonly generation: number;
  readonly expiresAt: number;
}

export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
  readonly credentials: RequestCredentials | undefined;
}

export const BASE = "https://app.example";

export class World {
  /** How long access tokens live, in seconds. */
  lifetime = 900;
  /** What the server does instead of answering: an answer, or an error for no answer; null lets it answer. */
  fault: (request: Received) => Response | Error | "silence" | null = () => null;
  readonly requests: Received[] = [];
  readonly families = new Map<string, Family>();
  readonly tickets = new Map<string, Issued>();
  readonly sockets = new Sockets(this);
  readonly streams = new Streams();
  readonly tokens = new Map<string, Issued>();
  /** The refresh cookie of the browser. */
  cookie = "";
  #slept = 0;
  #counter = 0;

  constructor() {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date", "performance"], now: 1.8e12 });
    vi.stubGlobal("fetch", (input: URL | Request, init?: RequestInit) => this.#fetch(input, init));
    vi.stubGlobal("WebSocket", this.sockets.constructorFor());
    vi.stubGlobal("BroadcastChannel", channels());
    vi.stubGlobal("navigator", { locks: new Locks() });
    // Not one of the timers that tests can move.
    vi.spyOn(AbortSignal, "timeout").mockImplementation((milliseconds) => {
      const controller = new AbortController();
      setTimeout(() => controller.abort(new DOMException("timed out", "TimeoutError")), milliseconds);
      return controller.signal;
    });
    vi.spyOn(Math, "random").mockReturnValue(0.5);
    const window = new EventTarget();
    vi.stubGlobal("addEventListener", window.addEventListener.bind(window));
    vi.stubGlobal("dispatchEvent", window.dispatchEvent.bind(window));
    vi.stubGlobal("document", Object.assign(new EventTarget(), { visibilityState: "visible" }));
    vi.stubGlobal("location", { href: `${BASE}/page` });
  }

  /** The server's time, in seconds. */
  now(): number {
    return performance.now() / 1000 + this.#slept;
  }

  /** Let time pass for everybody. */
  async pass(seconds: number): Promise<void> {
    await vi.advanceTimersByTimeAsync(seconds * 1000);
  }

  /** The machine sleeps: timers and the monotonic clock stand still here, time goes on at the server. */
  sleep(seconds: number): void {
    this.#slept += seconds;
    this.setClock(seconds);
  }

  /** Set the browser's wall clock ahead by so much, or back. */
  setClock(seconds: number): void {
    vi.setSystemTime(Date.now() + seconds * 1000);
  }

  /** The page is seen again. */
  show(): void {
    document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
    dispatchEvent(new Event("visibilitychange"));
  }

  count(path: string): number {
    return this.requests.filter((request) => request.path === path).length;
  }

  /** End a session, as an administrator or another device does. */
  end(session: string, reason = "session_ended"): void {
    const family = this.families.get(session);
    if (family === undefined) throw new Error(`no session ${session}`);
    family.ended = reason;
    this.sockets.revoke(session);
  }

  /** Who a token proves, or why it does not. */
  check(token: string): Issued | "token_expired" | "invalid_token" | "session_ended" {
    const issued = this.tokens.get(token);
    if (issued === undefined) return "invalid_token";
    if (issued.family.ended !== "") return "session_ended";
    if (this.now() >= issued.expiresAt) return "token_expired";
    if (issued.generation === issued.family.generation) issued.family.confirmed = issued.generation;
    return issued;
  }

  async #fetch(input: URL | Request, init?: RequestInit): Promise<Response> {
    const request = input instanceof Request ? input : null;
    const url = new URL(request?.url ?? String(input));
    const body = request === null ? String(init?.body ?? "") : await request.text();
    const headers = request?.headers ?? new Headers(init?.headers);
    const method = request?.method ?? init?.method ?? "GET";
    const received: Received = { method, path: url.pathname, headers, body, credentials: init?.credentials };
    const signal = request?.signal ?? init?.signal;
    signal?.throwIfAborted();
    this.requests.push(received);
    const fault = this.fault(received);
    const aborted = new Promise<never>((_, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason));
    });
    if (fault === "silence") return aborted;
    await Promise.race([new Promise((resolve) => setTimeout(resolve, LATENCY / 2)), aborted]);
    if (fault instanceof Error) throw fault;
    const response = fault ?? this.#answer(received);
    await Promise.race([new Promise((resolve) => setTimeout(resolve, LATENCY / 2)), aborted]);
    return response;
  }

  #answer(request: Received): Response {
    const { path, headers } = request;
    const token = headers.get("Authorization")?.replace("Bearer ", "") ?? "";
    if (path === "/token") return this.#signIn(new URLSearchParams(request.body));
    if (path === "/auth/refresh") return this.#refresh();
    if (path === "/auth/logout") return this.#logOut();
    const proof = this.check(token);
    if (typeof proof === "string") return refusal(401, proof);
    const { family } = proof;
    switch (path) {
      case "/auth/confirm":
        return new Response(null, { status: 204 });
      case "/auth/ticket": {
        const ticket = `ticket-${++this.#counter}`;
        this.tickets.set(ticket, proof);
        return Response.json({ ticket, expires_in: 30 });
      }
      case "/auth/logout-everywhere":
        for (const each of this.families.values()) if (each.user.id === family.user.id) this.end(each.id);
        return new Response(null, { status: 204 });
      case "/auth/sessions":
        return Response.json({
          sessions: [...this.families.values()].map(({ id }) => ({ id, current: id === family.id })),
        });
      default:
        if (path.startsWith("/auth/sessions/")) {
          this.end(path.slice("/auth/sessions/".length));
          return new Response(null, { status: 204 });
        }
        return Response.json({ path, body: request.body, user: family.user.id });
    }
  }

  #signIn(form: URLSearchParams): Response {
    const name = form.get("username") ?? "";
    if (form.get("password") !== "right") return refusal(401, "bad_credentials");
    const id = `s${this.families.size + 1}`;
    const user = { id: `u-${name}`, name, roles: [] };
    const family = { id, user, generation: 1, confirmed: 0, issuedAt: this.now(), ended: "" };
    this.families.set(id, family);
    return this.#grant(family);
  }

  #refresh(): Response {
    const [id = "", presented = 0] = this.cookie.split(".");
    const family = this.families.get(id);
    if (family === undefined) return refusal(401, "invalid_token");
    if (family.ended !== "") return refusal(401, family.ended);
    if (Number(presented) === family.generation) {
      if (this.now() - family.issuedAt >= WINDOW) family.generation += 1;
    } else if (Number(presented) < family.generation - 1 || family.confirmed === family.generation) {
      if (this.now() - family.issuedAt > WINDOW) {
        family.ended = "token_reused";
        return refusal(401, "token_reused");
      }
    }
    family.issuedAt = this.now();
    return this.#grant(family);
  }

  #logOut(): Response {
    const [id = ""] = this.cookie.split(".");
    this.cookie = "";
    if (this.families.has(id)) this.end(id);
    return new Response(null, { status: 204 });
  }

  #grant(family: Family): Response {
    const { id, generation, user } = family;
    const token = `token-${++this.#counter}`;
    this.tokens.set(token, { family, generation, expiresAt: this.now() + this.lifetime });
    this.cookie = `${id}.${generation}`;
    return Response.json({
      access_token: token,
      token_type: "bearer",
      expires_in: this.lifetime,
      refresh_in: this.lifetime - Math.min(300, this.lifetime / 2),
      session_id: id,
      generation,
      user,
    });
  }
}

export const refusal = (status: number, code: string, headers: HeadersInit = {}): Response =>
  Response.json({ code, message: `a sentence about ${code}` }, { status, headers });

/** Tests end with the world as it was. */
export function destroyWorld(): void {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
  vi.useRealTimers();
}

/** `BroadcastChannel` within this process: to all of the name but the one that speaks, a little later. */
function channels() {
  const open = new Set<Channel>();
  class Channel {
    onmessage: ((event: MessageEvent) => void) | null = null;
    readonly name: string;

    constructor(name: string) {
      this.name = name;
      open.add(this);
    }

    postMessage(data: unknown): void {
      if (!open.has(this)) throw new DOMException("the channel is closed", "InvalidStateError");
      const copy = structuredClone(data);
      for (const other of open) {
        if (other === this || other.name !== this.name) continue;
        queueMicrotask(() => other.onmessage?.(new MessageEvent("message", { data: copy })));
      }
    }

    close(): void {
      open.delete(this);
    }
  }
  return Channel;
}

/** `navigator.locks`, exclusive ones. */
export class Locks {
  readonly #queues = new Map<string, Promise<unknown>>();
  #held = 0;

  isFree(): boolean {
    return this.#held === 0;
  }

  async request<Result>(
    name: string,
    { signal }: { signal?: AbortSignal },
    work: () => Promise<Result>,
  ): Promise<Result> {
    const before = this.#queues.get(name) ?? Promise.resolve();
    const gone = new Promise<never>((_, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason));
    });
    const mine = Promise.race([before, gone]).then(async () => {
      this.#held += 1;
      try {
        return await work();
      } finally {
        this.#held -= 1;
      }
    });
    const settled = (promise: Promise<unknown>) => promise.catch(() => undefined);
    this.#queues.set(name, Promise.all([settled(before), settled(mine)]));
    return await mine;
  }
}

/** What came of something that was sent. */
export async function fate(promise: Promise<void>): Promise<string> {
  return await promise.then(
    () => "sent",
    (error: { code: string }) => error.code,
  );
}

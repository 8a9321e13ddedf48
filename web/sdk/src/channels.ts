/**
 * The channels of one live connection: what to ask for and when, what is new, and what came of every request.
 *
 *     idle, due --the connection is ready--> asked --subscribed--> subscribed
 *       ^                                     |  |                    |  |
 *       +----- try later, or the connection is lost, or a gap --------+  |
 *       |                                        | no                    | revoked
 *       +---- a new token ---- idle, not due <---+-----------------------+
 *
 * Pure, as `live-machine`, which it knows nothing of. A position is kept for every channel, and asked from after each
 * return, so that a publication is told once, in its place, or the app is told that some are gone. What comes between a
 * request and its answer belongs to what was before, and is not heard: the server answers for one channel in order.
 * conformance/channels has its vectors.
 */

import { HoldfastError } from "./errors.js";
import {
  type ChannelEvent,
  type Frames,
  type Member,
  OWN,
  type Position,
  type Received,
  write,
} from "./protocol.js";
import { backoff, NEVER, wait } from "./timing.js";

/** What the subscribers of a channel are told: where it is, what is published, and who is there. */
export interface ChannelNews {
  readonly event: ChannelEvent;
  /** It is asked for, again. */
  readonly subscribing: null;
  /** Recovered: all that was missed since `position` follows. Else some of it may be gone for good. */
  readonly subscribed: { readonly recovered: boolean; readonly position: Position };
  /** Asked again after the next token. */
  readonly refused: { readonly code: string; readonly message: string };
  /** Asked again after the next token if it was `revoked`; `channel_closed` and `closed` are final. */
  readonly unsubscribed: { readonly reason: string };
  readonly presence: readonly Member[];
}

/** One piece of news; a type of its own for each kind. */
export type Tell = {
  readonly [Name in keyof ChannelNews]: {
    readonly do: "tell";
    readonly channel: string;
    readonly what: Name;
    readonly news: ChannelNews[Name];
  };
}[keyof ChannelNews];

/**
 * What the driver has to do.
 *
 * `send`: write this frame to the socket. `settle` a request of the app's, for whoever has made it, with what came of it or
 * with `why` nothing did: what is `lost` may have arrived, what failed by any other code was not done.
 */
export type ChannelEffect<Asker> =
  | Tell
  | { readonly do: "send"; readonly text: string }
  | {
      readonly do: "settle";
      readonly to: Asker;
      readonly result: unknown;
      readonly why: HoldfastError | undefined;
    };

/** A channel that somebody wants, or that the server has still to be told is not wanted any more. */
interface Entry {
  readonly channel: string;
  phase: "idle" | "asked" | "subscribed";
  /** When to ask for it. */
  at: number;
  wanted: boolean;
  presence: boolean;
  /** Whether this socket may have a subscription, which is ended before another is asked for. */
  held: boolean;
  failures: number;
  /** The request that is under way. */
  id: string;
  position: Position | null | undefined;
  members: readonly Member[];
}

/** What an error frame says, or this client by itself. */
type Problem = Pick<Frames["error"], "id" | "code"> & Partial<Frames["error"]>;

interface Request<Asker> {
  readonly to: Asker;
  readonly type: string | undefined;
  readonly text: string;
  sent: boolean;
}

/** One connection's channels. `unit` arguments are numbers drawn from [0, 1), one a call. */
export class ChannelMachine<Asker> {
  /** What is to be done, in this order; the driver takes it from here after each call. */
  readonly effects: ChannelEffect<Asker>[] = [];
  readonly #entries = new Map<string, Entry>();
  readonly #requests = new Map<string, Request<Asker>>();
  readonly #capacity: number;
  #open = false;
  #ready = false;
  #closed = false;
  #user: string | undefined;
  #token = 0;
  #limit = 0;
  #ids = 0;
  #dueAt = NEVER;

  /** `capacity`: how many requests may wait. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  // What the driver asks

  /** In how many seconds to call `tick`; `NEVER` when nothing is waited for. */
  wakeIn(now: number): number {
    return wait(this.#dueAt, now);
  }

  /** Where this client stands in a channel, if that is known. */
  position(channel: string): Position | null {
    return this.#entries.get(channel)?.position ?? null;
  }

  /** Whether the channel is still wanted: the server may have closed it. */
  has(channel: string): boolean {
    return this.#entries.has(channel);
  }

  // Events from the app

  /**
   * Somebody wants the channel; `presence`: with who is there; `since`: from there on, as after a return. Nothing happens
   * when it is there already, and a place that it has is kept.
   */
  subscribe(channel: string, presence: boolean, now: number, since?: Position | null): void {
    const entry = this.#entries.get(channel) ?? newEntry(channel);
    this.#entries.set(channel, entry);
    entry.position ??= since;
    if (entry.wanted && (entry.presence || !presence)) return;
    entry.wanted = true;
    entry.presence ||= presence;
    this.#restart(entry);
    this.#flush(now);
  }

  /** Nobody wants it any more. */
  unsubscribe(channel: string, now: number): void {
    const entry = this.#entries.get(channel);
    if (!entry) return;
    entry.wanted = entry.presence = false;
    entry.position = null;
    this.#restart(entry);
    this.#flush(now);
  }

  /** Send a frame once: a request of this type, which is answered to `to`, or else a message, answered when it is sent. */
  request(to: Asker, fields: object, now: number, type?: string): string {
    const id = this.#nextId();
    const text = type ? write(type, id, fields) : JSON.stringify(fields);
    const waiting = [...this.#requests.values()].filter(({ sent }) => !sent);
    this.#requests.set(id, { to, type, text, sent: false });
    if (this.#ready || this.#closed || waiting.length < this.#capacity) this.#flush(now);
    else this.#fail(id, "queue_full");
    return id;
  }

  /** The connection is over for good: so is all that there is, and whatever is asked for later. */
  close(): void {
    this.#closed = true;
    this.hold(true);
    this.#failAll("closed", false);
    for (const channel of this.#entries.keys()) this.#tell(channel, "unsubscribed", { reason: "closed" });
    this.#entries.clear();
  }

  // Events from the connection

  /** Requests may go out, of so many bytes: after the welcome, and after each renewal. The server has this token. */
  ready(token: number, limit: number, now: number): void {
    const isRenewed = this.#open || token > this.#token;
    for (const entry of this.#entries.values()) {
      if (isRenewed && entry.phase === "idle") this.#restart(entry);
    }
    this.#open = this.#ready = true;
    this.#token = token;
    this.#limit = limit;
    this.#flush(now);
  }

  /** Nothing may be sent just now: the grace has begun, the server has said `bye`, or the socket `isLost`. */
  hold(isLost = false): void {
    this.#ready = false;
    this.#dueAt = NEVER;
    if (isLost) this.#failAll("lost", true, "it may have arrived");
  }

  /** The socket is gone. */
  lost(): void {
    this.#open = false;
    this.hold(true);
    for (const entry of this.#entries.values()) {
      entry.held = false;
      if (!entry.wanted) this.#entries.delete(entry.channel);
      else if (entry.phase !== "idle" || entry.at < NEVER) this.#restart(entry);
    }
  }

  /** Who is signed in; nothing of anybody else's is kept. Answers whether it is somebody else. */
  user(user: string): boolean {
    const isAnother = (this.#user ?? user) !== user;
    this.#user = user;
    if (isAnother) {
      this.hold();
      this.#failAll("another_user", false);
      for (const entry of this.#entries.values()) {
        entry.position = null;
        this.#restart(entry);
      }
    }
    return isAnother;
  }

  /** Time has passed. */
  tick(now: number): void {
    this.#flush(now);
  }

  /** The server sent a frame. */
  received(frame: Received, now: number, unit: number): void {
    if (frame.type === "ok") {
      this.#settle(`${frame.id}`, frame["result"]);
    } else if (frame.type === "error") this.#errored(frame, now, unit);
    else if ("channel" in frame) {
      const entry = this.#entries.get(frame.channel as string);
      if (!entry) return;
      if (frame.type === "subscribed") this.#subscribed(entry, frame);
      else if (entry.phase === "subscribed") this.#told(entry, frame, now, unit);
    }
  }

  // Frames

  #subscribed(entry: Entry, frame: Frames["subscribed"]): void {
    const { channel, id, epoch, offset, recovered, presence } = frame;
    // Without an id nobody has asked: the server has lost its place, and starts over.
    if (id == null ? entry.phase !== "subscribed" : entry.phase !== "asked" || entry.id !== id) return;
    const since = recovered === true ? entry.position : null;
    const position = since?.epoch === epoch ? since : { epoch, offset };
    entry.phase = "subscribed";
    entry.position = position;
    entry.members = presence ?? [];
    this.#tell(channel, "subscribed", { recovered: position === since, position });
    if (presence) this.#tell(channel, "presence", presence);
  }

  #told(entry: Entry, frame: Received, now: number, unit: number): void {
    const { channel } = entry;
    if (frame.type === "event") this.#event(entry, frame, now, unit);
    else if (frame.type === "unsubscribed") {
      const reason = frame.reason ?? "";
      entry.held = false;
      entry.phase = "idle";
      if (reason === "channel_closed") this.#entries.delete(channel);
      this.#tell(channel, "unsubscribed", { reason });
    } else if (frame.type === "presence.join" || frame.type === "presence.leave") {
      const { type, connection, user, name } = frame;
      entry.members = entry.members.filter((member) => member.connection !== connection);
      if (type === "presence.join") entry.members = [...entry.members, { connection, user, name }];
      this.#tell(channel, "presence", entry.members);
    }
  }

  #event(entry: Entry, { channel, offset, data }: Frames["event"], now: number, unit: number): void {
    const { epoch, offset: last } = entry.position as Position; // it is subscribed
    if (offset === last + 1) {
      entry.failures = 0;
      entry.position = { epoch, offset };
      this.#tell(channel, "event", { channel, offset, data });
    } else if (offset > last) {
      this.#restart(entry);
      // The first time at once; a server that does it again and again is not asked again and again.
      if (entry.failures > 0) entry.at = now + backoff(entry.failures, unit);
      entry.failures += 1;
      this.#flush(now);
    }
  }

  #errored(problem: Problem, now: number, unit: number): void {
    const { id, code, message, retry_after_ms } = problem;
    const request = this.#requests.get(`${id}`);
    if (request) {
      // It crossed with the beginning of the grace and went nowhere, so it may wait for its end.
      request.sent = code !== "auth_required" || this.#ready;
      if (request.sent) this.#fail(`${id}`, code, message, (retry_after_ms ?? 0) / 1000);
    }
    for (const entry of this.#entries.values()) {
      if (entry.phase === "asked" && entry.id === id) this.#refused(entry, problem, now, unit);
    }
  }

  #refused(entry: Entry, { code, message, retry_after_ms }: Problem, now: number, unit: number): void {
    entry.phase = "idle";
    entry.held = code === "auth_required" || code === "already_subscribed";
    if (entry.held || code === "try_later" || retry_after_ms != null) {
      entry.at = now + ((retry_after_ms ?? 0) / 1000 || backoff(entry.failures++, unit));
      this.#flush(now);
    } else this.#tell(entry.channel, "refused", { code, message: message ?? "" });
  }

  // What they share

  #tell<Name extends keyof ChannelNews>(channel: string, what: Name, news: ChannelNews[Name]): void {
    this.effects.push({ do: "tell", channel, what, news } as Tell);
  }

  #nextId(): string {
    return `${OWN}c${++this.#ids}`;
  }

  #fail(id: string, code: string, message?: string | null, retryIn?: number): void {
    this.#settle(id, null, new HoldfastError(code, message, retryIn));
  }

  #settle(id: string, result?: unknown, why?: HoldfastError): void {
    const request = this.#requests.get(id);
    if (request && this.#requests.delete(id)) {
      this.effects.push({ do: "settle", to: request.to, result, why });
    }
  }

  /** Fail the requests that were sent, or those that were not. */
  #failAll(code: string, sent: boolean, message?: string): void {
    for (const [id, request] of this.#requests) if (request.sent === sent) this.#fail(id, code, message);
  }

  /** Ask for it again from where it stands, as soon as that may be. */
  #restart(entry: Entry): void {
    if (entry.wanted && entry.at === NEVER && entry.phase !== "asked")
      this.#tell(entry.channel, "subscribing", null);
    entry.phase = "idle";
    entry.at = 0;
  }

  /** Send what is due, if anything may be sent. */
  #flush(now: number): void {
    this.#dueAt = NEVER;
    if (this.#closed) this.close();
    if (!this.#ready) return;
    for (const entry of this.#entries.values()) {
      if (entry.at <= now) this.#ask(entry);
      else this.#dueAt = Math.min(this.#dueAt, entry.at);
    }
    for (const [id, request] of this.#requests) {
      if (request.sent) continue;
      request.sent = true;
      this.#transmit(id, request.text);
      if (!request.type) this.#settle(id);
    }
  }

  #ask(entry: Entry): void {
    const { channel, position, presence } = entry;
    const send = (type: string, fields?: object): void => {
      entry.id = this.#nextId();
      this.#transmit(entry.id, write(type, entry.id, { channel, ...fields }));
    };
    if (entry.held) send("unsubscribe");
    if (!entry.wanted) this.#entries.delete(channel);
    else {
      entry.phase = "asked";
      entry.at = NEVER;
      entry.held = true;
      send("subscribe", { since: position ?? undefined, presence: presence || undefined });
    }
  }

  /** The server would end the connection for a frame that is too large. */
  #transmit(id: string, text: string): void {
    if (new TextEncoder().encode(text).length <= this.#limit) this.effects.push({ do: "send", text });
    else this.#errored({ id, code: "frame_too_large" }, 0, 0);
  }
}

const newEntry = (channel: string): Entry => ({
  channel,
  phase: "idle",
  at: 0,
  wanted: false,
  presence: false,
  held: false,
  failures: 0,
  id: "",
  position: null,
  members: [],
});

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

import {
  type ChannelEvent,
  type ErrorFrame,
  type Member,
  OWN,
  type Position,
  type Received,
  type Subscribed,
  write,
} from "./protocol.js";
import { backoff, NEVER, wait } from "./timing.js";

type ChannelFrame = Extract<
  Received,
  { readonly kind: "event" | "unsubscribed" | "presence.join" | "presence.leave" }
>;

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
 * `send`: write this frame to the socket. `answer` and `fail` settle a request of the app's: what is `lost` may have
 * arrived, what fails by any other code was not done.
 */
export type ChannelEffect =
  | Tell
  | { readonly do: "send"; readonly text: string }
  | { readonly do: "answer"; readonly id: string; readonly result: unknown }
  | {
      readonly do: "fail";
      readonly id: string;
      readonly code: string;
      readonly message: string;
      readonly retryIn: number;
    };

/** A channel that somebody wants, or that the server has still to be told is not wanted any more. */
interface Entry {
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
  position: Position | null;
  members: readonly Member[];
}

interface Request {
  readonly text: string;
  readonly answered: boolean;
  sent: boolean;
}

/** One connection's channels. `unit` arguments are numbers drawn from [0, 1), one a call. */
export class ChannelMachine {
  readonly #entries = new Map<string, Entry>();
  readonly #requests = new Map<string, Request>();
  readonly #capacity: number;
  #open = false;
  #ready = false;
  #closed = false;
  #user = "";
  #token = 0;
  #limit = 0;
  #ids = 0;
  #dueAt = NEVER;

  /** `capacity`: how many requests may wait. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  // What the driver asks

  /** In how many seconds to call `tick`; null when nothing is waited for. */
  wakeIn(now: number): number | null {
    return wait(this.#dueAt, now);
  }

  /** Where this client stands in a channel, once it is subscribed. */
  position(channel: string): Position | null {
    return this.#entries.get(channel)?.position ?? null;
  }

  /** Whether the channel is still wanted: the server may have closed it. */
  has(channel: string): boolean {
    return this.#entries.has(channel);
  }

  /** An id for a request. */
  nextId(): string {
    this.#ids += 1;
    return `${OWN}c${this.#ids}`;
  }

  // Events from the app

  /** Somebody wants the channel; `presence`: with who is there. Nothing happens when it is there already. */
  subscribe(channel: string, presence: boolean, now: number): ChannelEffect[] {
    if (this.#closed) return [tell(channel, "unsubscribed", CLOSED)];
    const entry = this.#entries.get(channel) ?? newEntry();
    this.#entries.set(channel, entry);
    if (entry.wanted && (entry.presence || !presence)) return [];
    entry.wanted = true;
    entry.presence ||= presence;
    return [...restart(channel, entry), ...this.#flush(now)];
  }

  /** Nobody wants it any more. */
  unsubscribe(channel: string, now: number): ChannelEffect[] {
    const entry = this.#entries.get(channel);
    if (entry === undefined) return [];
    entry.wanted = entry.presence = false;
    entry.position = null;
    restart(channel, entry);
    return this.#flush(now);
  }

  /** Ask for something; `text` is the frame with this id in it, and goes out once. Not `answered`: done when it is sent. */
  request(id: string, text: string, now: number, answered = true): ChannelEffect[] {
    const waiting = [...this.#requests.values()].filter(({ sent }) => !sent);
    if (this.#closed) return [fail(id, "closed")];
    if (!this.#ready && waiting.length >= this.#capacity) return [fail(id, "queue_full")];
    this.#requests.set(id, { text, answered, sent: false });
    return this.#flush(now);
  }

  /** The connection is over for good. */
  close(): ChannelEffect[] {
    this.#closed = true;
    this.hold();
    const effects = [...this.#fail("lost", true), ...this.#fail("closed", false)];
    for (const channel of this.#entries.keys()) effects.push(tell(channel, "unsubscribed", CLOSED));
    this.#entries.clear();
    return effects;
  }

  // Events from the connection

  /** Requests may go out, of so many bytes: after the welcome, and after each renewal. The server has this token. */
  ready(token: number, limit: number, now: number): ChannelEffect[] {
    const effects: ChannelEffect[] = [];
    const isRenewed = this.#open || token > this.#token;
    for (const [channel, entry] of this.#entries) {
      if (isRenewed && entry.phase === "idle") effects.push(...restart(channel, entry));
    }
    this.#open = true;
    this.#token = token;
    this.#limit = limit;
    this.#ready = true;
    return [...effects, ...this.#flush(now)];
  }

  /** Nothing may be sent just now: the grace has begun, or the server has said `bye`. */
  hold(): void {
    this.#ready = false;
    this.#dueAt = NEVER;
  }

  /** The socket is gone. */
  lost(): ChannelEffect[] {
    const effects = this.#fail("lost", true);
    this.#open = false;
    this.hold();
    for (const [channel, entry] of this.#entries) {
      entry.held = false;
      if (!entry.wanted) this.#entries.delete(channel);
      else if (entry.phase !== "idle" || entry.at < NEVER) effects.push(...restart(channel, entry));
    }
    return effects;
  }

  /** Who is signed in; nothing of anybody else's is kept. */
  user(user: string): ChannelEffect[] {
    const isAnother = this.#user !== "" && this.#user !== user;
    this.#user = user;
    if (!isAnother) return [];
    this.hold();
    const effects = this.#fail("another_user", false);
    for (const [channel, entry] of this.#entries) {
      entry.position = null;
      effects.push(...restart(channel, entry));
    }
    return effects;
  }

  /** Time has passed. */
  tick(now: number): ChannelEffect[] {
    return now < this.#dueAt ? [] : this.#flush(now);
  }

  /** The server sent a frame. */
  received(frame: Received, now: number, unit: number): ChannelEffect[] {
    switch (frame.kind) {
      case "subscribed":
        return this.#subscribed(frame);
      case "ok":
        return this.#requests.delete(String(frame.id))
          ? [{ do: "answer", id: String(frame.id), result: frame.result }]
          : [];
      case "error":
        return this.#errored(frame, now, unit);
      case "event":
      case "unsubscribed":
      case "presence.join":
      case "presence.leave": {
        const entry = this.#entries.get(frame.channel);
        return entry?.phase === "subscribed" ? this.#told(entry, frame, now, unit) : [];
      }
      default:
        return [];
    }
  }

  // Frames

  #subscribed(frame: Subscribed): ChannelEffect[] {
    const { channel, epoch, offset, presence } = frame;
    const entry = this.#entries.get(channel);
    // Without an id nobody has asked: the server has lost its place, and starts over.
    if (entry?.phase !== (frame.id === null ? "subscribed" : "asked") || entry.id !== (frame.id ?? entry.id))
      return [];
    const since = frame.recovered ? entry.position : null;
    const position = since?.epoch === epoch ? since : { epoch, offset };
    entry.phase = "subscribed";
    entry.position = position;
    entry.members = presence ?? [];
    const told = [tell(channel, "subscribed", { recovered: position === since, position })];
    return presence === null ? told : [...told, tell(channel, "presence", presence)];
  }

  #told(entry: Entry, frame: ChannelFrame, now: number, unit: number): ChannelEffect[] {
    const { channel } = frame;
    switch (frame.kind) {
      case "event":
        return this.#event(entry, frame, now, unit);
      case "unsubscribed": {
        const { reason } = frame;
        entry.held = false;
        entry.phase = "idle";
        if (reason === "channel_closed") this.#entries.delete(channel);
        return [tell(channel, "unsubscribed", { reason })];
      }
      default: {
        const { kind, connection, user, name } = frame;
        const others = entry.members.filter((member) => member.connection !== connection);
        entry.members = kind === "presence.join" ? [...others, { connection, user, name }] : others;
        return [tell(channel, "presence", entry.members)];
      }
    }
  }

  #event(entry: Entry, { channel, offset, data }: ChannelEvent, now: number, unit: number): ChannelEffect[] {
    const position = entry.position as Position; // it is subscribed
    const step = offset - position.offset;
    if (step <= 0) return [];
    if (step === 1) {
      entry.failures = 0;
      entry.position = { ...position, offset };
      return [tell(channel, "event", { channel, offset, data })];
    }
    const told = restart(channel, entry);
    // The first time at once; a server that does it again and again is not asked again and again.
    if (entry.failures > 0) entry.at = now + backoff(entry.failures, unit);
    entry.failures += 1;
    return [...told, ...this.#flush(now)];
  }

  #errored(
    { id, code, message, retryAfterMs }: Omit<ErrorFrame, "kind">,
    now: number,
    unit: number,
  ): ChannelEffect[] {
    const seconds = Number(retryAfterMs) / 1000;
    const request = this.#requests.get(String(id));
    if (request !== undefined) {
      // It crossed with the beginning of the grace and went nowhere, so it may wait for its end.
      request.sent = code !== "auth_required" || this.#ready;
      if (!request.sent) return [];
      this.#requests.delete(String(id));
      return [fail(String(id), code, message, seconds)];
    }
    for (const [channel, entry] of this.#entries) {
      if (entry.phase !== "asked" || entry.id !== id) continue;
      entry.phase = "idle";
      entry.held = code === "auth_required" || code === "already_subscribed";
      if (!entry.held && code !== "try_later" && retryAfterMs === null) {
        return [tell(channel, "refused", { code, message })];
      }
      entry.at = now + (seconds || backoff(entry.failures++, unit));
      return this.#flush(now);
    }
    return [];
  }

  // What they share

  /** Fail the requests that were sent, or those that were not. */
  #fail(code: string, sent: boolean): ChannelEffect[] {
    const failed = [...this.#requests].filter(([, request]) => request.sent === sent);
    for (const [id] of failed) this.#requests.delete(id);
    return failed.map(([id]) => fail(id, code));
  }

  /** Send what is due, if anything may be sent. */
  #flush(now: number): ChannelEffect[] {
    const effects: ChannelEffect[] = [];
    this.#dueAt = NEVER;
    if (!this.#ready) return effects;
    for (const [channel, entry] of this.#entries) {
      if (entry.at <= now) effects.push(...this.#ask(channel, entry));
      else this.#dueAt = Math.min(this.#dueAt, entry.at);
    }
    for (const [id, request] of this.#requests) {
      if (request.sent) continue;
      request.sent = true;
      effects.push(...this.#transmit(id, request.text));
      if (!request.answered && this.#requests.delete(id)) {
        effects.push({ do: "answer", id, result: undefined });
      }
    }
    return effects;
  }

  #ask(channel: string, entry: Entry): ChannelEffect[] {
    const { position, presence } = entry;
    const effects = entry.held ? this.#send(this.nextId(), "unsubscribe", { channel }) : [];
    if (!entry.wanted) {
      this.#entries.delete(channel);
      return effects;
    }
    entry.phase = "asked";
    entry.at = NEVER;
    entry.held = true;
    entry.id = this.nextId();
    const since = position ?? undefined;
    return [
      ...effects,
      ...this.#send(entry.id, "subscribe", { channel, since, presence: presence || undefined }),
    ];
  }

  #send(id: string, type: string, fields: object): ChannelEffect[] {
    return this.#transmit(id, write(type, id, fields));
  }

  /** The server would end the connection for a frame that is too large. */
  #transmit(id: string, text: string): ChannelEffect[] {
    if (new TextEncoder().encode(text).length <= this.#limit) return [{ do: "send", text }];
    return this.#errored({ id, code: "frame_too_large", message: "", retryAfterMs: null }, 0, 0);
  }
}

const newEntry = (): Entry => ({
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

/** Ask for it again from where it stands, as soon as that may be. */
function restart(channel: string, entry: Entry): ChannelEffect[] {
  const isNews = entry.at === NEVER && entry.phase !== "asked";
  entry.phase = "idle";
  entry.at = 0;
  return isNews ? [tell(channel, "subscribing", null)] : [];
}

const CLOSED = { reason: "closed" };

const tell = <Name extends keyof ChannelNews>(
  channel: string,
  what: Name,
  news: ChannelNews[Name],
): ChannelEffect => ({ do: "tell", channel, what, news }) as Tell;

const fail = (id: string, code: string, message = "", retryIn = 0): ChannelEffect => ({
  do: "fail",
  id,
  code,
  message,
  retryIn,
});

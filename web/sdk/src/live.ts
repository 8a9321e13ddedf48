/** A live connection in a browser: the driver of `live-machine`. */

import { alarm } from "./alarm.js";
import { codeOf, type Reply } from "./answers.js";
import type { ChannelEffect, ChannelMachine } from "./channels.js";
import { ask, authorized, type Driver, dateOf, now, run, start, ticketUrl } from "./driver.js";
import { type Emitter, emit, listen } from "./events.js";
import { QUEUE } from "./limits.js";
import { type LiveAnnouncement, type LiveEffect, LiveMachine } from "./live-machine.js";
import {
  type ChannelEvent,
  type Ending,
  type Member,
  type Position,
  type Received,
  type RequestId,
  read,
  SUBPROTOCOL,
  write,
} from "./protocol.js";
import {
  Channels,
  type Happening,
  type History,
  type HistoryOptions,
  type PublishOptions,
  type SubscribeOptions,
  type Subscription,
} from "./subscriptions.js";
import { NEVER } from "./timing.js";

/**
 * Where a connection is, for people.
 *
 * `due`: working, a new token is on its way. `grace`: the token has expired; receiving goes on, sending waits. `offline`:
 * tried again at `retryAt`, or once there is a token. `parked`: nobody is signed in; a sign-in brings it back. `stopped`: for good.
 */
export type LiveStatus = "connecting" | "ready" | "due" | "grace" | "offline" | "parked" | "stopped";

/** One moment of a connection: a new object whenever something has changed, and only then. */
export interface LiveState {
  readonly status: LiveStatus;
  /** The server's name for it. */
  readonly connection: string | null;
  /** When an offline connection is tried again, by this machine's own `Date.now()`. */
  readonly retryAt: number | null;
  /** When the grace is over, likewise. */
  readonly graceEndsAt: number | null;
  /** Why the last socket was closed; null while connected. */
  readonly ending: Ending | null;
}

/** Something that was sent could not be used; `id` is that of the message, if it had one. */
export interface LiveProblem {
  readonly code: string;
  readonly message: string;
  readonly id: RequestId | null;
}

export interface LiveEvents {
  readonly message: unknown;
  readonly state: LiveState;
  readonly error: LiveProblem;
}

export interface LiveOptions {
  /** How many messages may wait while nothing can be sent. */
  readonly queue?: number | undefined;
}

/** The socket in use, or on its way. */
interface Line {
  readonly number: number;
  readonly abandon: AbortController;
  socket: WebSocket | null;
}

/** Made by `session.connect`. */
export class LiveConnection {
  readonly #driver: Driver;
  readonly #path: string;
  readonly #machine = new LiveMachine();
  readonly #events: Emitter<LiveEvents> = new EventTarget();
  readonly #channels: Channels;
  readonly #alarm = alarm(() => {
    this.#run((machine, at, unit) => machine.tick(at, unit));
    this.#runChannels((machine, at) => machine.tick(at));
  });
  readonly #life = new AbortController();
  #line: Line | null = null;
  /** Whose it is: the last person who was signed in. */
  #user: string | null = null;
  #due = false;
  #leaving = false;
  #graceEndsAt = 0;
  #state: LiveState = {
    status: "connecting",
    connection: null,
    retryAt: null,
    graceEndsAt: null,
    ending: null,
  };

  /** @internal */
  constructor(driver: Driver, path: string, { queue = QUEUE }: LiveOptions = {}) {
    this.#driver = driver;
    this.#path = path;
    this.#channels = new Channels(queue, (happening) => this.#runChannels(happening));
    start(driver);
    const life = this.#life;
    driver.addEventListener("token", (event) => this.#present(event), life);
    driver.addEventListener("wake", () => this.#run((machine, at) => machine.wake(at)), life);
    driver.addEventListener("state", () => this.#heedSession(), life);
    driver.life.signal.addEventListener("abort", () => this.close(), life);
    this.#heedUser();
    if (driver.token !== null) this.#present();
    this.#run((machine, at) => machine.connect(at));
  }

  /** The connection at this moment; the same object until something changes. */
  get state(): LiveState {
    return this.#state;
  }

  /** Listen; the answer stops it. */
  on<Name extends keyof LiveEvents>(name: Name, listener: (event: LiveEvents[Name]) => void): () => void {
    return listen(this.#events, name, listener);
  }

  /**
   * Send a message; fulfilled when it was handed to the socket, once, which is no proof that it arrived.
   *
   * While nothing can be sent it waits, in order. Rejected with `queue_full`, `frame_too_large`, `another_user` when
   * somebody else signs in before it could go, and `closed`.
   */
  send(message: object): Promise<void> {
    this.#heedUser();
    return this.#channels.send(this.#channels.machine.nextId(), JSON.stringify(message), false);
  }

  /**
   * Hear what is published on a channel, each publication once and in order, through every loss of the connection.
   *
   * However many subscribe to it, the server is asked once. What cannot be recovered is told: see `subscribed`.
   */
  subscribe(
    channel: string,
    listener: (event: ChannelEvent) => void,
    options?: SubscribeOptions,
  ): Subscription {
    return this.#channels.join(channel, listener, options);
  }

  /**
   * Publish on a channel; answers where it stands there. Waits as `send` does, and is rejected as `send` is.
   *
   * Also rejected with the server's code (`forbidden`, `try_later`, …), and with `lost` when the connection was lost before
   * the answer: then it may have arrived, and only with a `key` is it safe to publish again.
   */
  publish(channel: string, data: unknown, { key }: PublishOptions = {}): Promise<Position> {
    return this.#channels.ask("publish", { channel, data, key });
  }

  /** What a channel remembers. Rejected as `publish` is. */
  history(channel: string, { since, limit }: HistoryOptions = {}): Promise<History> {
    return this.#channels.ask("history", { channel, since, limit });
  }

  /** Who is on a channel. Rejected as `publish` is. */
  async presence(channel: string): Promise<readonly Member[]> {
    return (await this.#channels.ask<{ members: Member[] }>("presence", { channel })).members;
  }

  /** Close it for good. */
  close(): void {
    this.#run((machine) => machine.close());
  }

  // Driving the machine

  #run(happening: (machine: LiveMachine, at: number, unit: number) => LiveEffect[]): void {
    const machine = this.#machine;
    const effects = happening(machine, now(this.#driver), Math.random());
    const told: LiveEffect[] = [];
    for (const effect of effects) {
      if (effect.do === "announce" || effect.do === "deliver") told.push(effect);
      else this.#perform(effect);
    }
    for (const effect of told) if (effect.do === "announce") this.#heed(effect);
    this.#runChannels((channels) => this.#holdChannels(channels));
    this.#publish();
    for (const effect of told) {
      if (effect.do === "deliver") emit(this.#events, "message", effect.data);
      else if (effect.do === "announce" && effect.what === "error")
        emit(this.#events, "error", problem(effect));
    }
  }

  #runChannels(happening: Happening): void {
    const { machine } = this.#channels;
    const at = now(this.#driver);
    const effects = happening(machine, at, Math.random());
    const waits = [this.#machine.wakeIn(at), machine.wakeIn(at)].filter((seconds) => seconds !== null);
    this.#alarm(waits.length > 0 ? Math.min(...waits) : null);
    for (const effect of effects) {
      if (effect.do === "send") this.#write(effect.text);
      else this.#channels.perform(effect);
    }
  }

  /** What the connection's present state means for its channels. */
  #holdChannels(channels: ChannelMachine): ChannelEffect[] {
    const { phase } = this.#machine;
    if (phase === "stopped") return channels.close();
    if (phase !== "ready" && phase !== "grace") return channels.lost();
    if (phase === "grace" || this.#leaving) channels.hold();
    return [];
  }

  #perform(effect: Exclude<LiveEffect, LiveAnnouncement>): void {
    switch (effect.do) {
      case "open":
        void this.#open(effect.socket);
        break;
      case "close":
        this.#hangUp();
        break;
      case "send_auth":
        if (this.#driver.token !== null) this.#write(write("auth", effect.id, { token: this.#driver.token }));
        break;
      case "send_ping":
        this.#write(write("ping", effect.id));
        break;
      case "send_pong":
        this.#write(write("pong", effect.id));
        break;
      case "ask_refresh":
        run(this.#driver, this.#driver.machine.due(now(this.#driver), effect.token));
        this.#heedSession();
        break;
      case "deliver":
        break;
    }
  }

  #heed({ what, seconds }: LiveAnnouncement): void {
    if (what === "grace") this.#graceEndsAt = Date.now() + Number(seconds) * 1000;
    if (what !== "stopped") return;
    this.#hangUp();
    this.#life.abort();
  }

  #publish(): void {
    const { phase, welcome, until, ending } = this.#machine;
    const isOpen = welcome !== null;
    const state: LiveState = {
      status: this.#status(),
      connection: welcome?.connection ?? null,
      retryAt: dateOf(this.#driver, until),
      graceEndsAt: phase === "grace" ? this.#graceEndsAt : null,
      ending: isOpen ? null : ending,
    };
    const fields = Object.keys(state) as (keyof LiveState)[];
    if (fields.every((field) => state[field] === this.#state[field])) return;
    this.#state = state;
    emit(this.#events, "state", state);
  }

  #status(): LiveStatus {
    // Parked, but not for good: the session lives.
    if (this.#machine.until < NEVER) return "offline";
    switch (this.#machine.phase) {
      case "ready":
        return this.#due ? "due" : "ready";
      case "waiting":
        return "offline";
      case "grace":
      case "parked":
      case "stopped":
        return this.#machine.phase;
      default:
        return "connecting";
    }
  }

  // The session's news

  /** Show a new token, where there is an open socket to show it on. */
  #present(event?: Event): void {
    this.#heedUser();
    const before = this.#machine.presented;
    this.#run((machine, at) => machine.tokenAvailable(this.#driver.machine.token, at));
    if (this.#machine.presented > before) event?.preventDefault();
  }

  /** Nobody waits for the server to notice that another person has signed in. */
  #heedUser(): void {
    const before = this.#user;
    const user = this.#driver.user?.id ?? before;
    this.#user = user;
    if (before !== null && user !== before) this.#run((machine, at) => machine.userChanged(at));
    if (user !== null) this.#runChannels((channels) => channels.user(user));
  }

  #heedSession(): void {
    this.#heedUser();
    const { machine } = this.#driver;
    if (!machine.over()) return;
    this.#run((live) => live.sessionOver(machine.reason));
    if (machine.status !== "signed_out" || this.#line === null) return;
    // Nobody waits for the server to say so: what is on the screen belongs to nobody now.
    const { number } = this.#line;
    this.#hangUp();
    this.#run((live, at, unit) => live.closed(number, 4001, "Session ended: signed out.", at, unit));
  }

  // The socket

  async #open(socket: number): Promise<void> {
    const line: Line = { number: socket, abandon: new AbortController(), socket: null };
    this.#line = line;
    const { signal } = line.abandon;
    let number = 0;
    const send = (token: string): Promise<Reply> => {
      number = this.#driver.number;
      return ask(this.#driver, "/auth/ticket", { token, signal });
    };
    try {
      const reply = await authorized(this.#driver, send, signal);
      if (!signal.aborted) this.#dial(line, reply, number);
    } catch {
      if (!signal.aborted) this.#heedSession();
    }
  }

  #dial(line: Line, reply: Reply, token: number): void {
    const { number } = line;
    const url = ticketUrl(this.#driver, this.#path, reply);
    if (url === null) {
      this.#line = null;
      const { status, body, retryAfter } = reply;
      const denial = { status, code: codeOf(body), retryAfter: retryAfter || null };
      this.#run((machine, at, unit) =>
        status < 400
          ? machine.closed(number, 1006, "", at, unit)
          : machine.denied(number, token, denial, at, unit),
      );
      return;
    }
    const socket = new WebSocket(url, [SUBPROTOCOL]);
    line.socket = socket;
    this.#due = this.#leaving = false;
    socket.onopen = () => this.#run((machine, at) => machine.opened(number, token, at));
    socket.onmessage = ({ data }: MessageEvent<unknown>) => this.#received(number, read(data));
    socket.onclose = ({ code, reason }) => {
      this.#line = null;
      this.#run((machine, at, unit) => machine.closed(number, code, reason, at, unit));
    };
  }

  #received(number: number, frame: Received): void {
    if (frame.kind === "auth.due") this.#due = true;
    if (frame.kind === "auth.ok") this.#due = false;
    if (frame.kind === "bye") this.#leaving = true;
    this.#run((machine, at, unit) => machine.received(number, frame, at, unit));
    const { welcome, presented } = this.#machine;
    const isProof = frame.kind === "welcome" || frame.kind === "auth.ok";
    this.#runChannels((channels, at, unit) => {
      if (!isProof) return channels.received(frame, at, unit);
      if (welcome === null || !this.#machine.maySend() || this.#leaving) return [];
      return channels.ready(presented, welcome.limits.frameBytes, at);
    });
  }

  /** Close the socket and hear nothing of it any more. */
  #hangUp(): void {
    const line = this.#line;
    if (line === null) return;
    this.#line = null;
    line.abandon.abort();
    if (line.socket === null) return;
    line.socket.onopen = line.socket.onmessage = line.socket.onclose = null;
    line.socket.close(1000);
  }

  #write(text: string): void {
    this.#line?.socket?.send(text);
  }
}

const problem = ({ code, reason, id }: LiveAnnouncement): LiveProblem => ({
  code: String(code),
  message: reason,
  id,
});

/** Open the WebSocket at `path`. */
export const connect = (driver: Driver, path: string, options?: LiveOptions): LiveConnection =>
  new LiveConnection(driver, path, options);

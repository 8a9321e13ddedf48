/** A live connection in a browser: the driver of `live-machine`. */

import { alarm } from "./alarm.js";
import { askTicket, type Driver, dateOf, now, run, start, type Ticket } from "./driver.js";
import { emit, listen, publish, type Stateful, stateful } from "./events.js";
import { QUEUE } from "./limits.js";
import { type LiveEffect, LiveMachine, type LiveProblem } from "./live-machine.js";
import {
  type ChannelEvent,
  type Ending,
  type Member,
  type Position,
  type Received,
  read,
  SUBPROTOCOL,
  write,
} from "./protocol.js";
import {
  Channels,
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

export interface LiveEvents {
  readonly message: unknown;
  readonly state: LiveState;
  readonly error: LiveProblem;
}

export interface LiveOptions {
  /** How many messages may wait while nothing can be sent. */
  readonly queue?: number | undefined;
}

/** Made by `session.connect`. */
export class LiveConnection {
  readonly #driver: Driver;
  readonly #path: string;
  readonly #machine = new LiveMachine();
  readonly #channels: Channels;
  readonly #events: Stateful<LiveEvents> = stateful();
  readonly #alarm = alarm(() =>
    this.#run((at, unit) => {
      this.#machine.tick(at, unit);
      this.#channels.machine.tick(at);
    }),
  );
  readonly #life = new AbortController();
  /** Ends with the socket in use, or on its way. */
  #line = new AbortController();
  #socket: WebSocket | null = null;

  /** @internal */
  constructor(driver: Driver, path: string, { queue = QUEUE }: LiveOptions = {}) {
    this.#driver = driver;
    this.#path = path;
    this.#channels = new Channels(queue, (happening) => this.#run(happening));
    start(driver);
    const life = this.#life;
    driver.addEventListener("wake", () => this.#run((at) => this.#machine.wake(at)), life);
    driver.addEventListener("state", () => this.#heedSession(), life);
    driver.life.signal.addEventListener("abort", () => this.close(), life);
    this.#heedSession();
    this.#run((at) => this.#machine.connect(at));
  }

  /** The connection at this moment; the same object until something changes. */
  get state(): LiveState {
    return this.#events.state;
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
    return this.#channels.ask(message);
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
    return this.#channels.ask({ channel, data, key }, "publish");
  }

  /** What a channel remembers. Rejected as `publish` is. */
  history(channel: string, { since, limit }: HistoryOptions = {}): Promise<History> {
    return this.#channels.ask({ channel, since, limit }, "history");
  }

  /** Who is on a channel. Rejected as `publish` is. */
  async presence(channel: string): Promise<readonly Member[]> {
    return (await this.#channels.ask<{ members: Member[] }>({ channel }, "presence")).members;
  }

  /** Close it for good. */
  close(): void {
    this.#run(() => this.#machine.close());
  }

  // Driving the machines

  #run(happening: (at: number, unit: number) => void): void {
    const machine = this.#machine;
    const channels = this.#channels.machine;
    const { user } = this.#driver;
    const at = now(this.#driver);
    // Nobody waits for the server to notice that another person has signed in.
    if (user && channels.user(user.id)) machine.userChanged(at);
    happening(at, Math.random());
    const effects = machine.effects.splice(0);
    this.#driver.shown = Math.max(this.#driver.shown, machine.presented);
    for (const effect of effects) this.#perform(effect);
    if (machine.phase === "stopped") {
      this.#life.abort();
      channels.close();
    } else if (!machine.welcome) channels.lost();
    else if (!machine.maySend()) channels.hold();
    this.#publish();
    for (const effect of effects) if (effect.do === "tell") emit(this.#events, effect.what, effect.news);
    for (const effect of channels.effects.splice(0)) {
      if (effect.do === "send") this.#send(effect.text);
      else this.#channels.perform(effect);
    }
    this.#alarm(Math.min(machine.wakeIn(at), channels.wakeIn(at)));
  }

  #perform(effect: LiveEffect): void {
    const driver = this.#driver;
    const { presented } = this.#machine;
    if (effect.do === "open") void this.#open();
    else if (effect.do === "close") this.#line.abort();
    else if (effect.do === "send") {
      const { type, id } = effect;
      const isAuth = type === "auth";
      // A session that has ended since has no token to show.
      if (!isAuth || driver.token) this.#send(write(type, id, isAuth && { token: driver.token }));
    } else if (effect.do === "ask_refresh") {
      run(driver, (session, at) => session.due(at, presented));
      this.#heedSession();
    }
  }

  #publish(): void {
    const { welcome, retryAt, graceEndsAt, ending } = this.#machine;
    const status = this.#status();
    const connection = welcome?.connection ?? null;
    publish(this.#events, [status, connection, retryAt, graceEndsAt, ending], {
      status,
      connection,
      retryAt: dateOf(this.#driver, retryAt),
      graceEndsAt: dateOf(this.#driver, graceEndsAt),
      ending,
    });
  }

  #status(): LiveStatus {
    const { phase, retryAt, due } = this.#machine;
    // Parked, but not for good: the session lives.
    if (phase === "waiting" || retryAt < NEVER) return "offline";
    if (phase === "idle" || phase === "proving") return "connecting";
    return phase === "ready" && due ? "due" : phase;
  }

  // The session's news

  /** A new token is shown to the server, where there is an open socket to show it on. */
  #heedSession(): void {
    const session = this.#driver.machine;
    const machine = this.#machine;
    this.#run((at, unit) => {
      if (session.over()) machine.over(session.status === "signed_out", at, unit);
      else if (session.token > machine.token) machine.refreshed(session.token, at);
    });
  }

  // The socket

  async #open(): Promise<void> {
    const line = new AbortController();
    const { signal } = line;
    this.#line = line;
    try {
      const ticket = await askTicket(this.#driver, this.#path, signal);
      if (!signal.aborted) this.#dial(ticket, signal);
    } catch {
      if (!signal.aborted) this.#heedSession();
    }
  }

  #dial(ticket: Ticket, signal: AbortSignal): void {
    const machine = this.#machine;
    const { url, number } = ticket;
    if (!url) {
      this.#run((at, unit) => machine.denied(number, ticket, at, unit));
      return;
    }
    const socket = new WebSocket(url, [SUBPROTOCOL]);
    this.#socket = socket;
    socket.onopen = () => this.#run((at) => machine.opened(number, at));
    socket.onmessage = ({ data }: MessageEvent<unknown>) => this.#received(read(data));
    socket.onclose = ({ code, reason }) => this.#run((at, unit) => machine.closed(code, reason, at, unit));
    signal.addEventListener("abort", () => {
      // Nothing of it is heard any more.
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close(1000);
    });
  }

  #received(frame: Received): void {
    const machine = this.#machine;
    const channels = this.#channels.machine;
    this.#run((at, unit) => {
      machine.received(frame, at, unit);
      channels.received(frame, at, unit);
      const { welcome, presented } = machine;
      const isProof = frame.type === "welcome" || frame.type === "auth.ok";
      if (isProof && welcome && machine.maySend()) channels.ready(presented, welcome.limits.frame_bytes, at);
    });
  }

  #send(text: string): void {
    this.#socket?.send(text);
  }
}

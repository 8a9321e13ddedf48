import type { Socket } from "./sockets.js";

const HISTORY = 100;

interface Publication {
  readonly offset: number;
  readonly data: unknown;
}

interface Since {
  readonly epoch: string;
  readonly offset: number;
}

interface Request {
  readonly id: unknown;
  readonly type: string;
  readonly channel: string;
  readonly data?: unknown;
  readonly since?: Since;
  readonly limit?: number;
  readonly presence?: boolean;
}

/** The channels of the server in these tests: history, recovery, presence, and rules that a test may change. */
export class Streams {
  /** One life of all channels. */
  epoch = "e1";
  /** Why not, where a channel may not be read or published on. */
  refusal: (socket: Socket, channel: string) => string | null = () => null;
  readonly #kept = new Map<string, Publication[]>();
  readonly #offsets = new Map<string, number>();
  readonly #subscribed = new Map<Socket, Map<string, boolean>>();

  publish(channel: string, data: unknown): Since {
    const offset = this.#offset(channel) + 1;
    this.#offsets.set(channel, offset);
    this.#kept.set(channel, [...this.#after(channel, 0), { offset, data }].slice(-HISTORY));
    for (const [socket, channels] of this.#subscribed) {
      if (channels.has(channel)) socket.say({ type: "event", channel, offset, data });
    }
    return { epoch: this.epoch, offset };
  }

  /** The server has been started again, and remembers nothing. */
  restart(): void {
    this.epoch = `e${Number(this.epoch.slice(1)) + 1}`;
    this.#kept.clear();
    this.#offsets.clear();
  }

  /** Forget what was published, as time does. */
  forget(channel: string): void {
    this.#kept.delete(channel);
  }

  /** End the subscriptions to a channel. */
  end(channel: string, reason: string): void {
    for (const [socket, channels] of this.#subscribed) {
      if (channels.delete(channel)) socket.say({ type: "unsubscribed", channel, reason });
    }
  }

  leave(socket: Socket): void {
    const channels = this.#subscribed.get(socket) ?? new Map<string, boolean>();
    this.#subscribed.delete(socket);
    for (const channel of channels.keys()) this.#tell(channel, socket, "presence.leave");
  }

  /** Whether this was a request about channels, and answered. */
  take(socket: Socket, frame: object): boolean {
    const request = frame as Request;
    const { id, type, channel } = request;
    if (!["subscribe", "unsubscribe", "publish", "history", "presence"].includes(type)) return false;
    const code = type === "unsubscribe" ? null : this.refusal(socket, channel);
    if (code !== null) socket.say({ type: "error", id, code, message: "no" });
    else if (type === "subscribe") this.#subscribe(socket, request);
    else socket.say({ type: "ok", id, result: this.#result(socket, request) });
    return true;
  }

  #subscribe(socket: Socket, { id, channel, since, presence = false }: Request): void {
    const channels = this.#subscribed.get(socket) ?? new Map<string, boolean>();
    if (channels.has(channel)) {
      socket.say({ type: "error", id, code: "already_subscribed", message: "no" });
      return;
    }
    this.#tell(channel, socket, "presence.join");
    this.#subscribed.set(socket, channels.set(channel, presence));
    const { epoch } = this;
    const offset = this.#offset(channel);
    const recovered = since !== undefined && this.#continues(channel, since);
    const members = presence ? { presence: this.#members(channel) } : {};
    socket.say({
      type: "subscribed",
      id,
      channel,
      epoch,
      offset,
      recovered,
      positioned: true,
      ...members,
    });
    if (!recovered) return;
    for (const missed of this.#after(channel, since.offset))
      socket.say({ type: "event", channel, ...missed });
  }

  #result(socket: Socket, { type, channel, data, since, limit = 100 }: Request): unknown {
    if (type === "publish") return this.publish(channel, data);
    if (type === "presence") return { members: this.#members(channel) };
    if (type === "unsubscribe") {
      this.#subscribed.get(socket)?.delete(channel);
      this.#tell(channel, socket, "presence.leave");
      return {};
    }
    const kept = this.#after(channel, since?.offset ?? 0);
    const publications = since === undefined ? kept.slice(-limit) : kept.slice(0, limit);
    const recovered = since !== undefined && this.#continues(channel, since);
    return { epoch: this.epoch, offset: this.#offset(channel), publications, recovered };
  }

  #continues(channel: string, { epoch, offset }: Since): boolean {
    const newest = this.#offset(channel);
    const gone = newest - this.#after(channel, 0).length;
    return epoch === this.epoch && gone <= offset && offset <= newest;
  }

  #after(channel: string, place: number): Publication[] {
    return (this.#kept.get(channel) ?? []).filter(({ offset }) => offset > place);
  }

  #offset(channel: string): number {
    return this.#offsets.get(channel) ?? 0;
  }

  #members(channel: string): object[] {
    const there = [...this.#subscribed].filter(([, channels]) => channels.has(channel));
    return there.map(([socket]) => socket.member());
  }

  #tell(channel: string, about: Socket, type: string): void {
    for (const [socket, channels] of this.#subscribed) {
      if (socket !== about && channels.get(channel)) socket.say({ type, channel, ...about.member() });
    }
  }
}

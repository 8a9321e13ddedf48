import type { World } from "./world.js";

const GRACE = 30;
const PING_INTERVAL = 25;

type Kind = "open" | "message" | "close";

/** Both ends of one `WebSocket`, with a lease as the server keeps it. */
export class Socket {
  readonly url: string;
  readonly protocols: string[];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  /** What the page has sent, as JSON. */
  readonly sent: Record<string, unknown>[] = [];
  /** How it was closed, once it is: by whom, with what. */
  closed: { by: "page" | "server" | "network"; code: number; reason: string } | null = null;
  /** Reaches nobody any more, though nobody has been told. */
  dead = false;
  session = "";
  user = "";
  expiresAt = 0;
  readonly #world: World;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #prompted = false;
  #inGrace = false;

  constructor(world: World, url: string, protocols: string[]) {
    this.#world = world;
    this.url = url;
    this.protocols = protocols;
    setTimeout(() => this.#opens(), 10);
  }

  // What the page does

  send(text: string): void {
    const frame = JSON.parse(text) as Record<string, unknown>;
    this.sent.push(frame);
    if (!this.dead) setTimeout(() => this.#takes(frame), 5);
  }

  close(code: number): void {
    this.closed ??= { by: "page", code, reason: "" };
    this.#world.streams.leave(this);
    clearTimeout(this.#timer);
  }

  // What the server does

  say(frame: unknown): void {
    if (!this.dead && this.closed === null) this.#tell("message", { data: JSON.stringify(frame) });
  }

  end(code: number, reason: string, action: string, more: object = {}): void {
    this.say({ type: "bye", code, reason, action, ...more });
    this.#ends("server", code, reason);
  }

  /** The network is gone, and the browser has noticed. */
  break(): void {
    this.#ends("network", 1006, "");
  }

  /** This connection, as one of those who are there. */
  member(): object {
    return { connection: this.name, user: this.user, name: this.user.replace("u-", "") };
  }

  get name(): string {
    return `c${this.#world.sockets.all.indexOf(this) + 1}`;
  }

  /** The app's messages that the page has sent. */
  messages(): Record<string, unknown>[] {
    return this.sent.filter((frame) => !["auth", "ping", "pong"].includes(String(frame["type"])));
  }

  #opens(): void {
    if (this.closed !== null || this.dead) return;
    if (!this.#world.sockets.reachable) {
      this.#ends("network", 1006, "");
      return;
    }
    this.#tell("open", {});
    const ticket = new URL(this.url).searchParams.get("ticket") ?? "";
    const proof = this.#world.tickets.get(ticket);
    this.#world.tickets.delete(ticket);
    if (proof === undefined || proof.family.ended !== "") {
      this.end(4003, "Invalid token. Please refresh the page to get a new token.", "relogin");
      return;
    }
    this.session = proof.family.id;
    this.user = proof.family.user.id;
    this.expiresAt = proof.expiresAt;
    this.say({
      type: "welcome",
      connection: this.name,
      session: this.session,
      user: this.user,
      ...this.#times(),
      grace: GRACE,
      ping_interval: PING_INTERVAL,
      limits: { frame_bytes: 1000, frames_per_second: 100 },
    });
    this.#watch();
    this.#asks();
  }

  /** Is the page there? */
  #asks(): void {
    setTimeout(() => {
      if (this.closed !== null) return;
      this.say({ type: "ping" });
      this.#asks();
    }, PING_INTERVAL * 1000);
  }

  #takes(frame: Record<string, unknown>): void {
    if (this.closed !== null || this.dead) return;
    const { type, id } = frame;
    if (type === "ping") this.say({ type: "pong", id });
    else if (type === "auth") this.#renews(String(frame["token"]), id);
    else if (type === "pong") return;
    else if (this.#inGrace) this.say({ type: "error", id, code: "auth_required", message: "in grace" });
    else if (this.#world.streams.take(this, frame)) return;
    else if (frame["echo"] !== undefined) this.say({ echoed: frame["echo"] });
  }

  #renews(token: string, id: unknown): void {
    const proof = this.#world.check(token);
    if (typeof proof === "string") {
      const code = proof === "token_expired" ? proof : "invalid_token";
      this.say({ type: "error", id, code, message: "no" });
      return;
    }
    if (proof.family.user.id !== this.user) {
      this.end(4001, "Session ended: signed in as somebody else.", "reconnect");
      return;
    }
    this.session = proof.family.id;
    this.expiresAt = proof.expiresAt;
    this.#prompted = this.#inGrace = false;
    this.say({ type: "auth.ok", id, ...this.#times() });
    this.#watch();
  }

  #watch(): void {
    clearTimeout(this.#timer);
    const { expires_in, refresh_in } = this.#times();
    const next = this.#inGrace ? expires_in + GRACE : this.#prompted ? expires_in : refresh_in;
    this.#timer = setTimeout(() => this.#due(), Math.max(0, next) * 1000);
  }

  #due(): void {
    if (this.closed !== null) return;
    if (this.#inGrace) {
      this.end(4003, "Token expired. Please refresh the page to get a new token.", "refresh");
      return;
    }
    if (this.#prompted) {
      this.#inGrace = true;
      this.say({ type: "auth.grace", grace_left: GRACE });
    } else {
      this.#prompted = true;
      this.say({ type: "auth.due", expires_in: this.#times().expires_in });
    }
    this.#watch();
  }

  #times(): { expires_in: number; refresh_in: number } {
    const expires_in = this.expiresAt - this.#world.now();
    return { expires_in, refresh_in: expires_in - Math.min(300, this.#world.lifetime / 2) };
  }

  #ends(by: "server" | "network", code: number, reason: string): void {
    if (this.closed !== null) return;
    this.closed = { by, code, reason };
    this.#world.streams.leave(this);
    clearTimeout(this.#timer);
    if (!this.dead) this.#tell("close", { code, reason });
  }

  #tell(kind: Kind, event: object): void {
    const handler = this[`on${kind}`] as ((event: object) => void) | null;
    handler?.(event);
  }
}

/** Every socket that was opened, in order. */
export class Sockets {
  readonly all: Socket[] = [];
  reachable = true;
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  constructorFor() {
    const { all } = this;
    const world = this.#world;
    return function FakeWebSocket(url: string, protocols: string[]) {
      const socket = new Socket(world, url, protocols);
      all.push(socket);
      return socket;
    };
  }

  get last(): Socket {
    const last = this.all.at(-1);
    if (last === undefined) throw new Error("no socket was opened");
    return last;
  }

  get open(): Socket[] {
    return this.all.filter((socket) => socket.closed === null);
  }

  /** End all sockets of a session. */
  revoke(session: string): void {
    for (const socket of this.open) {
      if (socket.session === session) socket.end(4001, "Session ended: revoked.", "relogin");
    }
  }
}

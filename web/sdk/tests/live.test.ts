import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createSession, type LiveConnection, type LiveOptions, type Session } from "../src/index.js";
import type { Socket } from "./sockets.js";
import { destroyWorld, fate, refusal, World } from "./world.js";

let world: World;
let session: Session;
let messages: unknown[];
let statuses: string[];

beforeEach(() => {
  world = new World();
  session = createSession();
  messages = [];
  statuses = [];
});

afterEach(() => {
  session.destroy();
  destroyWorld();
});

async function signIn(name = "ann", by = session): Promise<void> {
  await Promise.all([by.login(name, "right"), world.pass(0.5)]);
}

async function connect(options?: LiveOptions): Promise<LiveConnection> {
  const live = session.connect("/ws", options);
  live.on("message", (message) => messages.push(message));
  live.on("state", ({ status }) => statuses.push(status));
  await world.pass(0.5);
  return live;
}

const socket = (): Socket => world.sockets.last;
const sentTypes = () => socket().sent.map(({ type }) => type);

describe("opening", () => {
  test("uses a ticket, and leaves the token out of URL and subprotocols", async () => {
    await signIn();
    const live = await connect();
    expect(socket().url).toMatch(/^wss:\/\/app\.example\/ws\?ticket=ticket-\d+$/);
    expect(socket().protocols).toEqual(["holdfast.v1"]);
    expect(live.state).toMatchObject({ status: "ready", connection: "c1", ending: null, retryAt: null });
    expect(statuses).toEqual(["ready"]);
  });

  test("waits for the session when it is not known yet", async () => {
    await signIn();
    session.destroy();
    session = createSession();
    const restored = session.restore();
    const live = await connect();
    await restored;
    expect(live.state.status).toBe("ready");
  });

  test("waits for a sign-in when there is no session", async () => {
    const live = await connect();
    expect(live.state.status).toBe("parked");
    expect(world.requests).toEqual([]);
    await signIn();
    expect(live.state.status).toBe("ready");
  });

  test("refreshes first when that is due", async () => {
    await signIn();
    world.sleep(3600);
    const live = await connect();
    expect(live.state.status).toBe("ready");
    expect(world.count("/auth/refresh")).toBe(1);
    expect(world.sockets.all).toHaveLength(1);
  });

  test("asks for a new ticket each time", async () => {
    await signIn();
    await connect();
    const first = socket().url;
    socket().break();
    await world.pass(1);
    expect(socket().url).not.toBe(first);
  });

  test("stops when the server has no such thing", async () => {
    await signIn();
    world.fault = ({ path }) => (path === "/auth/ticket" ? refusal(403, "forbidden") : null);
    const live = await connect();
    expect(live.state).toMatchObject({ status: "stopped", ending: { code: 403, action: "stop" } });
  });

  test("gives up on a socket that neither opens nor fails, and tries again", async () => {
    await signIn();
    world.fault = ({ path }) => (path === "/auth/ticket" ? "silence" : null);
    const live = await connect();
    await world.pass(16);
    world.fault = () => null;
    await world.pass(20);
    expect(live.state.status).toBe("ready");
  });
});

describe("through many tokens", () => {
  test("the same socket lives for a hundred lifetimes of six seconds, and loses nothing", async () => {
    world.lifetime = 6;
    await signIn();
    await connect();
    for (let number = 0; number < 600; number++) {
      socket().say({ number });
      await world.pass(1);
    }
    expect(world.sockets.all).toHaveLength(1);
    expect(socket().closed).toBeNull();
    expect(messages).toEqual(Array.from({ length: 600 }, (_, number) => ({ number })));
    expect(statuses.every((status) => status === "ready" || status === "due")).toBe(true);
  });

  test("a renewal shows the new token at once, and needs no confirmation over HTTP", async () => {
    await signIn();
    await connect();
    await world.pass(600);
    const proofs = socket().sent.filter(({ type }) => type === "auth");
    expect(proofs).toEqual([{ type: "auth", id: expect.any(String), token: await session.getToken() }]);
    expect(world.count("/auth/confirm")).toBe(0);
    expect(world.families.get("s1")?.confirmed).toBe(2);
  });

  test("the server's prompt is enough where timers are slowed down", async () => {
    await signIn();
    const live = await connect();
    socket().say({ type: "auth.due", expires_in: 300 });
    expect(live.state.status).toBe("due");
    await world.pass(1);
    expect(live.state.status).toBe("ready");
    expect(world.count("/auth/refresh")).toBe(1);
  });

  test("all connections of the page show it, with one refresh", async () => {
    await signIn();
    await connect();
    session.connect("/other");
    await world.pass(600);
    expect(world.count("/auth/refresh")).toBe(1);
    expect(world.sockets.all.map(({ sent }) => sent.filter(({ type }) => type === "auth").length)).toEqual([
      1, 1,
    ]);
  });

  test("five tabs hold their sockets through fifty refreshes", async () => {
    await signIn();
    await connect();
    const others = Array.from({ length: 4 }, () => createSession());
    for (const other of others) {
      await Promise.all([other.restore(), world.pass(0.5)]);
      other.connect("/ws");
    }
    await world.pass(50 * 600);
    expect(world.sockets.all).toHaveLength(5);
    expect(world.sockets.open).toHaveLength(5);
    for (const other of others) other.destroy();
  });
});

describe("late", () => {
  test("a refresh that comes in the grace heals it in place", async () => {
    await signIn();
    const live = await connect();
    world.fault = ({ path }) => (path === "/auth/refresh" ? new TypeError("failed to fetch") : null);
    await world.pass(910);
    expect(live.state.status).toBe("grace");
    expect(((live.state.graceEndsAt ?? 0) - Date.now()) / 1000).toBeCloseTo(19.5, 0);
    socket().say({ still: "received" });
    const waiting = live.send({ say: "hello" });
    world.fault = () => null;
    dispatchEvent(new Event("online"));
    await world.pass(1);
    expect(live.state.status).toBe("ready");
    expect(world.sockets.all).toHaveLength(1);
    expect(await fate(waiting)).toBe("sent");
    expect(messages).toEqual([{ still: "received" }]);
    expect(socket().messages()).toEqual([{ say: "hello" }]);
  });

  test("after the grace it comes back by itself, and nobody is asked to sign in", async () => {
    await signIn();
    const live = await connect();
    world.fault = () => new TypeError("failed to fetch");
    await world.pass(1000);
    expect(live.state).toMatchObject({ status: "offline", ending: { code: 4003, action: "refresh" } });
    world.fault = () => null;
    await world.pass(90);
    expect(live.state).toMatchObject({ status: "ready", ending: null });
    expect(session.state.status).toBe("active");
  });
});

describe("when the network is gone", () => {
  test("tries again, spread out, and says when", async () => {
    await signIn();
    const live = await connect();
    world.sockets.reachable = false;
    socket().break();
    expect(live.state).toMatchObject({ status: "offline", ending: { code: 1006 } });
    expect(((live.state.retryAt ?? 0) - Date.now()) / 1000).toBeCloseTo(0.5, 2);
    await world.pass(600);
    const tries = world.sockets.all.length;
    expect(tries).toBeGreaterThan(15);
    expect(tries).toBeLessThan(30);
    world.sockets.reachable = true;
    await world.pass(31);
    expect(live.state.status).toBe("ready");
  });

  test("comes back at once when the browser says that it is there again", async () => {
    await signIn();
    const live = await connect();
    world.sockets.reachable = false;
    socket().break();
    await world.pass(100);
    world.sockets.reachable = true;
    dispatchEvent(new Event("online"));
    await world.pass(0.1);
    expect(live.state.status).toBe("ready");
  });

  test("after a restart comes back at its own moment", async () => {
    await signIn();
    const live = await connect();
    const reason = "The server is restarting; come back in a moment.";
    socket().end(1012, reason, "reconnect", { retry_after_ms: 3150 });
    expect(live.state.ending).toMatchObject({ code: 1012, reason });
    await world.pass(3.1);
    expect(world.sockets.all).toHaveLength(1);
    await world.pass(0.2);
    expect(live.state.status).toBe("ready");
  });

  test("a server that answers everything with 500 for an hour is waited for", async () => {
    await signIn();
    const live = await connect();
    world.fault = () => new Response("", { status: 500 });
    socket().break();
    await world.pass(3600);
    expect(["offline", "connecting"]).toContain(live.state.status);
    world.fault = () => null;
    await world.pass(90);
    expect(live.state.status).toBe("ready");
  });
});

describe("after a sleep", () => {
  test("a socket that is really open is asked, and kept", async () => {
    await signIn();
    const live = await connect();
    world.sleep(120);
    world.show();
    await world.pass(1);
    expect(sentTypes()).toContain("ping");
    expect(live.state.status).toBe("ready");
    expect(world.sockets.all).toHaveLength(1);
  });

  test("one that only looks open is replaced, after one refresh", async () => {
    await signIn();
    const live = await connect();
    socket().dead = true;
    world.sleep(8 * 3600);
    world.show();
    await world.pass(10);
    expect(live.state.status).toBe("ready");
    expect(world.sockets.all).toHaveLength(2);
    expect(world.count("/auth/refresh")).toBe(1);
    expect(session.state.status).toBe("active");
  });

  test("what a socket that was given up says later is not heard", async () => {
    await signIn();
    const live = await connect();
    const first = socket();
    first.dead = true;
    world.show();
    await world.pass(10);
    first.dead = false;
    first.closed = null;
    first.say({ from: "the grave" });
    first.break();
    expect(messages).toEqual([]);
    expect(statuses.at(-1)).toBe("ready");
    await live.send({ number: 1 });
    expect(socket().messages()).toEqual([{ number: 1 }]);
  });
});

describe("when the session ends", () => {
  test("a renewal that the server has put off shows no token that there is not", async () => {
    await signIn();
    await connect();
    const line = socket();
    const say = line.say.bind(line);
    line.say = (frame) => {
      const { type, id } = frame as Record<string, unknown>;
      const later = { type: "error", id, code: "try_later", message: "", retry_after_ms: 5000 };
      say(type === "auth.ok" ? later : frame);
    };
    await world.pass(601);
    world.fault = ({ path }) => (path === "/auth/refresh" ? refusal(401, "session_ended") : null);
    session.refreshToken().catch(() => null);
    await world.pass(1);
    expect(session.state.status).toBe("ended");
    await world.pass(10);
    const shown = line.sent.filter(({ type }) => type === "auth").map(({ token }) => typeof token);
    expect(shown).toEqual(shown.map(() => "string"));
    expect(shown.length).toBeGreaterThan(0);
  });

  test("the connection waits, and a sign-in as the same person brings it back", async () => {
    await signIn();
    const live = await connect();
    world.end("s1");
    await world.pass(1);
    expect(session.state).toMatchObject({ status: "ended", user: { name: "ann" } });
    expect(live.state).toMatchObject({ status: "parked", ending: { code: 4001 } });
    const tries = world.requests.length;
    await world.pass(600);
    expect(world.requests.length).toBe(tries);
    await signIn();
    expect(live.state.status).toBe("ready");
  });

  test("a sign-in while the socket still lives goes on with that very socket", async () => {
    await signIn();
    const live = await connect();
    world.fault = ({ path }) => (path === "/auth/refresh" ? refusal(401, "session_ended") : null);
    await world.pass(601);
    expect(session.state.status).toBe("ended");
    expect(live.state.status).toBe("due");
    world.fault = () => null;
    await signIn();
    await world.pass(1);
    expect(live.state.status).toBe("ready");
    expect(world.sockets.all).toHaveLength(1);
    socket().say({ goes: "on" });
    expect(messages).toEqual([{ goes: "on" }]);
  });

  test("a sign-in as somebody else starts from nothing, and sends nothing of the first", async () => {
    await signIn();
    const live = await connect();
    world.fault = ({ path }) => (path === "/auth/refresh" ? new TypeError("failed to fetch") : null);
    await world.pass(901);
    expect(live.state.status).toBe("grace");
    const waiting = fate(live.send({ of: "ann" }));
    world.fault = () => null;
    await signIn("bob");
    await world.pass(2);
    expect(live.state.status).toBe("ready");
    expect(socket().user).toBe("u-bob");
    expect(await waiting).toBe("another_user");
    expect(socket().messages()).toEqual([]);
  });

  test("signing out closes it at once, whatever the server does", async () => {
    await signIn();
    const live = await connect();
    world.fault = () => "silence";
    session.logout().catch(() => undefined);
    expect(live.state.status).toBe("parked");
    expect(socket().closed).toMatchObject({ by: "page", code: 1000 });
    await world.pass(10);
    world.fault = () => null;
    await signIn();
    expect(live.state.status).toBe("ready");
  });

  test("signing out in another tab closes it too", async () => {
    await signIn();
    const live = await connect();
    const other = createSession();
    await Promise.all([other.restore(), world.pass(0.5)]);
    await Promise.all([other.logout(), world.pass(0.5)]);
    expect(live.state.status).toBe("parked");
    expect(world.sockets.open).toEqual([]);
    other.destroy();
  });
});

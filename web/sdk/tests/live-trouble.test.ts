import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createSession, type LiveConnection, type LiveOptions, type Session } from "../src/index.js";
import type { Socket } from "./sockets.js";
import { destroyWorld, fate, refusal, World } from "./world.js";

let world: World;
let session: Session;
let messages: unknown[];

beforeEach(() => {
  world = new World();
  session = createSession();
  messages = [];
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
  await world.pass(0.5);
  return live;
}

const socket = (): Socket => world.sockets.last;

describe("a server in trouble", () => {
  test.each([1, 5, 13])(
    "a server that is back %i s after the grace began finds the socket still there",
    async (later) => {
      await signIn();
      const live = await connect();
      world.fault = ({ path }) => (path === "/auth/refresh" ? new Response("", { status: 500 }) : null);
      // Five minutes of failures; the next try is up to a minute away.
      vi.mocked(Math.random).mockReturnValue(0.99);
      await world.pass(900 - 0.5);
      while (live.state.status !== "grace") await world.pass(0.1);
      await world.pass(later);
      world.fault = () => null;
      await world.pass(29 - later);
      expect(live.state.status).toBe("ready");
      expect(world.sockets.all).toHaveLength(1);
      expect(socket().closed).toBeNull();
    },
  );

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

  test.each([
    ["from the first moment", false],
    ["after it worked", true],
  ])("a proxy that answers tickets with a 401 of its own, %s, is waited for", async (_when, worked) => {
    await signIn();
    const proxy = () => new Response("<h1>401 Unauthorized</h1>", { status: 401 });
    if (!worked) world.fault = ({ path }) => (path === "/auth/ticket" ? proxy() : null);
    const live = await connect();
    world.fault = ({ path }) => (path === "/auth/ticket" ? proxy() : null);
    if (worked) socket().break();
    await world.pass(600);
    expect(live.state).toMatchObject({ status: "offline", ending: { code: 401, action: "reconnect" } });
    expect(live.state.retryAt).toBeGreaterThan(Date.now());
    world.fault = () => null;
    await world.pass(61);
    expect(live.state.status).toBe("ready");
    expect(session.state.status).toBe("active");
  });

  test("a server that refuses the tokens it has just given is asked again, and says when", async () => {
    await signIn();
    world.fault = ({ path }) => (path === "/auth/ticket" ? refusal(401, "invalid_token") : null);
    const live = await connect();
    await world.pass(600);
    expect(live.state).toMatchObject({ status: "offline", ending: { code: 4003, action: "relogin" } });
    expect(live.state.retryAt).toBeGreaterThan(Date.now());
    expect(session.state.status).toBe("active");
    expect(world.count("/auth/ticket")).toBeLessThan(60);
    world.fault = () => null;
    await world.pass(61);
    expect(live.state.status).toBe("ready");
  });

  test("a network that is gone is noticed in seconds when the browser says so", async () => {
    await signIn();
    const live = await connect();
    socket().dead = true;
    world.sockets.reachable = false;
    world.fault = () => new TypeError("failed to fetch");
    dispatchEvent(new Event("offline"));
    await world.pass(9);
    expect(live.state.status).toBe("offline");
  });

  test("a socket that was given up is not heard any more, whatever it still says", async () => {
    await signIn();
    const live = await connect();
    const given = socket();
    given.dead = true;
    dispatchEvent(new Event("online"));
    await world.pass(12);
    expect(live.state).toMatchObject({ status: "ready", connection: "c2" });
    expect(given.closed).toMatchObject({ by: "page", code: 1000 });
    expect([given.onopen, given.onmessage, given.onclose]).toEqual([null, null, null]);
  });

  test("a Retry-After is kept to, but not for ever", async () => {
    await signIn();
    const live = await connect();
    const later = (seconds: string) => () => refusal(429, "throttled", { "Retry-After": seconds });
    world.fault = later("7");
    socket().break();
    await world.pass(1);
    const before = world.count("/auth/ticket");
    expect(((live.state.retryAt ?? 0) - Date.now()) / 1000).toBeGreaterThan(6);
    world.show();
    await world.pass(5.4);
    expect(world.count("/auth/ticket")).toBe(before);
    world.fault = later("31536000");
    await world.pass(2);
    expect(((live.state.retryAt ?? 0) - Date.now()) / 1000).toBeLessThanOrEqual(3600);
    world.fault = () => null;
    await world.pass(60);
    world.show();
    await world.pass(1);
    expect(live.state.status).toBe("ready");
  });
});

describe("another person", () => {
  test("a sign-in as somebody else closes the first one's socket at once, before the server has noticed", async () => {
    await signIn();
    const sent: Promise<string>[] = [];
    // It hears of the change before the connection does.
    session.on("state", ({ user }) => {
      if (user?.name === "bob" && sent.length === 0) sent.push(fate(live.send({ of: "bob" })));
    });
    const live = await connect();
    const first = socket();
    const done = session.login("bob", "right");
    await world.pass(0.02);
    await done;
    expect(first.closed).toMatchObject({ by: "page", code: 1000 });
    first.closed = null;
    first.say({ of: "ann" });
    first.break();
    await world.pass(1);
    expect(messages).toEqual([]);
    expect(first.messages()).toEqual([]);
    expect(await Promise.all(sent)).toEqual(["sent"]);
    expect(socket()).toMatchObject({ user: "u-bob", closed: null });
    expect(socket().messages()).toEqual([{ of: "bob" }]);
    expect(live.state).toMatchObject({ status: "ready", connection: "c2" });
    expect(world.sockets.all).toHaveLength(2);
  });

  test("a sign-in as somebody else in another tab does so too", async () => {
    await signIn();
    await connect();
    const other = createSession();
    await Promise.all([other.restore(), world.pass(0.5)]);
    await Promise.all([other.login("bob", "right"), world.pass(1)]);
    expect(world.sockets.all.map(({ user }) => user)).toEqual(["u-ann", "u-bob"]);
    expect(world.sockets.all[0]?.closed).toMatchObject({ by: "page" });
    other.destroy();
  });

  test("a sign-in as the same person in another session keeps the socket", async () => {
    await signIn();
    await connect();
    await signIn();
    await world.pass(1);
    expect(world.sockets.all).toHaveLength(1);
    expect(socket().session).toBe("s2");
  });
});

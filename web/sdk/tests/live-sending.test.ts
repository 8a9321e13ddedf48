import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createSession, type LiveConnection, type Session } from "../src/index.js";
import type { Socket } from "./sockets.js";
import { destroyWorld, fate, World } from "./world.js";

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

async function signIn(): Promise<void> {
  await Promise.all([session.login("ann", "right"), world.pass(0.5)]);
}

async function connect(): Promise<LiveConnection> {
  const live = session.connect("/ws");
  live.on("message", (message) => messages.push(message));
  await world.pass(0.5);
  return live;
}

const socket = (): Socket => world.sockets.last;

describe("sending", () => {
  test("hands a message to the socket once", async () => {
    await signIn();
    const live = await connect();
    expect(await fate(live.send({ echo: 1 }))).toBe("sent");
    await world.pass(1);
    expect(socket().messages()).toEqual([{ echo: 1 }]);
    expect(messages).toEqual([{ echoed: 1 }]);
  });

  test("before the connection is ready waits, in order", async () => {
    await signIn();
    const live = session.connect("/ws");
    const fates = [1, 2, 3].map((number) => fate(live.send({ number })));
    await world.pass(0.5);
    expect(await Promise.all(fates)).toEqual(["sent", "sent", "sent"]);
    expect(socket().messages()).toEqual([{ number: 1 }, { number: 2 }, { number: 3 }]);
  });

  test("waits through a reconnect, and is never sent twice", async () => {
    await signIn();
    const live = await connect();
    await live.send({ number: 1 });
    socket().break();
    const second = live.send({ number: 2 });
    await world.pass(2);
    await second;
    expect(world.sockets.all.flatMap((each) => each.messages())).toEqual([{ number: 1 }, { number: 2 }]);
  });

  test("after the goodbye waits for the next socket", async () => {
    await signIn();
    const live = await connect();
    socket().say({ type: "bye", code: 1012, reason: "", action: "reconnect" });
    const waiting = live.send({ number: 1 });
    const first = socket();
    first.break();
    await world.pass(2);
    await waiting;
    expect(first.messages()).toEqual([]);
    expect(socket().messages()).toEqual([{ number: 1 }]);
  });

  test("more than may wait is refused", async () => {
    await signIn();
    const live = session.connect("/ws", { queue: 2 });
    const fates = [1, 2, 3].map((number) => fate(live.send({ number })));
    await world.pass(0.5);
    expect(await Promise.all(fates)).toEqual(["sent", "sent", "queue_full"]);
  });

  test("more than the server takes at once is refused here, where it costs no connection", async () => {
    await signIn();
    const live = await connect();
    expect(await fate(live.send({ long: "я".repeat(500) }))).toBe("frame_too_large");
    expect(await fate(live.send({ long: "я".repeat(490) }))).toBe("sent");
    expect(live.state.status).toBe("ready");
  });

  test("what the server could not use is told, with the message's id", async () => {
    await signIn();
    const live = await connect();
    const problems: unknown[] = [];
    live.on("error", (problem) => problems.push(problem));
    socket().say({ type: "error", id: 7, code: "auth_required", message: "send a token first" });
    expect(problems).toEqual([{ id: 7, code: "auth_required", message: "send a token first" }]);
  });
});

test("what is no JSON is rejected, and nothing else suffers", async () => {
  await signIn();
  const live = await connect();
  await expect(live.send({ number: 1n })).rejects.toThrow(TypeError);
  await expect(live.publish("job:1", 1n)).rejects.toThrow(TypeError);
  expect(await fate(live.send({ number: 1 }))).toBe("sent");
});

describe("closing", () => {
  test("is for good, and what still waited is told", async () => {
    await signIn();
    const live = session.connect("/ws");
    const waiting = fate(live.send({ number: 1 }));
    live.close();
    expect(await waiting).toBe("closed");
    expect(await fate(live.send({ number: 2 }))).toBe("closed");
    await world.pass(60);
    expect(live.state.status).toBe("stopped");
    expect(world.sockets.open).toEqual([]);
  });

  test("comes with the end of the session object", async () => {
    await signIn();
    const live = await connect();
    session.destroy();
    expect(live.state.status).toBe("stopped");
    expect(socket().closed).toMatchObject({ by: "page" });
  });

  test("leaves no listener behind that would keep it in memory", async () => {
    await signIn();
    const listen = vi.spyOn(EventTarget.prototype, "addEventListener");
    const live = session.connect("/ws");
    const signals = listen.mock.calls.flatMap(([, , options]) =>
      typeof options === "object" && options.signal ? [options.signal] : [],
    );
    listen.mockRestore();
    expect(signals.length).toBeGreaterThan(2);
    live.close();
    expect(signals.map(({ aborted }) => aborted)).toEqual(signals.map(() => true));
  });

  test("by the app on the server is final", async () => {
    await signIn();
    const live = await connect();
    socket().end(1000, "", "stop");
    await world.pass(600);
    expect(live.state).toMatchObject({ status: "stopped", ending: { code: 1000 } });
    expect(world.sockets.all).toHaveLength(1);
  });
});

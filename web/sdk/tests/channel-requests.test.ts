import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { followJob, say } from "../examples/channels.js";
import {
  createSession,
  type LiveConnection,
  type Session,
  type SubscribeOptions,
  type Subscription,
} from "../src/index.js";
import type { Socket } from "./sockets.js";
import { destroyWorld, World } from "./world.js";

let world: World;
let session: Session;
let live: LiveConnection;
/** What was heard on `job:1`, in order. */
let heard: unknown[];

beforeEach(async () => {
  world = new World();
  session = createSession();
  heard = [];
  await signIn();
  live = session.connect("/ws");
  await world.pass(0.5);
});

afterEach(() => {
  session.destroy();
  destroyWorld();
});

async function signIn(name = "ann"): Promise<void> {
  await Promise.all([session.login(name, "right"), world.pass(0.5)]);
}

function subscribe(options?: SubscribeOptions, into = heard): Subscription {
  const subscription = live.subscribe("job:1", ({ data }) => into.push(data), options);
  subscription.on("subscribed", ({ fresh, recovered }) =>
    into.push(fresh ? "fresh" : recovered ? "recovered" : "lost"),
  );
  subscription.on("refused", ({ code }) => into.push(code));
  subscription.on("unsubscribed", ({ reason }) => into.push(reason));
  return subscription;
}

const socket = (): Socket => world.sockets.last;
const publish = (data: unknown) => world.streams.publish("job:1", data);
const asked = (type: string) => socket().sent.filter((frame) => frame["type"] === type);

async function fate(promise: Promise<unknown>): Promise<unknown> {
  return await promise.catch((error: { code: string }) => error.code);
}

describe("presence", () => {
  test("says who is there, and who comes and goes", async () => {
    const subscription = subscribe({ presence: true });
    const changes: string[][] = [];
    subscription.on("presence", (members) => changes.push(members.map(({ connection }) => connection)));
    await world.pass(0.1);
    const other = createSession();
    await Promise.all([other.restore(), world.pass(0.5)]);
    const theirs = other.connect("/ws");
    theirs.subscribe("job:1", () => undefined);
    await world.pass(0.5);
    expect(subscription.members).toContainEqual({ connection: "c2", user: "u-ann", name: "ann" });
    theirs.close();
    await world.pass(0.1);
    expect(changes).toEqual([["c1"], ["c1", "c2"], ["c1"]]);
    other.destroy();
  });

  test("may be asked for", async () => {
    subscribe();
    const members = live.presence("job:1");
    await world.pass(0.1);
    expect(await members).toEqual([{ connection: "c1", user: "u-ann", name: "ann" }]);
  });
});

describe("requests", () => {
  test("publish answers where it stands", async () => {
    subscribe();
    const published = live.publish("job:1", { a: 1 }, { key: "k1" });
    await world.pass(0.1);
    expect(await published).toEqual({ epoch: "e1", offset: 1 });
    expect(asked("publish")).toEqual([
      { type: "publish", id: expect.any(String), channel: "job:1", data: { a: 1 }, key: "k1" },
    ]);
    expect(heard).toEqual(["fresh", { a: 1 }]);
  });

  test("publish takes the data as it is now", async () => {
    socket().break();
    const data = { step: 1 };
    const published = live.publish("job:1", data);
    data.step = 2;
    await world.pass(2);
    await published;
    expect(asked("publish")).toMatchObject([{ data: { step: 1 } }]);
  });

  test("history answers what the channel remembers", async () => {
    for (const number of [1, 2, 3]) publish(number);
    const newest = live.history("job:1", { limit: 2 });
    const first = live.history("job:1", { since: { epoch: "e1", offset: 1 }, limit: 1 });
    await world.pass(0.1);
    const at = { epoch: "e1", offset: 3 };
    const two = { offset: 2, data: 2 };
    expect(await newest).toEqual({ ...at, publications: [two, { offset: 3, data: 3 }], recovered: false });
    expect(await first).toEqual({ ...at, publications: [two], recovered: true });
  });

  test("the server's refusal is told in its words", async () => {
    world.streams.refusal = () => "forbidden";
    const refused = live.publish("job:1", 1).catch((error: unknown) => error);
    await world.pass(0.1);
    expect(await refused).toMatchObject({ code: "forbidden", message: "no" });
  });

  test("a refusal for a while says for how long", async () => {
    const refused = live.publish("job:1", 1).catch((error: unknown) => error);
    socket().say({ type: "error", id: asked("publish")[0]?.["id"], code: "busy", retry_after_ms: 1500 });
    expect(await refused).toMatchObject({ code: "busy", retryIn: 1.5 });
  });

  test("what was on its way when the connection was lost may have arrived, and is not repeated", async () => {
    const published = live.publish("job:1", 1).catch((error: unknown) => error);
    socket().break();
    expect(await published).toMatchObject({ code: "lost", message: expect.stringContaining("may have") });
    await world.pass(2);
    expect(asked("publish")).toEqual([]);
  });

  test("what one person wanted to publish is not published as another", async () => {
    world.fault = ({ path }) => (path === "/auth/refresh" ? new TypeError("failed to fetch") : null);
    await world.pass(901);
    const waiting = fate(live.publish("job:1", "ann's"));
    world.fault = () => null;
    await signIn("bob");
    await world.pass(2);
    expect(await waiting).toBe("another_user");
    expect(asked("publish")).toEqual([]);
  });

  test("more than the server takes at once is refused here", async () => {
    expect(await fate(live.publish("job:1", "я".repeat(500)))).toBe("frame_too_large");
    expect(live.state.status).toBe("ready");
  });
});

describe("closing the connection", () => {
  test("ends its channels, and whatever waits", async () => {
    const subscription = subscribe();
    await world.pass(0.1);
    const sent = fate(live.publish("job:1", 1));
    live.close();
    expect(await sent).toBe("lost");
    expect(subscription.status).toBe("unsubscribed");
    expect(heard).toEqual(["fresh", "closed"]);
    expect(await fate(live.history("job:1"))).toBe("closed");
    const late: unknown[] = [];
    const subscribed = subscribe({}, late);
    await world.pass(0);
    expect(subscribed.status).toBe("unsubscribed");
    expect(late).toEqual(["closed"]);
    subscription.unsubscribe();
  });

  test("by the server for good does so too", async () => {
    const subscription = subscribe();
    await world.pass(0.1);
    socket().end(1000, "", "stop");
    expect(subscription.status).toBe("unsubscribed");
    expect(heard).toEqual(["fresh", "closed"]);
  });
});

describe("the example", () => {
  test("loads what cannot be had from the channel", async () => {
    const done: unknown[] = [];
    followJob(
      live,
      "1",
      (progress) => done.push(progress),
      () => done.push("load"),
    );
    await world.pass(0.1);
    publish(1);
    socket().break();
    publish(2);
    await world.pass(2);
    socket().break();
    publish(3);
    world.streams.forget("job:1");
    await world.pass(2);
    publish(4);
    expect(done).toEqual(["load", 1, 2, "load", 4]);
  });

  test("publishes again with the same key when the answer was lost", async () => {
    const said = say(live, "a", "hello");
    const first = asked("publish");
    socket().break();
    await world.pass(2);
    await said;
    expect(asked("publish")[0]?.["key"]).toBe(first[0]?.["key"]);
    world.streams.refusal = () => "forbidden";
    const refused = fate(say(live, "a", "hello"));
    await world.pass(0.1);
    expect(await refused).toBe("forbidden");
  });
});

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  type ChannelEvent,
  createSession,
  type LiveConnection,
  type Position,
  type Session,
  type SubscribeOptions,
  type Subscription,
  type SubscriptionEvents,
} from "../src/index.js";
import type { Socket } from "./sockets.js";
import { destroyWorld, World } from "./world.js";

let world: World;
let session: Session;
let live: LiveConnection;
/** What was heard on `job:1`, in order: data of publications, and what became of the subscription. */
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

describe("subscribing", () => {
  test("brings what is published from here on, whole", async () => {
    publish("before");
    const events: ChannelEvent[] = [];
    const subscription = live.subscribe("job:1", (event) => events.push(event));
    expect(subscription).toMatchObject({ channel: "job:1", status: "subscribing", position: null });
    await world.pass(0.1);
    expect(subscription.status).toBe("subscribed");
    expect(subscription.position).toEqual({ epoch: "e1", offset: 1 });
    publish({ progress: 0.5 });
    expect(events).toEqual([{ channel: "job:1", offset: 2, data: { progress: 0.5 } }]);
    expect(subscription.position).toEqual({ epoch: "e1", offset: 2 });
  });

  test("tells where it stands, the first time", async () => {
    const told: unknown[] = [];
    subscribe().on("subscribed", (event) => told.push(event));
    await world.pass(0.1);
    expect(told).toEqual([{ fresh: true, recovered: false, position: { epoch: "e1", offset: 0 } }]);
  });

  test("asks the server once for many subscribers, and each of them hears everything", async () => {
    const others: unknown[] = [];
    subscribe();
    await world.pass(0.1);
    publish(1);
    subscribe({}, others);
    await world.pass(0.1);
    publish(2);
    expect(asked("subscribe")).toHaveLength(1);
    expect(heard).toEqual(["fresh", 1, 2]);
    expect(others).toEqual(["fresh", 2]);
  });

  test("tells one that comes later where the channel stands by then", async () => {
    subscribe();
    await world.pass(0.1);
    publish(1);
    const later: unknown[] = [];
    live.subscribe("job:1", () => undefined).on("subscribed", (event) => later.push(event));
    await world.pass(0);
    expect(later).toEqual([{ fresh: true, recovered: false, position: { epoch: "e1", offset: 1 } }]);
  });

  test("goes on with the others when a listener throws", async () => {
    const reported = vi.fn();
    process.once("uncaughtException", reported);
    live.subscribe("job:1", () => {
      throw new Error("a listener's own");
    });
    subscribe();
    await world.pass(0.1);
    publish(1);
    await world.pass(0);
    await new Promise((done) => process.nextTick(done));
    expect(heard).toEqual(["fresh", 1]);
    expect(reported).toHaveBeenCalledOnce();
  });

  test("within a listener brings what comes after", async () => {
    const inner: unknown[] = [];
    live.subscribe("job:1", ({ data }) => {
      if (data === 1) subscribe({}, inner);
    });
    await world.pass(0.1);
    publish(1);
    await world.pass(0);
    publish(2);
    expect(inner).toEqual(["fresh", 2]);
  });

  test("may be done before anybody is signed in", async () => {
    await Promise.all([session.logout(), world.pass(0.5)]);
    subscribe();
    await signIn();
    publish(1);
    expect(heard).toEqual(["fresh", 1]);
  });
});

describe("subscribing from a place", () => {
  const at = (offset: number): Position => ({ epoch: "e1", offset });
  let told: SubscriptionEvents["subscribed"][];

  function subscribeFrom(since: Position | null): Subscription {
    const subscription = subscribe({ since });
    subscription.on("subscribed", (event) => told.push(event));
    return subscription;
  }

  beforeEach(() => {
    told = [];
    for (const data of ["one", "two", "three"]) publish(data);
  });

  test("brings what was published after it, and then what is new", async () => {
    const subscription = subscribeFrom(at(1));
    expect(subscription.position).toEqual(at(1));
    await world.pass(0.1);
    publish("four");
    expect(asked("subscribe")).toEqual([expect.objectContaining({ since: at(1) })]);
    expect(told).toEqual([{ fresh: true, recovered: true, position: at(1) }]);
    expect(heard).toEqual(["fresh", "two", "three", "four"]);
  });

  test("is told when what was published after it is gone", async () => {
    world.streams.forget("job:1");
    subscribeFrom(at(1));
    await world.pass(0.1);
    publish("four");
    expect(told).toEqual([{ fresh: true, recovered: false, position: at(3) }]);
    expect(heard).toEqual(["fresh", "four"]);
  });

  test("is told when the channel has begun another life", async () => {
    world.streams.restart();
    for (const data of ["anew", "and", "again"]) publish(data);
    subscribeFrom(at(3));
    await world.pass(0.1);
    expect(told).toEqual([{ fresh: true, recovered: false, position: { epoch: "e2", offset: 3 } }]);
  });

  test("without one begins at the end", async () => {
    subscribeFrom(null);
    await world.pass(0.1);
    expect(asked("subscribe")[0]).not.toHaveProperty("since");
    expect(told).toEqual([{ fresh: true, recovered: false, position: at(3) }]);
  });

  test("goes on from there when the connection is lost before the answer", async () => {
    subscribeFrom(at(1));
    socket().break();
    publish("four");
    await world.pass(2);
    expect(world.sockets.all).toHaveLength(2);
    expect(told[0]).toEqual({ fresh: true, recovered: true, position: at(1) });
    expect(heard).toEqual(["fresh", "two", "three", "four"]);
  });

  test("asks for nothing where the channel is there already, and says whether something was missed", async () => {
    const others: unknown[] = [];
    subscribe({}, others);
    await world.pass(0.1);
    publish("four");
    subscribeFrom(at(3));
    subscribeFrom(at(4));
    await world.pass(0.1);
    publish("five");
    expect(asked("subscribe")).toHaveLength(1);
    expect(told).toEqual([
      { fresh: true, recovered: false, position: at(4) },
      { fresh: true, recovered: true, position: at(4) },
    ]);
    expect(heard).toEqual(["fresh", "fresh", "five", "five"]);
    expect(others).toEqual(["fresh", "four", "five"]);
  });

  test("is not held against one that comes from another place at the same time", async () => {
    socket().break();
    subscribeFrom(at(1));
    subscribeFrom(at(3));
    subscribeFrom(null);
    await world.pass(2);
    expect(told.map(({ recovered }) => recovered)).toEqual([true, false, false]);
    expect(told.map(({ position }) => position)).toEqual([at(1), at(1), at(1)]);
  });

  test("is forgotten when somebody else signs in", async () => {
    socket().break();
    subscribeFrom(at(3));
    await signIn("bob");
    await world.pass(2);
    expect(asked("subscribe")[0]).not.toHaveProperty("since");
    expect(told).toEqual([{ fresh: true, recovered: false, position: at(3) }]);
  });
});

describe("unsubscribing", () => {
  test("leaves the channel with the last subscriber", async () => {
    const others: unknown[] = [];
    const first = subscribe();
    const second = subscribe({}, others);
    await world.pass(0.1);
    first.unsubscribe();
    publish(1);
    expect(first.status).toBe("unsubscribed");
    expect(asked("unsubscribe")).toEqual([]);
    second.unsubscribe();
    publish(2);
    await world.pass(0.1);
    publish(3);
    expect(asked("unsubscribe")).toHaveLength(1);
    expect([heard, others]).toEqual([["fresh"], ["fresh", 1]]);
  });

  test("twice is as good as once, and takes nothing from others", async () => {
    const first = subscribe();
    first.unsubscribe();
    subscribe();
    first.unsubscribe();
    await world.pass(0.1);
    publish(1);
    expect(heard).toEqual(["fresh", 1]);
  });

  test("within a listener stops that very subscriber", async () => {
    const once = live.subscribe("job:1", ({ data }) => {
      heard.push(data);
      once.unsubscribe();
    });
    await world.pass(0.1);
    publish(1);
    publish(2);
    expect(heard).toEqual([1]);
  });

  test("within a listener stops the others that have not heard it yet", async () => {
    const others: unknown[] = [];
    live.subscribe("job:1", () => other.unsubscribe());
    const other = subscribe({}, others);
    await world.pass(0.1);
    publish(1);
    expect(others).toEqual(["fresh"]);
  });

  test("before the welcome asks for nothing", async () => {
    socket().break();
    subscribe().unsubscribe();
    await world.pass(2);
    expect(asked("subscribe")).toEqual([]);
  });

  test("and subscribing again begins anew", async () => {
    subscribe().unsubscribe();
    await world.pass(0.1);
    publish(1);
    subscribe();
    await world.pass(0.1);
    publish(2);
    expect(heard).toEqual(["fresh", 2]);
  });
});

describe("through everything that ends a socket", () => {
  test("nothing is missed, doubled or out of order", async () => {
    world.lifetime = 20;
    subscribe();
    await world.pass(0.5);
    const numbers = Array.from({ length: 500 }, (_, number) => number);
    for (const number of numbers) {
      publish(number);
      if (number % 7 === 3) socket().break();
      if (number % 50 === 20) socket().end(1012, "", "reconnect", { retry_after_ms: 500 });
      await world.pass(number % 7 === 5 ? 2 : 0.1);
    }
    await world.pass(90);
    expect(heard.filter((each) => typeof each === "number")).toEqual(numbers);
    expect(heard).not.toContain("lost");
    expect(heard).toContain("recovered");
  });

  test("what cannot be had any more is told", async () => {
    subscribe();
    await world.pass(0.1);
    publish(1);
    socket().break();
    publish(2);
    world.streams.forget("job:1");
    await world.pass(2);
    publish(3);
    expect(heard).toEqual(["fresh", 1, "lost", 3]);
  });

  test("a server that was started again without its memory is told", async () => {
    const subscription = subscribe();
    await world.pass(0.1);
    for (let number = 1; number <= 5; number++) publish(number);
    socket().break();
    world.streams.restart();
    for (let number = 6; number <= 13; number++) publish(number);
    await world.pass(2);
    publish(14);
    expect(heard).toEqual(["fresh", 1, 2, 3, 4, 5, "lost", 14]);
    expect(subscription.position).toEqual({ epoch: "e2", offset: 9 });
  });

  test("a renewal changes nothing", async () => {
    subscribe();
    await world.pass(700);
    publish(1);
    expect(heard).toEqual(["fresh", 1]);
    expect(asked("subscribe")).toHaveLength(1);
    expect(world.sockets.all).toHaveLength(1);
  });

  test("in the grace channels are still heard; what is asked for waits for the renewal", async () => {
    subscribe();
    world.fault = ({ path }) => (path === "/auth/refresh" ? new TypeError("failed to fetch") : null);
    await world.pass(910);
    expect(live.state.status).toBe("grace");
    publish(1);
    const published = live.publish("job:1", 2);
    const other = live.subscribe("job:2", () => undefined);
    await world.pass(1);
    expect(asked("publish")).toEqual([]);
    world.fault = () => null;
    dispatchEvent(new Event("online"));
    await world.pass(1);
    expect(await published).toEqual({ epoch: "e1", offset: 2 });
    expect(other.status).toBe("subscribed");
    expect(heard).toEqual(["fresh", 1, 2]);
  });

  test("after the same person's new sign-in it goes on where it stood", async () => {
    subscribe();
    await world.pass(0.1);
    publish(1);
    world.end("s1");
    await world.pass(1);
    publish(2);
    await signIn();
    publish(3);
    expect(heard).toEqual(["fresh", 1, "recovered", 2, 3]);
  });

  test("somebody else begins from nothing", async () => {
    const subscription = subscribe();
    await world.pass(0.1);
    publish("ann's");
    await signIn("bob");
    await world.pass(2);
    publish("bob's");
    const question = socket().sent.find(({ type }) => type === "subscribe");
    expect(question).not.toHaveProperty("since");
    expect(heard).toEqual(["fresh", "ann's", "lost", "bob's"]);
    expect(subscription.position).toEqual({ epoch: "e1", offset: 2 });
  });

  test("while somebody else's token is on its way, nothing of the first is heard", async () => {
    subscribe();
    await world.pass(0.1);
    let leaked = false;
    session.on("signed_in", () => {
      publish("ann's");
      leaked = heard.includes("ann's");
    });
    await signIn("bob");
    expect(leaked).toBe(false);
  });
});

describe("when the server says no", () => {
  test("it is told, and asked again after the next token", async () => {
    world.streams.refusal = () => "forbidden";
    const subscription = subscribe();
    await world.pass(0.1);
    expect(subscription.status).toBe("refused");
    await world.pass(100);
    expect(heard).toEqual(["forbidden"]);
    expect(asked("subscribe")).toHaveLength(1);
    world.streams.refusal = () => null;
    await world.pass(600);
    publish(1);
    expect(heard).toEqual(["forbidden", "fresh", 1]);
  });

  test("later, it is tried later", async () => {
    world.streams.refusal = () => "try_later";
    const subscription = subscribe();
    await world.pass(20);
    expect(subscription.status).toBe("subscribing");
    const tries = asked("subscribe").length;
    expect(tries).toBeGreaterThan(2);
    expect(tries).toBeLessThan(10);
    world.streams.refusal = () => null;
    await world.pass(60);
    expect(subscription.status).toBe("subscribed");
  });

  test("a right that is lost ends that channel alone, and comes back with the next token", async () => {
    const subscription = subscribe();
    const others: unknown[] = [];
    live.subscribe("job:2", ({ data }) => others.push(data));
    await world.pass(0.1);
    publish(1);
    world.streams.end("job:1", "revoked");
    expect(subscription.status).toBe("unsubscribed");
    publish(2);
    world.streams.publish("job:2", "other");
    await world.pass(650);
    expect(heard).toEqual(["fresh", 1, "revoked", "recovered", 2]);
    expect(others).toEqual(["other"]);
    expect(world.sockets.all).toHaveLength(1);
  });

  test("a channel that is closed is over until somebody subscribes again", async () => {
    const subscription = subscribe();
    await world.pass(0.1);
    world.streams.end("job:1", "channel_closed");
    await world.pass(1000);
    expect(subscription.status).toBe("unsubscribed");
    expect(subscription.position).toBeNull();
    expect(heard).toEqual(["fresh", "channel_closed"]);
    const anew: unknown[] = [];
    subscribe({}, anew);
    await world.pass(0.1);
    publish(1);
    expect(anew).toEqual(["fresh", 1]);
  });
});

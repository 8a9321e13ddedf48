// @vitest-environment happy-dom
import { Activity, act, createElement, type ReactNode, StrictMode } from "react";
import { createRoot, hydrateRoot, type Root } from "react-dom/client";
import { renderToString } from "react-dom/server";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { JobProgress, Room } from "../examples/react-channels.js";
import { type ChannelEvent, createSession, type Position, type Session } from "../src/index.js";
import {
  type ChannelStateOptions,
  HoldfastProvider,
  type UsedChannel,
  useChannel,
  useChannelState,
} from "../src/react.js";
import { destroyWorld, World } from "./world.js";

let world: World;
let session: Session;
let root: Root | null;
const page = document.createElement("div");

beforeEach(async () => {
  const { document: real, location } = globalThis;
  world = new World();
  // React needs the real page; the world needs only its events.
  vi.stubGlobal("document", real);
  vi.stubGlobal("location", { ...location, href: "https://app.example/page" });
  vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", true);
  session = createSession();
  root = null;
  heard.length = 0;
  renders.length = 0;
  await Promise.all([session.login("ann", "right"), world.pass(0.5)]);
});

afterEach(async () => {
  await act(async () => root?.unmount());
  session.destroy();
  destroyWorld();
});

async function show(content: ReactNode, strict = true): Promise<void> {
  const inside = createElement(HoldfastProvider, { session }, content);
  await act(async () => {
    root ??= createRoot(page);
    root.render(strict ? createElement(StrictMode, null, inside) : inside);
  });
  await pass(0.5);
}

const pass = (seconds: number) => act(() => world.pass(seconds));
const publish = (data: unknown, channel = "job:1") =>
  act(async () => void world.streams.publish(channel, data));
const asked = (type: string) =>
  world.sockets.all.flatMap(({ sent }) => sent).filter((frame) => frame["type"] === type);

const paths = () => world.sockets.all.map(({ url }) => new URL(url).pathname);

const heard: unknown[] = [];
const renders: UsedChannel[] = [];

interface JobProps {
  readonly path?: string;
  readonly channel?: string | null;
  readonly note?: string;
  readonly presence?: boolean;
  readonly since?: Position;
}

function Job({ path, channel = "job:1", note = "", presence, since }: JobProps) {
  const job = useChannel(channel, ({ data }) => heard.push(note, data), { path, presence, since });
  renders.push(job);
  return createElement("p", null, `${job.status} ${job.recovered} ${job.position?.offset ?? "-"} `);
}

const append = (lines: readonly unknown[], { data }: ChannelEvent) => [...lines, data];

interface LinesProps {
  readonly channel?: string;
  readonly onLost?: ChannelStateOptions<readonly unknown[]>["onLost"];
  readonly since?: Position;
}

function Lines({ channel = "job:1", onLost = "reset", since }: LinesProps) {
  const [lines, status] = useChannelState<readonly unknown[]>(channel, append, ["begin"], { onLost, since });
  return createElement("p", null, `${status}: ${lines.join(" ")}`);
}

/** The server loses what was published while the connection was away. */
async function lose(data: unknown): Promise<void> {
  await act(async () => world.sockets.last.break());
  await publish(data);
  world.streams.forget("job:1");
  await pass(2);
}

describe("useChannel", () => {
  test("subscribes once under StrictMode, and for many components", async () => {
    await show([createElement(Job, { key: 1 }), createElement(Job, { key: 2 })]);
    expect(page.textContent).toBe("subscribed false 0 subscribed false 0 ");
    expect(asked("subscribe")).toHaveLength(1);
    expect(world.sockets.all).toHaveLength(1);
  });

  test("hands each publication over once, to the newest callback", async () => {
    await show(createElement(Job, { note: "a" }));
    await show(createElement(Job, { note: "b" }));
    await publish(1);
    expect(heard).toEqual(["b", 1]);
  });

  test("does not render for a publication, which is the app's to show", async () => {
    await show(createElement(Job), false);
    const before = renders.length;
    await publish(1);
    expect(renders.length).toBe(before);
  });

  test("says whether what was missed has come", async () => {
    await show(createElement(Job));
    await act(async () => world.sockets.last.break());
    expect(page.textContent).toBe("subscribing false 0 ");
    await publish(1);
    await pass(2);
    expect(page.textContent).toBe("subscribed true 0 ");
    expect(heard).toEqual(["", 1]);
    await lose(2);
    expect(page.textContent).toBe("subscribed false 2 ");
  });

  test("follows refusals", async () => {
    world.streams.refusal = () => "forbidden";
    await show(createElement(Job));
    expect(page.textContent).toBe("refused false - ");
    world.streams.refusal = () => null;
    await pass(620);
    expect(page.textContent).toBe("subscribed false 0 ");
    await act(async () => world.streams.end("job:1", "revoked"));
    expect(page.textContent).toBe("unsubscribed false 0 ");
  });

  test("leaves the channel with the last component, and hears nothing after that", async () => {
    const both = [createElement(Job, { key: 1, note: "one" }), createElement(Job, { key: 2, note: "two" })];
    await show(both);
    await show([both[1]]);
    await publish(1);
    expect(heard).toEqual(["two", 1]);
    expect(asked("unsubscribe")).toEqual([]);
    await show(createElement(Job, { channel: null }));
    expect(asked("unsubscribe")).toHaveLength(1);
    await publish(2);
    expect(heard).toEqual(["two", 1]);
  });

  test("goes where channel and path say, to /ws by default, or nowhere", async () => {
    await show(createElement(Job, { channel: null }));
    expect(page.textContent).toBe("unsubscribed false - ");
    expect(world.sockets.all).toEqual([]);
    await show(createElement(Job, { channel: "job:2" }));
    await show(createElement(Job, { channel: "job:3" }));
    await publish("two", "job:2");
    await publish("three", "job:3");
    expect(heard).toEqual(["", "three"]);
    expect(paths()).toEqual(["/ws"]);
    await show(createElement(Job, { path: "/rooms", channel: "job:3" }));
    expect(paths()).toEqual(["/ws", "/rooms"]);
    expect(page.textContent).toBe("subscribed false 1 ");
  });

  test("goes on from the place that the page was made with, each publication once under StrictMode", async () => {
    await publish("in the page");
    await publish("after it");
    await show(createElement(Job, { since: { epoch: "e1", offset: 1 } }));
    expect(page.textContent).toBe("subscribed true 1 ");
    expect(heard).toEqual(["", "after it"]);
  });

  test("goes on from where it was when presence is asked for as well", async () => {
    await show(createElement(Job, { since: { epoch: "e1", offset: 0 } }));
    await publish(1);
    await show(createElement(Job, { presence: true, since: { epoch: "e1", offset: 0 } }));
    await publish(2);
    expect(page.textContent).toBe("subscribed true 1 ");
    expect(heard).toEqual(["", 1, "", 2]);
  });

  test("says who is there", async () => {
    await show(createElement(Job, { presence: true }));
    expect(renders.at(-1)?.members).toEqual([{ connection: "c1", user: "u-ann", name: "ann" }]);
  });
});

describe("useChannelState", () => {
  test("is what the publications come to, each of them once under StrictMode", async () => {
    await show(createElement(Lines));
    expect(page.textContent).toBe("subscribed: begin");
    await publish(1);
    await publish(2);
    expect(page.textContent).toBe("subscribed: begin 1 2");
  });

  test("goes on through a loss that was recovered", async () => {
    await show(createElement(Lines));
    await publish(1);
    await act(async () => world.sockets.last.break());
    await publish(2);
    await pass(2);
    expect(page.textContent).toBe("subscribed: begin 1 2");
  });

  test.each([
    ["reset", "begin 3"],
    ["keep", "begin 1 3"],
    [(lines: readonly unknown[]) => [...lines, "…"], "begin 1 … 3"],
  ] as const)("%s: does what the app wants when something is gone", async (onLost, shown) => {
    await show(createElement(Lines, { onLost }));
    await publish(1);
    await lose(2);
    await publish(3);
    expect(page.textContent).toBe(`subscribed: ${shown}`);
  });

  test("begins again with another channel", async () => {
    await show(createElement(Lines));
    await publish(1);
    await show(createElement(Lines, { channel: "job:2" }));
    expect(page.textContent).toBe("subscribed: begin");
    await publish(2, "job:2");
    expect(page.textContent).toBe("subscribed: begin 2");
  });

  test("begins again with another person", async () => {
    await show(createElement(Lines, { onLost: "keep" }));
    await publish("ann's");
    await act(() => Promise.all([session.login("bob", "right"), world.pass(2)]));
    expect(page.textContent).toBe("subscribed: begin");
    await publish("bob's");
    expect(page.textContent).toBe("subscribed: begin bob's");
  });

  test("catches up on what was published while that part of the page was hidden, or has lost it", async () => {
    const children = createElement(Lines);
    const mode = (name: "visible" | "hidden") => createElement(Activity, { mode: name, children });
    await show(mode("visible"));
    await show(mode("hidden"));
    await publish(1);
    await show(mode("visible"));
    await publish(2);
    await show(mode("hidden"));
    await publish(3);
    await show(mode("visible"));
    expect(page.textContent).toBe("subscribed: begin 1 2 3");
    await show(mode("hidden"));
    await publish(4);
    world.streams.forget("job:1");
    await show(mode("visible"));
    await publish(5);
    expect(page.textContent).toBe("subscribed: begin 5");
  });

  test("has lost what others have heard while that part of the page was hidden", async () => {
    const children = createElement(Lines);
    const other = createElement(Job, { key: 2 });
    const parts = (mode: "visible" | "hidden") => [
      createElement(Activity, { key: 1, mode, children }),
      other,
    ];
    const lines = () => page.querySelector("p")?.textContent;
    await show(parts("visible"));
    await publish(1);
    await show(parts("hidden"));
    await show(parts("visible"));
    expect(lines()).toBe("subscribed: begin 1");
    await show(parts("hidden"));
    await publish(2);
    await show(parts("visible"));
    await publish(3);
    expect(lines()).toBe("subscribed: begin 3");
  });

  test("goes on from the place that the initial state belongs to", async () => {
    await publish("in the page");
    await publish("after it");
    await show(createElement(Lines, { since: { epoch: "e1", offset: 1 } }));
    await publish("later");
    expect(page.textContent).toBe("subscribed: begin after it later");
  });

  test("is told at once when what came after that place is gone", async () => {
    const since = { epoch: "e1", offset: 1 };
    await publish("in the page");
    await publish("gone");
    world.streams.forget("job:1");
    await show(createElement(Lines, { since, onLost: (lines) => [...lines, "…"] }));
    await publish("later");
    expect(page.textContent).toBe("subscribed: begin … later");
  });
});

describe("the examples", () => {
  test("a job's progress is what was published last", async () => {
    await show(createElement(JobProgress, { id: "1" }));
    const bar = page.querySelector("progress");
    expect(bar?.getAttribute("aria-busy")).toBe("false");
    await publish({ share: 0.25 });
    await lose({ share: 0.5 });
    expect(bar?.value).toBe(0.25);
    await publish({ share: 0.75 });
    expect(bar?.value).toBe(0.75);
  });

  test("a room shows what was said before, and again what was missed", async () => {
    const say = (text: string) => publish(text, "room:a");
    await say("before");
    await show(createElement(Room, { name: "a" }));
    await say("now");
    expect(page.querySelector("pre")?.textContent).toBe("before\nnow\n");
    expect(page.querySelector("h2")?.textContent).toBe("a: ann");
    await act(async () => world.sockets.last.break());
    world.streams.restart();
    await say("in another life");
    await pass(2);
    expect(page.querySelector("pre")?.textContent).toBe("in another life\n");
    await act(async () => page.querySelector("button")?.click());
    await pass(0.5);
    expect(page.querySelector("pre")?.textContent).toBe("in another life\nhello\n");
  });
});

describe("on a server", () => {
  const app = () =>
    createElement(
      HoldfastProvider,
      { session },
      createElement(Job),
      createElement(Lines),
      createElement(Job, { channel: null }),
    );

  test("channels render without touching the network, and hydrate to the same", async () => {
    const before = world.requests.length;
    const html = renderToString(app());
    expect(html).toBe("<p>subscribing false - </p><p>subscribing: begin</p><p>unsubscribed false - </p>");
    expect(world.requests.length).toBe(before);
    const complaints: unknown[] = [];
    page.innerHTML = html;
    await act(async () => {
      root = hydrateRoot(page, app(), { onRecoverableError: (error) => complaints.push(error) });
    });
    await pass(1);
    expect(complaints).toEqual([]);
    expect(page.textContent).toBe("subscribed false 0 subscribed: beginunsubscribed false - ");
  });
});

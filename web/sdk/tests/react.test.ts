// @vitest-environment happy-dom
import { act, createElement, type ReactNode, StrictMode } from "react";
import { createRoot, hydrateRoot, type Root } from "react-dom/client";
import { renderToString } from "react-dom/server";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createSession, type Session } from "../src/index.js";
import { HoldfastProvider, useConnection, useSession } from "../src/react.js";
import { destroyWorld, World } from "./world.js";

let world: World;
let session: Session;
let root: Root | null;
const page = document.createElement("div");

beforeEach(() => {
  const { document: real, location } = globalThis;
  world = new World();
  // React needs the real page; the world needs only its events.
  vi.stubGlobal("document", real);
  vi.stubGlobal("location", { ...location, href: "https://app.example/page" });
  vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", true);
  session = createSession();
  root = null;
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
}

const pass = (seconds: number) => act(() => world.pass(seconds));

async function signIn(name = "ann"): Promise<void> {
  const done = session.login(name, "right");
  await pass(0.5);
  await done;
}

let renders = 0;

function Who() {
  renders += 1;
  const { status, user, session: own } = useSession();
  return createElement("p", null, `${status} ${user?.name ?? "nobody"} ${own === session}`);
}

let send: (message: object) => Promise<void>;
const heard: unknown[] = [];

function Live({ path, note = "" }: { readonly path?: string | null; readonly note?: string }) {
  const connection = useConnection(path, (message) => heard.push([note, message]));
  send = connection.send;
  return createElement("p", null, `${note}${connection.status}`);
}

describe("useSession", () => {
  test("follows the session", async () => {
    await show(createElement(Who));
    expect(page.textContent).toBe("signed_out nobody true");
    await signIn();
    expect(page.textContent).toBe("active ann true");
  });

  test("renders again when something has changed, and only then", async () => {
    await signIn();
    await show(createElement(Who), false);
    renders = 0;
    await pass(500);
    expect(renders).toBe(0);
    await pass(150);
    expect(renders).toBeGreaterThan(0);
    expect(renders).toBeLessThanOrEqual(2);
  });

  test("needs a provider, and says so", () => {
    expect(() => renderToString(createElement(Who))).toThrow("HoldfastProvider");
  });
});

describe("useConnection", () => {
  test("opens one socket under StrictMode, which mounts everything twice, to /ws by default", async () => {
    await signIn();
    await show(createElement(Live));
    await pass(1);
    expect(page.textContent).toBe("ready");
    expect(world.sockets.all.map(({ url }) => new URL(url).pathname)).toEqual(["/ws"]);
    expect(world.count("/auth/ticket")).toBe(1);
  });

  test("hands each message over once, to the newest callback", async () => {
    await signIn();
    await show(createElement(Live, { note: "a" }));
    await pass(1);
    await show(createElement(Live, { note: "b" }));
    heard.length = 0;
    await act(async () => world.sockets.last.say({ number: 1 }));
    expect(heard).toEqual([["b", { number: 1 }]]);
  });

  test("shares a connection among components, and closes it with the last", async () => {
    await signIn();
    const both = [createElement(Live, { key: 1 }), createElement(Live, { key: 2 })];
    await show(both);
    await pass(1);
    expect(world.sockets.all).toHaveLength(1);
    await show([both[1]]);
    await pass(1);
    expect(world.sockets.open).toHaveLength(1);
    await show(null);
    await pass(1);
    expect(world.sockets.open).toHaveLength(0);
  });

  test("keeps it when one component replaces another", async () => {
    await signIn();
    await show(createElement(Live, { key: "one" }));
    await pass(1);
    await show(createElement(Live, { key: "another" }));
    await pass(1);
    expect(world.sockets.all).toHaveLength(1);
    expect(page.textContent).toBe("ready");
  });

  test("is another one for another person", async () => {
    await signIn();
    await show(createElement(Live));
    await pass(1);
    heard.length = 0;
    const sends = send;
    await signIn("bob");
    await expect(sends({ of: "ann" })).rejects.toMatchObject({ code: "closed" });
    await pass(1);
    expect(page.textContent).toBe("ready");
    expect(world.sockets.open.map(({ user }) => user)).toEqual(["u-bob"]);
    await act(async () => world.sockets.last.say({ for: "bob" }));
    expect(heard).toEqual([["", { for: "bob" }]]);
  });

  test("goes where the path says, or nowhere", async () => {
    await signIn();
    await show(createElement(Live, { path: null }));
    await pass(1);
    expect(world.sockets.all).toHaveLength(0);
    await expect(send({ number: 1 })).rejects.toMatchObject({ code: "closed" });
    await show(createElement(Live, { path: "/a" }));
    await pass(1);
    await show(createElement(Live, { path: "/b" }));
    await pass(1);
    expect(world.sockets.open.map(({ url }) => new URL(url).pathname)).toEqual(["/b"]);
  });

  test("sends", async () => {
    await signIn();
    await show(createElement(Live));
    await pass(1);
    await send({ say: "hello" });
    expect(world.sockets.last.messages()).toEqual([{ say: "hello" }]);
  });

  test("follows the connection through loss and return", async () => {
    await signIn();
    await show(createElement(Live));
    await pass(1);
    await act(async () => world.sockets.last.break());
    expect(page.textContent).toBe("offline");
    await pass(2);
    expect(page.textContent).toBe("ready");
  });
});

describe("on a server", () => {
  const app = () => createElement(HoldfastProvider, { session }, createElement(Who), createElement(Live));

  test("renders without touching the network, and hydrates to the same", async () => {
    await signIn();
    const before = world.requests.length;
    const html = renderToString(app());
    expect(html).toBe("<p>signed_out nobody true</p><p>connecting</p>");
    expect(world.requests.length).toBe(before);
    const complaints: unknown[] = [];
    page.innerHTML = html;
    await act(async () => {
      root = hydrateRoot(page, app(), { onRecoverableError: (error) => complaints.push(error) });
    });
    await pass(1);
    expect(complaints).toEqual([]);
    expect(page.textContent).toBe("active ann trueready");
  });
});

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createSession, type Session } from "../src/index.js";
import { destroyWorld, type Locks, refusal, World } from "./world.js";

const TABS = 5;

let world: World;
let tabs: Session[];

beforeEach(() => {
  world = new World();
  tabs = [];
});

afterEach(() => {
  for (const tab of tabs) tab.destroy();
  destroyWorld();
});

async function openTabs(): Promise<Session[]> {
  tabs = Array.from({ length: TABS }, () => createSession());
  await signIn(tab(0));
  await Promise.all([...tabs.slice(1).map((each) => each.restore()), world.pass(1)]);
  return tabs;
}

function tab(number: number): Session {
  const found = tabs[number];
  if (found === undefined) throw new Error(`no tab ${number}`);
  return found;
}

async function signIn(session: Session, name = "ann"): Promise<void> {
  await Promise.all([session.login(name, "right"), world.pass(0.5)]);
}

const statuses = () => tabs.map(({ state }) => state.status);
const names = () => tabs.map(({ state }) => state.user?.name);
const all = <Value>(value: Value) => Array.from({ length: TABS }, () => value);

async function tokens(): Promise<string[]> {
  const found = Promise.all(tabs.map((each) => each.getToken()));
  await world.pass(1);
  return await found;
}

describe("five tabs", () => {
  test("that are all due make one refresh, and have the same token", async () => {
    await openTabs();
    const before = world.count("/auth/refresh");
    await world.pass(600);
    expect(world.count("/auth/refresh")).toBe(before + 1);
    expect(new Set(await tokens()).size).toBe(1);
  });

  test("hold through fifty refreshes, one each time", async () => {
    await openTabs();
    const before = world.count("/auth/refresh");
    await world.pass(50 * 600);
    expect(world.count("/auth/refresh") - before).toBeLessThanOrEqual(51);
    expect(statuses()).toEqual(all("active"));
  });

  test("hold through fifty refreshes where there are no locks, as over plain http", async () => {
    vi.stubGlobal("navigator", {});
    await openTabs();
    await world.pass(50 * 600);
    expect(statuses()).toEqual(all("active"));
    expect(world.families.get("s1")?.ended).toBe("");
  });

  test("hold where there are neither locks nor a channel", async () => {
    vi.stubGlobal("navigator", {});
    vi.stubGlobal("BroadcastChannel", undefined);
    await openTabs();
    await world.pass(50 * 600);
    expect(statuses()).toEqual(all("active"));
  });

  test("hold where every third answer is lost", async () => {
    await openTabs();
    let number = 0;
    world.fault = () => (++number % 3 === 0 ? new TypeError("failed to fetch") : null);
    await world.pass(50 * 600);
    world.fault = () => null;
    await world.pass(120);
    expect(statuses()).toEqual(all("active"));
  });

  test("go ahead when one of them sits on the lock, frozen", async () => {
    await openTabs();
    const name = "holdfast:https://app.example/";
    void (navigator.locks as unknown as Locks).request(name, {}, () => new Promise<never>(() => undefined));
    const before = world.count("/auth/refresh");
    const due = Math.min(...tabs.map(({ state }) => (state.refreshAt ?? 0) - Date.now())) / 1000;
    await world.pass(due + 2.9);
    expect(world.count("/auth/refresh")).toBe(before);
    await world.pass(0.3);
    expect(world.count("/auth/refresh")).toBeGreaterThan(before);
    expect(statuses()).toEqual(all("active"));
    expect(world.families.get("s1")?.generation).toBe(2);
  });

  test("do not wait for a lock that a broken browser refuses", async () => {
    vi.stubGlobal("navigator", { locks: { request: () => Promise.reject(new Error("SecurityError")) } });
    await openTabs();
    await world.pass(700);
    expect(statuses()).toEqual(all("active"));
  });

  test("sign in together and sign out together", async () => {
    tabs = Array.from({ length: TABS }, () => createSession());
    await Promise.all([...tabs.map((each) => each.restore()), world.pass(1)]);
    expect(statuses()).toEqual(all("signed_out"));
    await signIn(tab(2));
    expect(names()).toEqual(all("ann"));
    await Promise.all([tab(4).logout(), world.pass(1)]);
    expect(statuses()).toEqual(all("signed_out"));
    expect(names()).toEqual(all(undefined));
  });

  test("are mended together when a session has ended", async () => {
    await openTabs();
    world.end("s1");
    await world.pass(700);
    expect(statuses()).toEqual(all("ended"));
    await signIn(tab(3));
    expect(statuses()).toEqual(all("active"));
  });

  test("follow a sign-in as somebody else, since the cookie is theirs now", async () => {
    await openTabs();
    await signIn(tab(1), "bob");
    expect(names()).toEqual(all("bob"));
    await world.pass(2000);
    expect(names()).toEqual(all("bob"));
  });

  test("do not hold the lock while listeners run", async () => {
    await openTabs();
    const free: boolean[] = [];
    tab(0).on("refreshed", () => free.push((navigator.locks as unknown as Locks).isFree()));
    await Promise.all([tab(0).refreshToken(), world.pass(1)]);
    expect(free).toEqual([true]);
  });
});

describe("what comes over the channel", () => {
  const channel = () => new BroadcastChannel("holdfast:https://app.example/");

  test.each([
    ["null", null],
    ["text", "hello"],
    ["a number", 7],
    ["an empty object", {}],
    ["tokens without a time", { body: { access_token: "stolen", expires_in: 900, session_id: "s9" } }],
    ["tokens without a body", { at: 0 }],
    ["a body that is text", { at: 1.8e12, body: "stolen" }],
    ["a token that is no text", { at: 1.8e12, body: { access_token: null, expires_in: 900 } }],
    ["a life that is no number", { at: 1.8e12, body: { access_token: "stolen", expires_in: "900" } }],
    ["a sign-out of another session", { signed_out: "s77" }],
    ["a sign-out of nothing", { signed_out: { any: "thing" } }],
  ])("is not believed when it is %s", async (_name, message) => {
    await openTabs();
    const before = await tokens();
    channel().postMessage(message);
    await world.pass(1);
    expect(statuses()).toEqual(all("active"));
    expect(await tokens()).toEqual(before);
  });

  test("counts as old as it is when a frozen tab hears it late", async () => {
    await openTabs();
    const at = Date.now() - 700_000;
    const body = { access_token: "late", expires_in: 900, refresh_in: 600, session_id: "s2", generation: 1 };
    channel().postMessage({ at, body });
    await world.pass(0.2);
    for (const { expiresAt } of tabs.map(({ state }) => state)) {
      expect(((expiresAt ?? 0) - Date.now()) / 1000).toBeLessThan(200);
    }
  });

  test("is never older news than what a tab has", async () => {
    await openTabs();
    await world.pass(600);
    const [token] = await tokens();
    const body = { access_token: "old", expires_in: 9000, refresh_in: 9000, session_id: "s1", generation: 1 };
    channel().postMessage({ at: Date.now(), body });
    await world.pass(0.1);
    expect(await tokens()).toEqual(all(token));
  });
});

test("an answer older than the token in hand makes the tab ask again", async () => {
  await openTabs();
  await world.pass(600);
  const family = world.families.get("s1");
  expect(family?.generation).toBe(2);
  const before = world.count("/auth/refresh");
  let old = true;
  world.fault = ({ path }) => {
    if (path !== "/auth/refresh" || !old) return null;
    old = false;
    const body = {
      access_token: "token-old",
      expires_in: 900,
      refresh_in: 600,
      session_id: "s1",
      generation: 1,
    };
    return Response.json(body);
  };
  await world.pass(602);
  expect(world.count("/auth/refresh") - before).toBeGreaterThanOrEqual(2);
  expect(await tokens()).not.toContain("token-old");
});

test("a sign-in waits for the refresh that is under way, so that its cookie comes last", async () => {
  await openTabs();
  world.fault = ({ path }) => (path === "/auth/refresh" ? refusal(500, "slow") : null);
  await world.pass(598.4);
  world.fault = () => null;
  await world.pass(0.115);
  const order = () => world.requests.map(({ path }) => path).filter((path) => /token|refresh/.test(path));
  await signIn(tab(0), "bob");
  expect(world.cookie).toBe("s2.1");
  expect(order().at(-1)).toBe("/token");
});

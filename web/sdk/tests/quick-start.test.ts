// @vitest-environment happy-dom
import type { Session } from "@holdfast/client";
import { act, createElement } from "react";
import { createRoot } from "react-dom/client";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { App } from "../examples/react.js";
import { destroyWorld, refusal, World } from "./world.js";

let world: World;
let quick: typeof import("../examples/quick-start.js");
const said: unknown[] = [];

beforeEach(async () => {
  const { document: real } = globalThis;
  world = new World();
  vi.stubGlobal("document", real);
  vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", true);
  vi.spyOn(console, "info").mockImplementation((...words) => said.push(...words));
  said.length = 0;
  vi.resetModules();
  quick = await import("../examples/quick-start.js");
});

afterEach(() => {
  quick.session.destroy();
  destroyWorld();
});

async function meanwhile<Result>(promise: Promise<Result>): Promise<Result> {
  await act(() => world.pass(1));
  return await promise;
}

test("the quick start signs in, watches, and is told of the end", async () => {
  expect(await meanwhile(quick.start())).toBe(false);
  expect(await meanwhile(quick.signIn("ann", "wrong"))).toBe("a sentence about bad_credentials");
  world.fault = () => refusal(429, "throttled", { "Retry-After": "9" });
  expect(await meanwhile(quick.signIn("ann", "right"))).toBe("Too many tries. Again in 9 s.");
  world.fault = () => null;
  expect(await meanwhile(quick.signIn("ann", "right"))).toBeNull();
  const shown: unknown[] = [];
  quick.watch((message) => shown.push(message));
  await world.pass(1);
  expect(said).toContain("ready");
  world.sockets.last.say({ progress: 0.4 });
  expect(shown).toEqual([{ progress: 0.4 }]);
  world.end("s1");
  await world.pass(1);
  expect(said).toContain("signed out: session_ended");
});

test("the React example asks for a sign-in over the page, which stays", async () => {
  const page = document.createElement("div");
  const root = createRoot(page);
  const session: Session = quick.session;
  await act(async () => root.render(createElement(App, { session })));
  const signIn = async (name: string, password: string) => {
    const inputs = [...page.querySelectorAll("input")];
    for (const input of inputs) input.value = input.name === "name" ? name : password;
    const submit = new Event("submit", { bubbles: true, cancelable: true });
    await act(async () => page.querySelector("form")?.dispatchEvent(submit));
    await act(() => world.pass(1));
  };
  await signIn("ann", "wrong");
  expect(page.querySelector("[role=alert]")?.textContent).toBe("a sentence about bad_credentials");
  await signIn("ann", "right");
  expect(page.querySelector("h1")?.textContent).toBe("ann: ready");
  await act(async () => world.sockets.last.say({ line: 1 }));
  await act(async () => world.end("s1"));
  await act(() => world.pass(1));
  expect(page.textContent).toContain("Your session is over");
  expect(page.querySelector("pre")?.textContent).toBe('{"line":1}');
  await signIn("ann", "right");
  expect(page.querySelector("h1")?.textContent).toBe("ann: ready");
  expect(page.querySelector("pre")?.textContent).toBe('{"line":1}');
  world.end("s2");
  await act(() => world.pass(1));
  await signIn("bob", "right");
  expect(page.querySelector("h1")?.textContent).toBe("bob: ready");
  expect(page.querySelector("pre")?.textContent).toBe("");
  await act(async () => root.unmount());
});

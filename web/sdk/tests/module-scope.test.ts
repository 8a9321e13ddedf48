import { afterEach, expect, test, vi } from "vitest";

afterEach(() => {
  vi.unstubAllGlobals();
  vi.resetModules();
});

const modules = ["index", "session-only", "react"] as const;

/** What must not be touched while a module is loaded, or while a session is merely made. */
function guarded(): string[] {
  const touched: string[] = [];
  for (const name of [
    "fetch",
    "WebSocket",
    "BroadcastChannel",
    "setTimeout",
    "setInterval",
    "addEventListener",
  ]) {
    vi.stubGlobal(name, () => touched.push(name));
  }
  for (const name of ["document", "navigator", "location", "window", "localStorage", "sessionStorage"]) {
    const note = () => {
      touched.push(name);
      return true;
    };
    vi.stubGlobal(name, new Proxy({}, { get: note, has: note, set: note }));
  }
  return touched;
}

test.each(modules)("loading %s does nothing", async (name) => {
  await import("react");
  const touched = guarded();
  await import(`../src/${name}.ts`);
  expect(touched).toEqual([]);
});

test("making a session does nothing: on a server nobody would end it", async () => {
  const { createSession } = await import("../src/index.js");
  const touched = guarded();
  const session = createSession({ url: "/api" });
  expect(session.state.status).toBe("signed_out");
  expect(touched).toEqual([]);
});

test("the public names are these", async () => {
  const names = async (name: string) => new Set(Object.keys(await import(`../src/${name}.ts`)));
  expect(await names("index")).toEqual(new Set(["HoldfastError", "createSession"]));
  expect(await names("session-only")).toEqual(new Set(["HoldfastError", "createSession"]));
  expect(await names("react")).toEqual(
    new Set(["HoldfastProvider", "useChannel", "useChannelState", "useConnection", "useSession"]),
  );
});

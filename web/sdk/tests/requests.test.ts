import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createSession, type HoldfastError, type Session } from "../src/index.js";
import { createSession as createSmallSession } from "../src/session-only.js";
import { BASE, destroyWorld, refusal, World } from "./world.js";

let world: World;
let session: Session;

beforeEach(() => {
  world = new World();
  session = createSession();
});

afterEach(() => {
  session.destroy();
  destroyWorld();
});

/** Wait for something that needs time to pass. */
async function meanwhile<Result>(promise: Promise<Result>, seconds = 1): Promise<Result> {
  promise.catch(() => undefined);
  await world.pass(seconds);
  return await promise;
}

const signIn = () => meanwhile(session.login("ann", "right"));

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error = await meanwhile(promise).then(
    () => null,
    (reason: HoldfastError) => reason,
  );
  return error?.code ?? "went well";
}

describe("requests with the token", () => {
  const authorization = (path: string) =>
    world.requests.filter((each) => each.path === path).map(({ headers }) => headers.get("Authorization"));

  test("carry it", async () => {
    await signIn();
    const response = await meanwhile(session.fetch("/things", { method: "POST", body: "a=1" }));
    expect(await response.json()).toEqual({ path: "/things", body: "a=1", user: "u-ann" });
    expect(authorization("/things")).toEqual(["Bearer token-1"]);
  });

  test("are sent once more after a refresh when it was refused, body and all", async () => {
    await signIn();
    await world.pass(20);
    world.tokens.delete("token-1");
    const request = new Request(`${BASE}/things`, { method: "PUT", body: "all of it" });
    const response = await meanwhile(session.fetch(request));
    expect(await response.json()).toMatchObject({ body: "all of it" });
    expect(authorization("/things")).toEqual(["Bearer token-1", "Bearer token-2"]);
  });

  test("are not sent a third time", async () => {
    await signIn();
    await world.pass(20);
    world.fault = ({ path }) => (path === "/things" ? refusal(401, "invalid_token") : null);
    const response = await meanwhile(session.fetch("/things"));
    expect(response.status).toBe(401);
    expect(world.count("/things")).toBe(2);
  });

  test("that are refused again and again do not make a storm of refreshes", async () => {
    await signIn();
    await world.pass(20);
    world.fault = ({ path }) => (path === "/things" ? refusal(401, "app_says_no") : null);
    for (let number = 0; number < 50; number++) await meanwhile(session.fetch("/things"), 0.1);
    expect(world.count("/auth/refresh")).toBeLessThanOrEqual(6);
    expect(session.state.status).toBe("active");
  });

  test("get the refusal when the refresh fails", async () => {
    await signIn();
    await world.pass(20);
    world.tokens.delete("token-1");
    world.fault = ({ path }) => (path === "/auth/refresh" ? new TypeError("failed to fetch") : null);
    const response = await meanwhile(session.fetch("/things"));
    expect(response.status).toBe(401);
  });

  test("go to no other origin", async () => {
    await signIn();
    for (const url of ["https://evil.example/", "https://app.example.evil.example/", "//evil.example/x"]) {
      const outcome = await codeOf(session.fetch(url));
      expect([url, outcome]).toEqual([url, url.startsWith("//") ? "went well" : "foreign_origin"]);
    }
    expect(authorization("//evil.example/x")).toEqual(["Bearer token-1"]);
  });

  test("end when their caller ends them", async () => {
    await signIn();
    world.fault = () => "silence";
    const enough = new AbortController();
    const promise = session.fetch("/things", { signal: enough.signal });
    promise.catch(() => undefined);
    await world.pass(1);
    enough.abort(new Error("enough"));
    await expect(promise).rejects.toThrow("enough");
  });
});

describe("tickets", () => {
  test("are put into the URL of a WebSocket", async () => {
    await signIn();
    expect(await meanwhile(session.ticketUrl("/ws?room=1"))).toMatch(
      /^wss:\/\/app\.example\/ws\?room=1&ticket=ticket-\d+$/,
    );
    const plain = createSession({ url: "http://127.0.0.1:8000" });
    await meanwhile(plain.login("ann", "right"));
    expect(await meanwhile(plain.ticketUrl("/ws"))).toMatch(/^ws:\/\/127\.0\.0\.1:8000\/ws\?ticket=/);
    plain.destroy();
  });

  test("go to no other server, whatever the path looks like", async () => {
    await signIn();
    for (const path of [
      "https://evil.example/ws",
      "//evil.example/ws",
      "wss://evil.example",
      "\\\\evil.example",
    ]) {
      expect(new URL(await meanwhile(session.ticketUrl(path))).host).toBe("app.example");
    }
  });

  test.each([
    [502, 8],
    [408, 8],
    // Each 401 is answered with a refresh and one more try.
    [401, 16],
  ])("are asked for until the server can be reached, through a proxy's %i", async (status, most) => {
    await signIn();
    world.fault = ({ path }) => (path === "/auth/ticket" ? new Response("", { status }) : null);
    const promise = session.ticketUrl("/ws");
    await world.pass(20);
    expect(world.count("/auth/ticket")).toBeGreaterThan(3);
    expect(world.count("/auth/ticket")).toBeLessThan(most);
    world.fault = () => null;
    expect(await meanwhile(promise, 60)).toContain("ticket=");
  });

  test("are not asked for again when the server says no, or the caller", async () => {
    await signIn();
    world.fault = ({ path }) => (path === "/auth/ticket" ? refusal(403, "forbidden") : null);
    expect(await codeOf(session.ticketUrl("/ws"))).toBe("forbidden");
    world.fault = () => new TypeError("failed to fetch");
    const enough = new AbortController();
    const promise = session.ticketUrl("/ws", { signal: enough.signal });
    promise.catch(() => undefined);
    await world.pass(3);
    enough.abort(new Error("enough"));
    await expect(promise).rejects.toThrow("enough");
    const before = world.requests.length;
    await world.pass(100);
    expect(world.requests.length).toBe(before);
  });

  test("are all that a session without connections needs", async () => {
    const small = createSmallSession();
    await meanwhile(small.login("ann", "right"));
    expect(await meanwhile(small.ticketUrl("/ws"))).toContain("ticket=");
    expect(small).not.toHaveProperty("connect");
    small.destroy();
  });

  test("are for people who are signed in", async () => {
    expect(await codeOf(session.ticketUrl("/ws"))).toBe("signed_out");
  });
});

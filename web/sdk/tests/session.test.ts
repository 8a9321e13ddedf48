import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createSession, type HoldfastError, type Session } from "../src/index.js";
import { destroyWorld, type Locks, refusal, World } from "./world.js";

let world: World;
let session: Session;
let heard: string[];

beforeEach(() => {
  world = new World();
  session = createSession();
  heard = [];
  for (const name of ["signed_in", "refreshed", "expiring", "degraded", "recovered"] as const) {
    session.on(name, () => heard.push(name));
  }
  for (const name of ["signed_out", "reuse_detected", "tab_sync"] as const) {
    session.on(name, ({ reason }) => heard.push(reason === "" ? name : `${name}: ${reason}`));
  }
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

const signIn = (name = "ann") => meanwhile(session.login(name, "right"));

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error = await meanwhile(promise).then(
    () => null,
    (reason: HoldfastError) => reason,
  );
  return error?.code ?? "went well";
}

describe("signing in", () => {
  test("gives the user and a token, and asks for the cookie to be kept", async () => {
    const user = await signIn();
    expect(user).toEqual({ id: "u-ann", name: "ann", roles: [] });
    expect(session.state).toMatchObject({ status: "active", user, reason: "" });
    expect(await session.getToken()).toBe("token-1");
    expect(world.requests[0]).toMatchObject({ credentials: "include", body: "username=ann&password=right" });
    expect(heard).toEqual(["signed_in"]);
  });

  test("says why not, in a code and a sentence", async () => {
    const promise = session.login("ann", "wrong");
    await expect(meanwhile(promise)).rejects.toMatchObject({
      name: "HoldfastError",
      code: "bad_credentials",
      message: "a sentence about bad_credentials",
    });
    expect(session.state.status).toBe("signed_out");
  });

  test("says how long to wait when it was tried too often", async () => {
    world.fault = () => refusal(429, "throttled", { "Retry-After": "17" });
    await expect(meanwhile(session.login("ann", "right"))).rejects.toMatchObject({
      code: "throttled",
      retryIn: 17,
    });
  });

  test.each([
    ["no network", () => new TypeError("failed to fetch")],
    ["a captive portal", () => new Response("<html>Pay for Wi-Fi</html>")],
    ["tokens without a token", () => Response.json({ expires_in: 900 })],
  ])("tells %s from a refusal", async (_name, fault) => {
    world.fault = fault;
    expect(await codeOf(session.login("ann", "right"))).toBe("unreachable");
  });

  test("works where the server is elsewhere, under a path", async () => {
    session = createSession({ url: "https://api.example/app/" });
    world.fault = () => refusal(404, "not_found");
    await codeOf(session.login("ann", "right"));
    expect(world.requests[0]?.path).toBe("/app/token");
  });
});

describe("loading a page", () => {
  test("finds the session of before by its cookie", async () => {
    await signIn();
    session.destroy();
    session = createSession();
    const state = await meanwhile(session.restore());
    expect(state).toMatchObject({ status: "active", user: { name: "ann" } });
    expect(world.requests.at(-2)).toMatchObject({ path: "/auth/refresh", credentials: "include" });
    expect(world.requests.at(-2)?.headers.get("X-Holdfast")).toBe("1");
    expect(world.requests.at(-1)?.path).toBe("/auth/confirm");
  });

  test("quietly finds nobody", async () => {
    const state = await meanwhile(session.restore());
    expect(state).toMatchObject({ status: "signed_out", user: null });
    expect(heard).toEqual([]);
  });

  test("without a network knows nothing yet, and finds out by itself", async () => {
    await signIn();
    session.destroy();
    session = createSession();
    world.fault = () => new TypeError("failed to fetch");
    expect(await meanwhile(session.restore(), 0.1)).toMatchObject({ status: "degraded", user: null });
    world.fault = () => null;
    await world.pass(1);
    expect(session.state).toMatchObject({ status: "active", user: { name: "ann" } });
  });

  test("asks once, however often it is asked to", async () => {
    await meanwhile(Promise.all([session.restore(), session.restore()]));
    expect(world.count("/auth/refresh")).toBe(1);
  });
});

describe("refreshing", () => {
  test("happens when the server's time has come, not a moment before or after", async () => {
    await signIn();
    // 600 s from the middle of the request, which took 20 ms; one second has passed.
    await world.pass(599.009);
    expect(world.count("/auth/refresh")).toBe(0);
    await world.pass(0.002);
    expect(world.count("/auth/refresh")).toBe(1);
    expect(heard).toEqual(["signed_in", "expiring"]);
    await world.pass(0.1);
    expect(heard).toEqual(["signed_in", "expiring", "refreshed"]);
    expect(await session.getToken()).toBe("token-2");
  });

  test("goes on for a working week", async () => {
    await signIn();
    await world.pass(5 * 86400);
    expect(session.state.status).toBe("active");
    expect(world.count("/auth/refresh")).toBeGreaterThanOrEqual(719);
    expect(world.count("/auth/refresh")).toBeLessThanOrEqual(720);
  });

  test("shows the new token at once, so that the old cookie is spent", async () => {
    await signIn();
    await world.pass(600);
    const [confirmation] = world.requests.filter(({ path }) => path === "/auth/confirm");
    expect(confirmation?.headers.get("Authorization")).toBe("Bearer token-2");
    expect(world.families.get("s1")).toMatchObject({ generation: 2, confirmed: 2 });
  });

  test("never waits with a timer that browsers fire at once", async () => {
    world.lifetime = 90 * 86400;
    await signIn();
    await world.pass(86400);
    expect(world.count("/auth/refresh")).toBe(0);
    await world.pass(89 * 86400 - 300);
    expect(world.count("/auth/refresh")).toBe(1);
  });

  test("by hand gives a new token", async () => {
    await signIn();
    await world.pass(20);
    expect(await meanwhile(session.refreshToken())).toBe("token-2");
    expect(session.state.status).toBe("active");
  });

  test("by hand says when it fails, and the session lives", async () => {
    await signIn();
    await world.pass(20);
    world.fault = () => new TypeError("failed to fetch");
    expect(await codeOf(session.refreshToken())).toBe("unreachable");
    expect(session.state.status).toBe("degraded");
    expect(await session.getToken()).toBe("token-1");
  });

  test("by hand right after one that brought nothing newer waits for a new token", async () => {
    await signIn();
    // 900 s from a minute before: what a server with whole seconds, or a cache in between, may give.
    const old = { access_token: "again", expires_in: 850, session_id: "s1", generation: 1, user: null };
    world.fault = ({ path }) => (path === "/auth/refresh" ? Response.json(old) : null);
    expect(await meanwhile(session.refreshToken(), 0.1)).toBe("again");
    world.fault = () => null;
    const before = world.count("/auth/refresh");
    let token = "";
    void session.refreshToken().then((found) => {
      token = found;
    });
    await world.pass(0.1);
    expect([token, world.count("/auth/refresh")]).toEqual(["", before]);
    await world.pass(2);
    expect(token).toBe("token-2");
    expect(world.count("/auth/refresh")).toBe(before + 1);
  });

  test("by hand without a session says so", async () => {
    expect(await codeOf(session.refreshToken())).toBe("signed_out");
    expect(world.requests).toEqual([]);
  });
});

describe("what ends a session", () => {
  test.each([
    ["no network", () => new TypeError("failed to fetch")],
    ["silence", () => "silence" as const],
    ["an HTML page with 200", () => new Response("<html>Welcome to our Wi-Fi</html>")],
    ["an HTML page with 401", () => new Response("<html>proxy</html>", { status: 401 })],
    ["a 403 of ours", () => refusal(403, "forbidden")],
    ["408", () => new Response("", { status: 408 })],
    ["409", () => refusal(409, "conflict")],
    ["429", () => refusal(429, "throttled", { "Retry-After": "20" })],
    ["500", () => new Response("oops", { status: 500 })],
    ["503 that says invalid_token", () => refusal(503, "invalid_token")],
    ["500 with tokens in it", () => Response.json({ access_token: "t", expires_in: 900 }, { status: 500 })],
    ["tokens of nobody's making", () => Response.json({ access_token: "", expires_in: "soon" })],
  ])("%s does not: it is tried again, and heals", async (_name, fault) => {
    await signIn();
    world.fault = fault;
    await world.pass(600 + 3 * 900);
    expect(session.state).toMatchObject({ status: expect.stringMatching(/degraded|refreshing/), reason: "" });
    expect(session.state.user?.name).toBe("ann");
    world.fault = () => null;
    await world.pass(90);
    expect(session.state.status).toBe("active");
    expect(heard.filter((name) => name === "degraded")).toHaveLength(1);
    expect(heard.at(-1)).toBe("recovered");
  });

  test.each(["session_ended", "token_reused", "invalid_token"])("%s does", async (code) => {
    await signIn();
    world.fault = ({ path }) => (path === "/auth/refresh" ? refusal(401, code) : null);
    await world.pass(600);
    expect(session.state).toMatchObject({ status: "ended", reason: code, user: { name: "ann" } });
    expect(heard.at(-1)).toBe(`signed_out: ${code}`);
    expect(heard.includes("reuse_detected")).toBe(code === "token_reused");
    expect(await codeOf(session.getToken())).toBe(code);
    const before = world.requests.length;
    await world.pass(3600);
    expect(world.requests.length).toBe(before);
  });

  test("signing in again mends it", async () => {
    await signIn();
    world.end("s1");
    await world.pass(600);
    expect(session.state.status).toBe("ended");
    await signIn();
    expect(session.state).toMatchObject({ status: "active", reason: "" });
    await world.pass(900);
    expect(session.state.status).toBe("active");
  });

  test("Retry-After is honoured", async () => {
    await signIn();
    world.fault = ({ path }) =>
      path === "/auth/refresh" ? refusal(503, "unavailable", { "Retry-After": "40" }) : null;
    await world.pass(600);
    expect(world.count("/auth/refresh")).toBe(1);
    world.show();
    await world.pass(38.9);
    expect(world.count("/auth/refresh")).toBe(1);
    await world.pass(0.2);
    expect(world.count("/auth/refresh")).toBe(2);
  });
});

describe("a token to use", () => {
  test("is refreshed first when it is due, once for all who ask", async () => {
    await signIn();
    world.sleep(700);
    const tokens = await meanwhile(Promise.all([session.getToken(), session.getToken(), session.getToken()]));
    expect(tokens).toEqual(["token-2", "token-2", "token-2"]);
    expect(world.count("/auth/refresh")).toBe(1);
  });

  test("is the one in hand while the server cannot be reached and it still lives", async () => {
    await signIn();
    world.fault = () => new TypeError("failed to fetch");
    await world.pass(650);
    expect(await meanwhile(session.getToken(), 0)).toBe("token-1");
  });

  test("is waited for when there is none, until there is or the caller has had enough", async () => {
    await signIn();
    world.fault = () => new TypeError("failed to fetch");
    await world.pass(1000);
    const enough = new AbortController();
    const impatient = session.getToken({ signal: enough.signal });
    impatient.catch(() => undefined);
    const patient = session.getToken();
    await world.pass(100);
    enough.abort(new Error("enough"));
    await expect(impatient).rejects.toThrow("enough");
    world.fault = () => null;
    await world.pass(60);
    expect(await patient).toBe("token-2");
  });

  test("is nobody's when nobody is signed in, and nothing is asked of the server", async () => {
    expect(await codeOf(session.getToken())).toBe("signed_out");
    expect(session.state.status).toBe("signed_out");
    expect(world.requests).toEqual([]);
  });
});

describe("signing out", () => {
  test("takes effect at once and ends the session on the server", async () => {
    await signIn();
    const done = session.logout();
    expect(session.state).toMatchObject({ status: "signed_out", user: null, reason: "signed_out" });
    await meanwhile(done);
    expect(world.families.get("s1")?.ended).not.toBe("");
    expect(heard.at(-1)).toBe("signed_out: signed_out");
    expect(await codeOf(session.getToken())).toBe("signed_out");
  });

  test("does not wait for a tab that sits on the lock, frozen", async () => {
    await signIn();
    const name = "holdfast:https://app.example/";
    void (navigator.locks as unknown as Locks).request(name, {}, () => new Promise<never>(() => undefined));
    await meanwhile(session.logout(), 0.1);
    expect(world.families.get("s1")?.ended).not.toBe("");
  });

  test("is waited for by whoever signs in next, for its answer takes the cookie away", async () => {
    await signIn();
    world.fault = ({ path }) => (path === "/auth/logout" ? "silence" : null);
    const before = world.count("/token");
    session.logout().catch(() => undefined);
    const again = session.login("bob", "right");
    await world.pass(7.9);
    expect(world.count("/token")).toBe(before);
    expect((await meanwhile(again))?.name).toBe("bob");
  });

  test("takes effect without a network too, says so, and can be tried again", async () => {
    await signIn();
    world.fault = () => new TypeError("failed to fetch");
    expect(await codeOf(session.logout())).toBe("unreachable");
    expect(session.state.status).toBe("signed_out");
    world.fault = () => null;
    await meanwhile(session.logout());
    expect(world.families.get("s1")?.ended).not.toBe("");
  });

  test("everywhere waits for the server to agree", async () => {
    await signIn();
    world.fault = () => refusal(503, "unavailable");
    expect(await codeOf(session.logout({ everywhere: true }))).toBe("unavailable");
    expect(session.state.status).toBe("active");
    world.fault = () => null;
    await meanwhile(session.logout({ everywhere: true }));
    expect(session.state.status).toBe("signed_out");
  });

  test("during a refresh wins, and the late answer brings nothing back", async () => {
    await signIn();
    await world.pass(599.015);
    expect(session.state.status).toBe("refreshing");
    await meanwhile(session.logout());
    expect(session.state.status).toBe("signed_out");
    expect(world.cookie).toBe("");
  });
});

describe("one's sessions", () => {
  test("are listed, and one of them ended", async () => {
    await signIn();
    const other = createSession();
    await signIn();
    expect(await meanwhile(session.sessions())).toMatchObject([
      { id: "s1", current: false },
      { id: "s2", current: true },
    ]);
    await meanwhile(session.endSession("s1"));
    expect(world.families.get("s1")?.ended).not.toBe("");
    expect(session.state.status).toBe("active");
    await meanwhile(session.endSession("s2"));
    expect(session.state).toMatchObject({ status: "signed_out", reason: "signed_out" });
    other.destroy();
  });
});

describe("the state", () => {
  test("is the same object until something changes", async () => {
    await signIn();
    const before = session.state;
    await world.pass(100);
    world.show();
    await world.pass(100);
    expect(session.state).toBe(before);
    await world.pass(450);
    expect(session.state).not.toBe(before);
  });

  test("tells when the token expires and when it is refreshed, by this machine's clock", async () => {
    await signIn();
    const { expiresAt, refreshAt } = session.state;
    expect(((expiresAt ?? 0) - Date.now()) / 1000).toBeCloseTo(899, 1);
    expect(((refreshAt ?? 0) - Date.now()) / 1000).toBeCloseTo(599, 1);
  });

  test("reaches listeners until they have had enough, and one that throws harms nobody", async () => {
    const thrown: unknown[] = [];
    const listener = (error: unknown) => thrown.push(error);
    process.on("uncaughtException", listener);
    const seen: string[] = [];
    session.on("state", () => {
      throw new Error("a listener's own fault");
    });
    const stop = session.on("state", ({ status }) => seen.push(status));
    await signIn();
    expect(seen).toEqual(["active"]);
    stop();
    await meanwhile(session.logout());
    expect(seen).toEqual(["active"]);
    process.off("uncaughtException", listener);
    expect(thrown).toHaveLength(2);
  });
});

describe("the end", () => {
  test("stops everything here, and leaves the session to its cookie", async () => {
    await signIn();
    // What limits the requests that were made is over by then.
    await world.pass(10);
    session.destroy();
    expect(vi.getTimerCount()).toBe(0);
    const before = world.requests.length;
    world.show();
    await world.pass(86400);
    expect(world.requests.length).toBe(before);
    expect(world.families.get("s1")?.ended).toBe("");
    expect(await codeOf(session.getToken())).toBe("destroyed");
  });

  test("wakes those who wait", async () => {
    await signIn();
    world.fault = () => new TypeError("failed to fetch");
    await world.pass(1000);
    const waiting = session.getToken();
    waiting.catch(() => undefined);
    session.destroy();
    await expect(waiting).rejects.toMatchObject({ code: "destroyed" });
  });
});

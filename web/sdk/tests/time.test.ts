import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createSession, type Session } from "../src/index.js";
import { destroyWorld, World } from "./world.js";

const YEAR = 365 * 86400;

let world: World;
let session: Session;

beforeEach(async () => {
  world = new World();
  session = createSession();
  await Promise.all([session.login("ann", "right"), world.pass(1)]);
});

afterEach(() => {
  session.destroy();
  destroyWorld();
});

describe("after a sleep of eight hours, in which no timer fired", () => {
  test.each([
    ["the page is seen", () => world.show()],
    ["the window is focused", () => dispatchEvent(new Event("focus"))],
    ["the network is back", () => dispatchEvent(new Event("online"))],
    ["the page comes out of the cache", () => dispatchEvent(new Event("pageshow"))],
    ["the page is thawed", () => document.dispatchEvent(new Event("resume"))],
  ])("the session refreshes as soon as %s", async (_name, wake) => {
    world.sleep(8 * 3600);
    expect(world.count("/auth/refresh")).toBe(0);
    wake();
    await world.pass(0.1);
    expect(world.count("/auth/refresh")).toBe(1);
    expect(session.state.status).toBe("active");
  });

  test("and without any such event, within the next half minute", async () => {
    world.sleep(8 * 3600);
    await world.pass(30);
    expect(world.count("/auth/refresh")).toBe(1);
  });

  test("it is no sign-out when the network comes back later than the page", async () => {
    world.fault = () => new TypeError("failed to fetch");
    world.sleep(8 * 3600);
    world.show();
    await world.pass(45);
    expect(session.state).toMatchObject({ status: "degraded", user: { name: "ann" } });
    world.fault = () => null;
    dispatchEvent(new Event("online"));
    await world.pass(0.1);
    expect(session.state.status).toBe("active");
  });
});

describe("a browser's clock that is wrong", () => {
  test.each([
    ["a day ahead", 86400],
    ["a day behind", -86400],
    ["ten years ahead", 10 * YEAR],
    ["forty years behind", -40 * YEAR],
  ])("by %s from the start makes no difference", async (_name, seconds) => {
    session.destroy();
    world.setClock(seconds);
    session = createSession();
    await Promise.all([session.login("ann", "right"), world.pass(1)]);
    await world.pass(599.009);
    expect(world.count("/auth/refresh")).toBe(0);
    await world.pass(0.002);
    expect(world.count("/auth/refresh")).toBe(1);
  });

  test("that is set back changes nothing", async () => {
    await world.pass(100);
    world.setClock(-10 * YEAR);
    await world.pass(499.009);
    expect(world.count("/auth/refresh")).toBe(0);
    await world.pass(0.002);
    expect(world.count("/auth/refresh")).toBe(1);
  });

  test("that is set ahead costs one early refresh", async () => {
    await world.pass(100);
    world.setClock(YEAR);
    await world.pass(400);
    expect(world.count("/auth/refresh")).toBe(1);
    expect(session.state.status).toBe("active");
    await world.pass(1800);
    expect(world.count("/auth/refresh")).toBe(4);
  });

  test("that is set ahead and back again still lets a sleep be noticed", async () => {
    world.setClock(YEAR);
    await world.pass(60);
    world.setClock(-YEAR);
    await world.pass(60);
    const before = world.count("/auth/refresh");
    world.sleep(3600);
    world.show();
    await world.pass(1);
    expect(world.count("/auth/refresh")).toBe(before + 1);
  });

  test("that is pushed to and fro a little makes no difference", async () => {
    for (let step = 0; step < 590; step++) {
      world.setClock(step % 2 === 0 ? 0.4 : -0.4);
      await world.pass(1);
    }
    expect(world.count("/auth/refresh")).toBe(0);
    await world.pass(10);
    expect(world.count("/auth/refresh")).toBe(1);
  });
});

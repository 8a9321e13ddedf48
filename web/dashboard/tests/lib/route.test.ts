import { describe, expect, it } from "vitest";
import { pathTo, routeOf } from "../../src/lib/route.js";

describe("an address", () => {
  it.each([
    ["/", "live", null],
    ["/live", "live", null],
    ["/live/", "live", null],
    ["/sessions", "sessions", null],
    ["/connections/ab%20c", "connections", "ab c"],
    ["/jobs", "jobs", null],
    ["/jobs/42", "jobs", "42"],
    ["/jobs/42/log", null, null],
    ["/overview", "overview", null],
    ["/connections/%", "connections", "%"],
    ["/nowhere", null, null],
    ["/live/extra", null, null],
    ["/connections/a/b", null, null],
  ])("%s leads to %s", (path, page, item) => {
    expect(routeOf(path)).toEqual({ page, item, path });
  });

  it("of a connection leads back to it", () => {
    expect(routeOf(pathTo("connections", "a/b?c")).item).toBe("a/b?c");
  });
});

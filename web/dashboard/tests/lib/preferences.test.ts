import { beforeEach, describe, expect, it, vi } from "vitest";

const KEY = "holdfast:preferences";

const fresh = async () => {
  vi.resetModules();
  return await import("../../src/lib/preferences.js");
};

beforeEach(() => localStorage.clear());

describe("preferences", () => {
  it("are kept on this machine, and nothing else is", async () => {
    const { change } = await fresh();
    change({ theme: "dark" });
    change({ language: "ru" });
    expect(Object.keys(localStorage)).toEqual([KEY]);
    expect(JSON.parse(localStorage.getItem(KEY) ?? "")).toEqual({ theme: "dark", language: "ru" });
  });

  it.each(["not json", "null", '"text"', '{"theme": "neon", "language": 7}'])(
    "fall back to the system's where what is kept makes no sense: %s",
    async (kept) => {
      localStorage.setItem(KEY, kept);
      vi.spyOn(navigator, "languages", "get").mockReturnValue(["ru-RU"]);
      const { change } = await fresh();
      change({});
      expect(JSON.parse(localStorage.getItem(KEY) ?? "")).toEqual({ theme: "system", language: "ru" });
    },
  );

  it("hold for the page where storage is off", async () => {
    const { change } = await fresh();
    vi.spyOn(Storage.prototype, "setItem").mockImplementation(() => {
      throw new DOMException("denied");
    });
    expect(() => change({ theme: "light" })).not.toThrow();
  });
});

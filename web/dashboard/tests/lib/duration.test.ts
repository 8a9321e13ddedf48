import { describe, expect, it } from "vitest";
import { clockFace, inSeconds, relative, span } from "../../src/lib/duration.js";

const plain = (text: string): string => text.replace(/\s/g, " ");

describe("a clock face", () => {
  it.each([
    [-3, "0:00"],
    [0, "0:00"],
    [0.001, "0:01"],
    [59, "0:59"],
    [59.001, "1:00"],
    [277, "4:37"],
    [3_599, "59:59"],
    [3_600, "1:00:00"],
    [86_399, "23:59:59"],
  ])("of %d s reads %s", (seconds, text) => {
    expect(clockFace(seconds)).toBe(text);
  });
});

describe("a span", () => {
  it("turns to days when a clock says nothing any more", () => {
    expect(span("en", 86_399)).toBe("23:59:59");
    expect(span("en", 86_400)).toBe("1 day");
    expect(span("en", 3 * 86_400 + 5)).toBe("3 days");
    expect(plain(span("ru", 5 * 86_400))).toBe("5 дн.");
  });
});

describe("a short wait", () => {
  it("is in seconds while those are few", () => {
    expect(inSeconds("en", 4.2)).toBe("5 sec");
    expect(plain(inSeconds("ru", 12))).toBe("12 с");
    expect(inSeconds("en", 99)).toBe("99 sec");
    expect(inSeconds("en", 100)).toBe("1:40");
  });
});

describe("how long ago", () => {
  it.each([
    [-9.9, "now"],
    [-10, "10 sec. ago"],
    [-59.9, "59 sec. ago"],
    [-60, "1 min. ago"],
    [-7_200, "2 hr. ago"],
    [-86_400, "yesterday"],
    [14 * 86_400, "in 14 days"],
  ])("%d s is %s", (seconds, text) => {
    expect(relative("en", seconds, "now")).toBe(text);
  });

  it("is said in Russian too", () => {
    expect(plain(relative("ru", -60, "сейчас"))).toMatch(/^1 мин\.? назад$/);
    expect(relative("ru", -1, "сейчас")).toBe("сейчас");
  });
});

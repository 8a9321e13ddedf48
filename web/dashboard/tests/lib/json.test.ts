import { describe, expect, it } from "vitest";
import { dataOf, read } from "../../src/lib/json.js";

describe("what a person typed", () => {
  it("is a message when it is an object", () => {
    expect(read(' {"job": 42} ')).toEqual({ kind: "message", message: { job: 42 } });
  });

  it.each(["", "  \n "])("is nothing yet: %j", (text) => {
    expect(read(text).kind).toBe("empty");
  });

  it.each(["1", '"text"', "null", "true", "[1, 2]"])("is no message, but valid: %s", (text) => {
    expect(read(text).kind).toBe("other");
  });

  it.each(["ping", "auth", "subscribe"])("may not have the protocol's own type %s", (type) => {
    expect(read(`{"type": "${type}"}`)).toEqual({ kind: "reserved", type, value: { type } });
  });

  it.each([
    ["", null],
    ["{", null],
    ["7", { data: 7 }],
    ["null", { data: null }],
    ['{"type": "ping"}', { data: { type: "ping" } }],
    ['{"a": 1}', { data: { a: 1 } }],
  ])("is good for a channel whenever it is JSON: %s", (text, expected) => {
    expect(dataOf(read(text))).toEqual(expected);
  });

  it("may have a type of its own", () => {
    expect(read('{"type": "order"}').kind).toBe("message");
  });

  it.each([
    ["{", "unfinished"],
    ['{"a"', "unfinished"],
    ['{"a": 1', "unfinished"],
    ['{"a": "half', "unfinished"],
    ['[1, {"b": [', "unfinished"],
    ["[1,\n", "unfinished"],
  ])("only stops too early: %j", (text, kind) => {
    expect(read(text).kind).toBe(kind);
  });

  it.each([
    ["{a: 1}", 1, 2],
    ['{"a": 1,}', 1, 9],
    ['{"a" 1}', 1, 6],
    ['{"a": 1} x', 1, 10],
    ["[1 2]", 1, 4],
    ["[1,]", 1, 4],
    ['{\n  "a": 1,\n  b: 2\n}', 3, 3],
    ["{\"a\": 'x'}", 1, 7],
    ['{"a": 01}', 1, 7],
    ['{"a": [1}', 1, 9],
    ["{} {}", 1, 4],
    ["[tru]", 1, 2],
    ['{"a": "\\x"}', 1, 7],
    ["}", 1, 1],
  ])("goes wrong in %j at line %i, column %i", (text, line, column) => {
    expect(() => JSON.parse(text)).toThrow();
    expect(read(text)).toEqual({ kind: "syntax", line, column });
  });
});

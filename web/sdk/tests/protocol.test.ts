import { expect, test } from "vitest";
import { actionFor, read } from "../src/protocol.js";

test.each([
  ["no JSON", "{"],
  ["nothing", ""],
  ["binary", new Blob(["{}"])],
  ["a welcome without its fields", '{"type":"welcome"}'],
  ["a welcome whose limits are text", '{"type":"welcome","limits":"none"}'],
  ["a time that is text", '{"type":"auth.due","expires_in":"300"}'],
  ["a time below nothing", '{"type":"auth.due","expires_in":-1}'],
  ["a time beyond reason", '{"type":"auth.due","expires_in":1e400}'],
  ["a goodbye without a code", '{"type":"bye","action":"stop"}'],
  ["an error whose code is a number", '{"type":"error","code":7}'],
  ["an id that is an object", '{"type":"ping","id":{}}'],
  ["an event without its place", '{"type":"event","channel":"job:1","data":null}'],
  ["an event of no channel", '{"type":"event","offset":1,"data":null}'],
  ["a subscription without its epoch", '{"type":"subscribed","id":1,"channel":"job:1","offset":1}'],
  [
    "members that are none",
    '{"type":"subscribed","id":1,"channel":"a","epoch":"e","offset":1,"presence":[7]}',
  ],
  ["a member without a name", '{"type":"presence.join","channel":"a","connection":"c1","user":"u1"}'],
])("%s is left alone", (_name, data) => {
  expect(read(data)).toEqual({ type: "ignored" });
});

test.each([
  ["an object", '{"any":1}', { any: 1 }],
  ["a type of the app's", '{"type":"chat"}', { type: "chat" }],
  ["a type that objects have by birth", '{"type":"constructor"}', { type: "constructor" }],
  ["a type that is no text", '{"type":["bye"]}', { type: ["bye"] }],
  ["a list", '[{"type":"bye"}]', [{ type: "bye" }]],
  ["null", "null", null],
])("%s is the app's message", (_name, text, data) => {
  expect(read(text)).toEqual({ type: "message", data });
});

test.each([undefined, null, "dance", ["stop"]])(
  "a goodbye with the action %o is understood by its code",
  (action) => {
    expect(actionFor(4001, "", action)).toBe("relogin");
    expect(actionFor(4001, "", "stop")).toBe("stop");
  },
);

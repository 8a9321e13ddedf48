import { beforeEach, describe, expect, it, vi } from "vitest";
import { channelsIn, isChannel, searchFor } from "../../src/lib/channel.js";
import { Desk } from "../../src/lib/desk.js";
import type { Happening } from "../../src/lib/holding.js";
import { MessageLog } from "../../src/lib/log.js";
import { FakeChannels } from "./channels.js";

let log: MessageLog;
let channels: FakeChannels;
const happened = (): unknown[] =>
  log
    .shown()
    .entries.filter(({ kind }) => kind === "event")
    .map(({ data }) => (data as Happening).what)
    .toReversed();

beforeEach(() => {
  log = new MessageLog();
  channels = new FakeChannels();
});

describe("the desk", () => {
  it("writes down what comes on a channel, with its place", () => {
    const desk = new Desk(log);
    desk.attach(channels);
    desk.follow("job:1");
    channels.last.subscribed(false, 4, true);
    channels.last.event(5, { n: 1 });
    expect(log.shown().entries[0]).toMatchObject({
      kind: "channel",
      channel: "job:1",
      offset: 5,
      text: '{"n":1}',
      data: { n: 1 },
    });
    expect(desk.shown()).toEqual([{ channel: "job:1", status: "subscribed", offset: 5, members: [] }]);
    expect(log.shown().received).toBe(1);
  });

  it("tells a return that lost nothing from one that did", () => {
    const desk = new Desk(log, ["job:1"]);
    desk.attach(channels);
    channels.last.subscribed(false, 0, true);
    channels.last.tell("subscribing", null);
    expect(desk.shown()[0]?.status).toBe("subscribing");
    channels.last.subscribed(true, 0);
    channels.last.subscribed(false, 0);
    expect(happened()).toEqual(["subscribed", "recovered", "unrecovered"]);
  });

  it("says so when a right is refused or lost", () => {
    const desk = new Desk(log, ["job:1"]);
    desk.attach(channels);
    channels.last.tell("refused", { code: "forbidden", message: "" });
    expect(desk.shown()[0]?.status).toBe("refused");
    channels.last.subscribed(false, 0, true);
    channels.last.tell("unsubscribed", { reason: "revoked" });
    expect(desk.shown()[0]?.status).toBe("unsubscribed");
    channels.last.tell("unsubscribed", { reason: "channel_closed" });
    expect(happened()).toEqual(["refused", "subscribed", "revoked", "left"]);
  });

  it("knows who is there", () => {
    const desk = new Desk(log, ["job:1"]);
    desk.attach(channels);
    const members = [{ connection: "c", user: "u", name: "ann" }];
    channels.last.tell("presence", members);
    expect(desk.shown()[0]?.members).toEqual(members);
  });

  it("asks for a channel once, and hears no more of one that it has left", () => {
    const desk = new Desk(log);
    desk.attach(channels);
    desk.follow("job:1");
    desk.follow("job:1");
    expect(channels.subscriptions).toHaveLength(1);
    desk.leave("job:1");
    channels.last.event(1, "late");
    expect([desk.shown(), log.shown().received]).toEqual([[], 0]);
  });

  it("goes on with its channels on another connection, which does not know what came in between", () => {
    const desk = new Desk(log, ["job:1"]);
    desk.attach(channels);
    channels.last.subscribed(false, 3, true);
    const before = channels.last;
    desk.attach(null);
    expect(before.status).toBe("unsubscribed");
    desk.follow("job:2");
    const other = new FakeChannels();
    desk.attach(other);
    expect(other.subscriptions.map(({ channel }) => channel)).toEqual(["job:1", "job:2"]);
    for (const one of other.subscriptions) one.subscribed(false, 7, true);
    expect(happened()).toEqual(["subscribed", "unrecovered", "subscribed"]);
  });

  it("tells its listeners of every change until they have enough", () => {
    const desk = new Desk(log);
    const listener = vi.fn();
    const stop = desk.subscribe(listener);
    desk.follow("job:1");
    stop();
    desk.leave("job:1");
    expect(listener).toHaveBeenCalledTimes(1);
  });
});

describe("the channels of an address", () => {
  it.each([
    ["", []],
    ["?channel=job:1&channel=user:7", ["job:1", "user:7"]],
    ["?channel=job:1&channel=job:1&other=x", ["job:1"]],
    ["?channel=two%20words&channel=%7Bid%7D&channel=", []],
  ])("%s are %j", (search, expected) => {
    expect(channelsIn(search)).toEqual(expected);
  });

  it("come back as they were", () => {
    const names = ["job:1", "a/b#c%d+e", "user:~!@$^()"];
    expect(channelsIn(searchFor(names))).toEqual(names);
    expect(searchFor(["job:1", "user:7"])).toBe("?channel=job:1&channel=user:7");
    expect(searchFor([])).toBe("");
  });
});

describe("the name of a channel", () => {
  it.each([
    ["a", true],
    ["x".repeat(255), true],
    ["x".repeat(256), false],
    ["", false],
    ["a b", false],
    ["канал", false],
    ["a{b", false],
    ["a}b", false],
    ["a*", false],
    ["a?", false],
    ["a&b", false],
    ["a,b", false],
    ["a\u007f", false],
  ])("%s: %s", (name, good) => {
    expect(isChannel(name)).toBe(good);
  });
});

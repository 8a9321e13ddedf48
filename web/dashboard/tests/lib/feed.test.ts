import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Feed, type Fold } from "../../src/lib/feed.js";
import { FakeChannels } from "./channels.js";

/** What came, as a row of letters; "*" begins anew, "?" may be missing something. */
const LETTERS: Fold<string> = {
  empty: "",
  take: (value, { data, isKnown }) => (data === "*" && !isKnown ? "*" : `${value}${String(data)}`),
  isWhole: (data) => data === "*",
  gap: (value) => `${value}?`,
};

interface World {
  readonly channels: FakeChannels;
  readonly feed: Feed<string>;
}

function world(): World {
  const channels = new FakeChannels();
  return { channels, feed: new Feed(channels, "job:1", LETTERS, { limit: 10 }) };
}

async function live(...data: readonly string[]): Promise<World> {
  const it = world();
  it.channels.last.subscribed(false, 0, true);
  await it.channels.question.answer("e1", 1, ...data);
  return it;
}

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000, toFake: ["Date", "setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("a feed", () => {
  it("shows what the channel remembers, then what comes", async () => {
    const { channels, feed } = world();
    expect(feed.shown().phase).toBe("loading");
    channels.last.subscribed(false, 2, true);
    expect(feed.shown().phase, "the history is asked for").toBe("loading");
    await channels.question.answer("e1", 1, "a", "b");
    expect(feed.shown()).toEqual({ value: "ab", phase: "live", broken: null });
    channels.last.event(3, "c");
    expect(feed.shown().value).toBe("abc");
  });

  it("takes what comes before the history once, in its place", async () => {
    const { channels, feed } = world();
    channels.last.subscribed(false, 1, true);
    channels.last.event(2, "b");
    channels.last.event(3, "c");
    await channels.question.answer("e1", 1, "a", "b");
    expect(feed.shown().value).toBe("abc");
  });

  it("goes on when nothing was lost, and says meanwhile that it is not live", async () => {
    const { channels, feed } = await live("a");
    channels.last.tell("subscribing", null);
    expect(feed.shown()).toMatchObject({ value: "a", phase: "away" });
    channels.last.subscribed(true, 1);
    channels.last.event(2, "b");
    expect(feed.shown()).toEqual({ value: "ab", phase: "live", broken: null });
    expect(channels.asked).toHaveLength(1);
  });

  it("asks again when the connection was lost before the answer", async () => {
    const { channels, feed } = world();
    channels.last.subscribed(false, 1, true);
    channels.last.tell("subscribing", null);
    await channels.question.fail("lost");
    expect(feed.shown().phase, "there is nothing yet that could be out of date").toBe("loading");
    channels.last.subscribed(true, 1);
    channels.last.event(2, "b");
    await channels.question.answer("e1", 1, "a", "b");
    expect(feed.shown()).toMatchObject({ value: "ab", phase: "live" });
  });

  it("takes no answer to a question that it has asked anew", async () => {
    const { channels, feed } = world();
    channels.last.subscribed(false, 0, true);
    const old = channels.question;
    channels.last.subscribed(false, 0);
    await channels.question.answer("e2", 1, "n");
    await old.answer("e1", 1, "o");
    expect(feed.shown().value).toBe("n");
  });

  it.each(["try_later", "unknown"])("asks again a while after %s", async (code) => {
    const { channels } = world();
    channels.last.subscribed(false, 0, true);
    await channels.question.fail(code);
    vi.advanceTimersByTime(1_999);
    expect(channels.asked).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(channels.asked).toHaveLength(2);
  });
});

describe("a feed after a gap", () => {
  it("keeps what it knows, takes only what is new, and marks the gap", async () => {
    const { channels, feed } = await live("a", "b");
    channels.last.subscribed(false, 9);
    await channels.question.answer("e1", 2, "b", "c");
    expect(feed.shown()).toEqual({
      value: "ab?c",
      phase: "live",
      broken: { at: 1_000_000, isNewLife: false, isMended: false },
    });
  });

  it("tells a new life of the channel from a long absence", async () => {
    const { channels, feed } = await live("a", "b");
    channels.last.subscribed(false, 1);
    await channels.question.answer("e2", 1, "c");
    expect(feed.shown()).toMatchObject({ value: "ab?c", broken: { isNewLife: true, isMended: false } });
    channels.last.event(2, "d");
    expect(feed.shown().value).toBe("ab?cd");
  });

  it("starts over where the history has everything", async () => {
    const { channels, feed } = await live("a", "b");
    channels.last.subscribed(false, 3);
    await channels.question.answer("e2", 1, "x", "*", "c");
    expect(feed.shown()).toMatchObject({ value: "*c", broken: { isNewLife: true, isMended: true } });
  });

  it("is mended when everything is told later", async () => {
    const { channels, feed } = await live("a");
    channels.last.subscribed(false, 0);
    await channels.question.answer("e2", 1);
    expect(feed.shown()).toMatchObject({ value: "a?", broken: { isMended: false } });
    channels.last.event(1, "*");
    expect(feed.shown()).toMatchObject({ value: "*", broken: { isMended: true } });
  });

  it("lets what is told to newcomers pass when it knows it", async () => {
    const { channels, feed } = await live("a", "*", "b");
    expect(feed.shown().value).toBe("*b");
    channels.last.event(4, "*");
    channels.last.event(5, "c");
    expect(feed.shown().value).toBe("*b*c");
  });

  it("lets it pass in the history too", async () => {
    expect((await live("a", "*", "b", "*", "c")).feed.shown().value).toBe("*b*c");
  });
});

describe("a feed whose right", () => {
  it("is refused shows nothing, and everything once it is given", async () => {
    const { channels, feed } = world();
    channels.last.tell("refused", { code: "forbidden", message: "" });
    expect(feed.shown().phase).toBe("refused");
    channels.last.tell("subscribing", null);
    channels.last.subscribed(false, 1, true);
    await channels.question.answer("e1", 1, "a");
    expect(feed.shown()).toMatchObject({ value: "a", phase: "live" });
  });

  it("cannot be used for now is only away", async () => {
    const { channels, feed } = await live("a");
    channels.last.tell("refused", { code: "too_many_channels", message: "" });
    expect(feed.shown()).toMatchObject({ value: "a", phase: "away" });
  });

  it("is refused between subscription and history is refused as well", async () => {
    const { channels, feed } = world();
    channels.last.subscribed(false, 1, true);
    await channels.question.fail("forbidden");
    expect(feed.shown().phase).toBe("refused");
  });

  it.each([
    ["revoked", "revoked"],
    ["channel_closed", "closed"],
    ["closed", "away"],
  ] as const)("ends by %s is %s, and keeps what it has", async (reason, phase) => {
    const { channels, feed } = await live("a");
    channels.last.tell("unsubscribed", { reason });
    expect(feed.shown()).toMatchObject({ value: "a", phase });
  });

  it("comes back goes on from where it was", async () => {
    const { channels, feed } = await live("a");
    channels.last.tell("unsubscribed", { reason: "revoked" });
    channels.last.subscribed(true, 1);
    channels.last.event(2, "b");
    expect(feed.shown()).toEqual({ value: "ab", phase: "live", broken: null });
  });
});

it("a feed tells its listeners once for many changes of one frame, and nobody when it is closed", async () => {
  const frames: (() => void)[] = [];
  const channels = new FakeChannels();
  const feed = new Feed(channels, "job:1", LETTERS, { limit: 10, later: (work) => frames.push(work) });
  const listener = vi.fn();
  feed.subscribe(listener);
  channels.last.subscribed(false, 0, true);
  await channels.question.answer("e1", 1, "a");
  channels.last.event(2, "b");
  channels.last.event(3, "c");
  for (const frame of frames.splice(0)) frame();
  expect([listener.mock.calls.length, feed.shown().value]).toEqual([1, "abc"]);
  channels.last.subscribed(false, 3);
  feed.close();
  await channels.question.answer("e2", 1, "z");
  for (const frame of frames.splice(0)) frame();
  expect([listener.mock.calls.length, feed.shown().value]).toEqual([1, "abc"]);
});

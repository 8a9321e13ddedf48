import { describe, expect, it, vi } from "vitest";
import { type Entry, KEPT, MessageLog, matching } from "../../src/lib/log.js";

const entry = (text: string, kind: Entry["kind"] = "in"): Omit<Entry, "id"> => ({
  at: 0,
  kind,
  text,
  data: text,
});
const texts = (log: MessageLog): string[] => log.shown().entries.map(({ text }) => text);

describe("the log of messages", () => {
  it("shows the newest first", () => {
    const log = new MessageLog();
    log.add(entry("one"));
    log.add(entry("two"));
    expect(texts(log)).toEqual(["two", "one"]);
  });

  it("keeps no more than it may, and counts all the same", () => {
    const log = new MessageLog();
    for (let number = 0; number < KEPT + 3; number++) log.add(entry(String(number)));
    expect(log.shown().entries).toHaveLength(KEPT);
    expect(texts(log).at(-1)).toBe("3");
    expect(log.shown().received).toBe(KEPT + 3);
  });

  it("stands still while paused, counts what has come, and shows it afterwards", () => {
    const log = new MessageLog();
    log.add(entry("before"));
    log.pause(true);
    log.add(entry("meanwhile"));
    expect([texts(log), log.shown().waiting]).toEqual([["before"], 1]);
    log.pause(false);
    expect([texts(log), log.shown().waiting]).toEqual([["meanwhile", "before"], 0]);
  });

  it("forgets when it is cleared, paused or not, but for the counts", () => {
    const log = new MessageLog();
    log.add(entry("one", "out"));
    log.pause(true);
    log.clear();
    expect([texts(log), log.shown().sent, log.shown().paused]).toEqual([[], 1, true]);
    log.add(entry("two"));
    log.pause(false);
    expect(texts(log)).toEqual(["two"]);
  });

  it("tells its listeners once for many messages of one frame", () => {
    const frames: (() => void)[] = [];
    const log = new MessageLog((work) => frames.push(work));
    const listener = vi.fn();
    const stop = log.subscribe(listener);
    for (const text of ["a", "b", "c"]) log.add(entry(text));
    expect(listener).not.toHaveBeenCalled();
    for (const frame of frames) frame();
    expect([listener.mock.calls.length, texts(log)]).toEqual([1, ["c", "b", "a"]]);
    stop();
    log.add(entry("d"));
    for (const frame of frames.splice(1)) frame();
    expect(listener).toHaveBeenCalledTimes(1);
  });
});

describe("its filter", () => {
  const entries: Entry[] = [
    { ...entry('{"Job": 42}'), id: 1 },
    { ...entry("lost", "event"), id: 2 },
  ];
  const words = ({ text }: Entry): string => text;

  it("finds text in any case", () => {
    expect(matching(entries, "all", " job ", words).map(({ id }) => id)).toEqual([1]);
  });

  it("keeps to a kind", () => {
    expect(matching(entries, "event", "", words).map(({ id }) => id)).toEqual([2]);
    expect(matching(entries, "event", "job", words)).toEqual([]);
  });

  it("looks in what is shown, which is in the language of the moment", () => {
    expect(
      matching(entries, "all", "закрыто", ({ kind, text }) => (kind === "event" ? "закрыто" : text)),
    ).toHaveLength(1);
  });
});

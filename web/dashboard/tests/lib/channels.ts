/** Channels that a test plays the server for. */

import {
  type ChannelEvent,
  type History,
  HoldfastError,
  type Position,
  type Subscription,
  type SubscriptionEvents,
} from "@holdfast/client";
import type { Channels } from "../../src/lib/feed.js";

type Name = keyof SubscriptionEvents;

export class FakeChannel implements Subscription {
  readonly members = [];
  status: Subscription["status"] = "subscribing";
  position: Position | null = null;
  readonly #listener: (event: ChannelEvent) => void;
  readonly #listeners = new Map<Name, ((news: never) => void)[]>();
  readonly channel: string;

  constructor(channel: string, listener: (event: ChannelEvent) => void) {
    this.channel = channel;
    this.#listener = listener;
  }

  readonly on: Subscription["on"] = (name, listener) => {
    this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), listener]);
    return () => undefined;
  };

  readonly unsubscribe = (): void => {
    this.status = "unsubscribed";
  };

  tell<What extends Name>(what: What, news: SubscriptionEvents[What]): void {
    if (this.status === "unsubscribed") return;
    for (const listener of this.#listeners.get(what) ?? []) listener(news as never);
  }

  subscribed(recovered: boolean, offset = 0, fresh = false): void {
    this.tell("subscribed", { recovered, fresh, position: { epoch: "e", offset } });
  }

  event(offset: number, data: unknown): void {
    if (this.status !== "unsubscribed") this.#listener({ channel: this.channel, offset, data });
  }
}

interface Asked {
  readonly answer: (epoch: string, first: number, ...data: readonly unknown[]) => Promise<void>;
  readonly fail: (code: string) => Promise<void>;
}

/** One connection; `asked` are the questions for a history that wait for their answers. */
export class FakeChannels implements Channels {
  readonly subscriptions: FakeChannel[] = [];
  readonly asked: Asked[] = [];

  subscribe(channel: string, listener: (event: ChannelEvent) => void): Subscription {
    const made = new FakeChannel(channel, listener);
    this.subscriptions.push(made);
    return made;
  }

  history(): Promise<History> {
    return new Promise((done, failed) => {
      this.asked.push({
        answer: (epoch, first, ...data) => {
          const publications = data.map((one, index) => ({ offset: first + index, data: one }));
          done({ epoch, offset: first + data.length - 1, publications, recovered: false });
          return settled();
        },
        fail: (code) => {
          failed(new HoldfastError(code));
          return settled();
        },
      });
    });
  }

  publish(): Promise<Position> {
    return Promise.reject(new HoldfastError("forbidden"));
  }

  /** The subscription that was made last. */
  get last(): FakeChannel {
    const found = this.subscriptions.at(-1);
    if (found === undefined) throw new Error("nobody has subscribed");
    return found;
  }

  /** The question that was asked last. */
  get question(): Asked {
    const found = this.asked.at(-1);
    if (found === undefined) throw new Error("nobody has asked");
    return found;
  }
}

const settled = (): Promise<void> => new Promise((done) => queueMicrotask(() => queueMicrotask(done)));

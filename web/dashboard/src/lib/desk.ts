/** The channels that the Live page is subscribed to; what comes on them goes to its log. */

import type { ChannelEvent, Member, Subscription, SubscriptionStatus } from "@holdfast/client";
import type { Channels } from "./feed.js";
import { type Happening, note } from "./holding.js";
import type { MessageLog } from "./log.js";

/** A channel at this moment: a new object whenever something has changed. */
export interface Followed {
  readonly channel: string;
  readonly status: SubscriptionStatus;
  /** The newest offset that has come; null until it is subscribed. */
  readonly offset: number | null;
  /** Who is there, where that is shown. */
  readonly members: readonly Member[];
}

export class Desk {
  readonly #log: MessageLog;
  readonly #listeners = new Set<() => void>();
  readonly #subscriptions = new Map<string, Subscription>();
  #channels: Channels | null = null;
  #followed: readonly Followed[];

  /** Begins with these channels. */
  constructor(log: MessageLog, channels: readonly string[] = []) {
    this.#log = log;
    this.#followed = channels.map(newOne);
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** In the order in which they were asked for. */
  readonly shown = (): readonly Followed[] => this.#followed;

  /** Use this connection from here on; what was subscribed to on another one is subscribed to on it. */
  attach(channels: Channels | null): void {
    for (const subscription of this.#subscriptions.values()) subscription.unsubscribe();
    this.#subscriptions.clear();
    this.#channels = channels;
    for (const { channel } of this.#followed) this.#join(channel);
  }

  follow(channel: string): void {
    if (this.#followed.some((one) => one.channel === channel)) return;
    this.#followed = [...this.#followed, newOne(channel)];
    this.#join(channel);
    this.#tell();
  }

  leave(channel: string): void {
    this.#subscriptions.get(channel)?.unsubscribe();
    this.#subscriptions.delete(channel);
    this.#followed = this.#followed.filter((one) => one.channel !== channel);
    this.#tell();
  }

  #join(channel: string): void {
    if (this.#channels === null) return;
    // On another connection it begins anew, and what came in between has not been seen.
    const wasThere = this.#followed.some((one) => one.channel === channel && one.offset !== null);
    const subscription = this.#channels.subscribe(channel, (event) => this.#came(event), { presence: true });
    this.#subscriptions.set(channel, subscription);
    const { on } = subscription;
    on("subscribing", () => this.#change(channel, { status: "subscribing" }));
    on("subscribed", ({ fresh, recovered, position: { offset } }) => {
      this.#change(channel, { status: "subscribed", offset });
      const first = wasThere ? "unrecovered" : "subscribed";
      this.#note({ what: fresh ? first : recovered ? "recovered" : "unrecovered", channel, offset });
    });
    on("refused", (refusal) => {
      this.#change(channel, { status: "refused", members: [] });
      this.#note({ what: "refused", channel, refusal });
    });
    on("unsubscribed", ({ reason }) => {
      this.#change(channel, { status: "unsubscribed", members: [] });
      this.#note({ what: reason === "revoked" ? "revoked" : "left", channel });
    });
    on("presence", (members) => this.#change(channel, { members }));
  }

  #came({ channel, offset, data }: ChannelEvent): void {
    this.#log.add({ at: Date.now(), kind: "channel", text: JSON.stringify(data), data, channel, offset });
    this.#change(channel, { offset });
  }

  #note(happening: Happening): void {
    note(this.#log, happening);
  }

  #change(channel: string, change: Partial<Followed>): void {
    this.#followed = this.#followed.map((one) => (one.channel === channel ? { ...one, ...change } : one));
    this.#tell();
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

const newOne = (channel: string): Followed => ({
  channel,
  status: "subscribing",
  offset: null,
  members: [],
});

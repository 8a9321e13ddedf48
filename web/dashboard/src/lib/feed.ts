/**
 * A channel made into one value: what it remembers at first, then what comes, through every loss of the connection.
 *
 *     loading --history--> live <--recovered-- away
 *        ^                                      |
 *        +------------- not recovered ----------+
 *
 * The channel is subscribed to before its history is asked for, so that nothing falls between the two; what comes before
 * the answer waits, and what the answer has already is not taken twice.
 */

import { type ChannelEvent, HoldfastError, type LiveConnection, type Subscription } from "@holdfast/client";
import type { Later } from "./log.js";

/** What pages do with channels. */
export type Channels = Pick<LiveConnection, "subscribe" | "publish" | "history">;

export interface Change {
  readonly data: unknown;
  /** When it came, by `Date.now()`. */
  readonly at: number;
  /** It was not read from the history. */
  readonly isLive: boolean;
  /** It says everything, which is news only to those who come now: the value has all that was before it. */
  readonly isKnown: boolean;
}

/** How publications become a value. */
export interface Fold<Value> {
  readonly empty: Value;
  readonly take: (value: Value, change: Change) => Value;
  /** Whether a publication says everything, so that what was before it is not needed. */
  readonly isWhole: (data: unknown) => boolean;
  /** The value when something may be missing after it. */
  readonly gap: (value: Value) => Value;
}

/** `away`: not subscribed just now, and asked for again by itself; `refused`, `revoked`, `closed`: the server says no. */
export type Phase = "loading" | "live" | "away" | "refused" | "revoked" | "closed";

/** The channel came back without all that was missed. */
export interface Break {
  /** By `Date.now()`. */
  readonly at: number;
  /** The channel has begun a new life, since its server has. */
  readonly isNewLife: boolean;
  /** What was published since says everything, so that nothing is missing after all. */
  readonly isMended: boolean;
}

export interface Shown<Value> {
  readonly value: Value;
  readonly phase: Phase;
  readonly broken: Break | null;
}

export interface FeedOptions {
  /** How much of the history to ask for. */
  readonly limit: number;
  readonly later?: Later;
}

/** Before asking once more for a history that could not be had, in milliseconds. */
const PAUSE = 2_000;
/** The connection was lost before the answer, and brings another `subscribed` when it is back; or nobody is there any more. */
const WAITED_FOR: ReadonlySet<string> = new Set(["lost", "closed", "another_user"]);

const REFUSALS: ReadonlySet<string> = new Set(["forbidden", "bad_channel"]);

export class Feed<Value> {
  readonly #channels: Channels;
  readonly #channel: string;
  readonly #fold: Fold<Value>;
  readonly #limit: number;
  readonly #later: Later;
  readonly #subscription: Subscription;
  readonly #listeners = new Set<() => void>();
  #value: Value;
  #phase: Phase = "loading";
  #broken: Break | null = null;
  /** The value has all since a publication that said everything. */
  #isComplete = false;
  #epoch: string | null = null;
  #offset = 0;
  /** What has come since the history was asked for; null once it is there. */
  #early: ChannelEvent[] | null = [];
  #loads = 0;
  #pause: ReturnType<typeof setTimeout> | undefined;
  #isScheduled = false;
  #shown: Shown<Value>;

  constructor(channels: Channels, channel: string, fold: Fold<Value>, { limit, later }: FeedOptions) {
    this.#channels = channels;
    this.#channel = channel;
    this.#fold = fold;
    this.#limit = limit;
    this.#later = later ?? ((work) => work());
    this.#value = fold.empty;
    this.#shown = { value: fold.empty, phase: "loading", broken: null };
    this.#subscription = channels.subscribe(channel, (event) => this.#came(event));
    const { on } = this.#subscription;
    on("subscribing", () => this.#enter("away"));
    on("subscribed", ({ recovered }) => this.#subscribed(recovered));
    // Any other refusal is for now: there are too many channels, say.
    on("refused", ({ code }) => this.#enter(REFUSALS.has(code) ? "refused" : "away"));
    on("unsubscribed", ({ reason }) => {
      this.#enter(reason === "revoked" ? "revoked" : reason === "channel_closed" ? "closed" : "away");
    });
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly shown = (): Shown<Value> => this.#shown;

  close(): void {
    clearTimeout(this.#pause);
    this.#loads += 1;
    this.#subscription.unsubscribe();
    this.#listeners.clear();
  }

  #enter(phase: Phase): void {
    // Nothing has been shown yet that could be out of date.
    this.#phase = phase === "away" && this.#epoch === null ? "loading" : phase;
    this.#changed();
  }

  #subscribed(recovered: boolean): void {
    if (recovered && this.#early === null) {
      this.#enter("live");
      return;
    }
    if (!recovered) this.#early = [];
    void this.#load();
  }

  async #load(): Promise<void> {
    clearTimeout(this.#pause);
    this.#loads += 1;
    const load = this.#loads;
    this.#early ??= [];
    try {
      const { epoch, offset, publications } = await this.#channels.history(this.#channel, {
        limit: this.#limit,
      });
      if (load !== this.#loads) return;
      this.#begin(epoch, publications);
      const early = this.#early ?? [];
      this.#early = null;
      this.#offset = offset;
      this.#enter("live");
      for (const event of early) this.#came(event);
    } catch (error) {
      if (load !== this.#loads) return;
      const code = error instanceof HoldfastError ? error.code : "";
      if (REFUSALS.has(code)) this.#enter("refused");
      else if (!WAITED_FOR.has(code)) this.#pause = setTimeout(() => void this.#load(), PAUSE);
    }
  }

  /** Start over from the history, or go on from what is known where that is more. */
  #begin(epoch: string, publications: readonly { readonly offset: number; readonly data: unknown }[]): void {
    const { empty, isWhole, gap } = this.#fold;
    const at = Date.now();
    const isNewLife = this.#epoch !== epoch;
    const isFirst = this.#epoch === null;
    const startsOver = isFirst || publications.some(({ data }) => isWhole(data));
    if (!isFirst) this.#broken = { at, isNewLife, isMended: startsOver };
    this.#epoch = epoch;
    this.#value = startsOver ? empty : gap(this.#value);
    this.#isComplete = false;
    for (const { offset, data } of publications) {
      if (startsOver || isNewLife || offset > this.#offset) this.#take(data, at, false);
    }
  }

  #came(event: ChannelEvent): void {
    if (this.#early !== null) {
      this.#early.push(event);
      return;
    }
    if (event.offset <= this.#offset) return;
    this.#offset = event.offset;
    this.#take(event.data, Date.now(), true);
    this.#changed();
  }

  #take(data: unknown, at: number, isLive: boolean): void {
    const { take, isWhole } = this.#fold;
    const isAll = isWhole(data);
    this.#value = take(this.#value, { data, at, isLive, isKnown: isAll && this.#isComplete });
    if (!isAll) return;
    this.#isComplete = true;
    if (this.#broken !== null) this.#broken = { ...this.#broken, isMended: true };
  }

  #changed(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#later(() => {
      this.#isScheduled = false;
      this.#shown = { value: this.#value, phase: this.#phase, broken: this.#broken };
      for (const listener of [...this.#listeners]) listener();
    });
  }
}

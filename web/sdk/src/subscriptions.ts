/** Channels for an app: the driver of `channels`. */

import { type ChannelEffect, ChannelMachine, type ChannelNews, type Tell } from "./channels.js";
import type { HoldfastError } from "./errors.js";
import { type Emitter, emit, listen } from "./events.js";
import type { ChannelEvent, Member, Position } from "./protocol.js";

/**
 * Where a subscription is.
 *
 * `refused`: the server says no; it is asked again after the next token. `unsubscribed`: by this app, or by the server, that
 * says why: `revoked` is asked again after the next token as well, `channel_closed` is not.
 */
export type SubscriptionStatus = "subscribing" | "subscribed" | "refused" | "unsubscribed";

/** What a subscription tells: an event for each status, and who is there whenever that has changed. */
export interface SubscriptionEvents extends Omit<ChannelNews, "event" | "subscribed"> {
  /**
   * It is subscribed, for the first time (`fresh`) or again.
   *
   * `recovered`: all that was missed follows; the first time that is all since `since`. Without it, what the app knows of the channel may be out of date: load it.
   */
  readonly subscribed: ChannelNews["subscribed"] & { readonly fresh: boolean };
}

export interface SubscribeOptions {
  /** Hear who is there, too. */
  readonly presence?: boolean | undefined;
  /**
   * The place of what the app shows already: all that was published after it follows, or `subscribed` says that it cannot
   * be had. A channel that is there already goes on from its own place.
   */
  readonly since?: Position | null | undefined;
}

export interface PublishOptions {
  /** Makes one of two publications with the same key: the second is answered with the place of the first. */
  readonly key?: string | undefined;
}

export interface HistoryOptions {
  /** The first after this place; without it, the newest. */
  readonly since?: Position | undefined;
  /** At most so many; 100 by default. */
  readonly limit?: number | undefined;
}

/** What a channel remembers, oldest first; its own place is that of the newest. */
export interface History extends Position {
  readonly publications: readonly Omit<ChannelEvent, "channel">[];
  /** Whether nothing is missing between `since` and the first of them. */
  readonly recovered: boolean;
}

/** Made by `live.subscribe`. */
export interface Subscription {
  readonly channel: string;
  /** Where it is at this moment. */
  readonly status: SubscriptionStatus;
  /** How far this client has come; until it is subscribed `since`, or null. */
  readonly position: Position | null;
  /** Who is there, where that was asked for. */
  readonly members: readonly Member[];

  /** Listen; the answer stops it. */
  readonly on: <Name extends keyof SubscriptionEvents>(
    name: Name,
    listener: (event: SubscriptionEvents[Name]) => void,
  ) => () => void;

  /** Hear no more of it; with the last of its subscriptions the channel is left. */
  readonly unsubscribe: () => void;
}

/** The subscribers of a channel, and what they were told last: where it is, and (`true`) who is there. */
interface Shared {
  readonly users: Set<(news: Tell) => void>;
  readonly told: Map<boolean, Tell>;
}

interface Waiting {
  readonly done: (result: never) => void;
  readonly failed: (why: HoldfastError) => void;
}

/** Lets something happen to the machine, and performs what comes of it. */
type Run = (happening: (at: number) => void) => void;

/** The channels of one connection, and who listens to them. */
export class Channels {
  readonly machine: ChannelMachine<Waiting>;
  readonly #run: Run;
  readonly #shared = new Map<string, Shared>();

  constructor(capacity: number, run: Run) {
    this.machine = new ChannelMachine(capacity);
    this.#run = run;
  }

  join(
    channel: string,
    listener: (event: ChannelEvent) => void,
    { presence = false, since }: SubscribeOptions = {},
  ): Subscription {
    const { machine } = this;
    const shared = this.#shared.get(channel) ?? { users: new Set(), told: new Map() };
    const events: Emitter<SubscriptionEvents & Pick<ChannelNews, "event">> = new EventTarget();
    let listens = false;
    let fresh = true;
    const heed = ({ what, news }: Tell, isLate?: boolean): void => {
      if (!listens) return;
      if (what === "presence") subscription.members = news;
      else if (what !== "event") subscription.status = what;
      if (what === "subscribed") {
        const position = subscription.position ?? news.position; // one that comes later is told where it is by then
        // The first time nothing is missing for whoever knows that very place.
        const isWhole = !fresh || (since?.epoch === position.epoch && since.offset === position.offset);
        const recovered = (isLate || news.recovered) && isWhole;
        emit(events, what, { fresh, recovered, position });
        fresh = false;
      } else emit(events, what, news);
    };
    const subscription = {
      channel,
      status: "subscribing" as SubscriptionStatus,
      members: [] as readonly Member[],
      get position() {
        return machine.position(channel);
      },
      on: ((name, listener) => listen(events, name, listener)) as Subscription["on"],
      unsubscribe: () => {
        subscription.status = "unsubscribed";
        const users = this.#shared.get(channel)?.users; // others, if the channel was closed meanwhile
        if (!users?.delete(heed) || users.size > 0) return;
        this.#shared.delete(channel);
        this.#run((at) => machine.unsubscribe(channel, at));
      },
    };
    listen(events, "event", listener);
    this.#shared.set(channel, shared);
    shared.users.add(heed);
    // Told a moment later, when it can listen, what the others know already.
    queueMicrotask(() => {
      listens = true;
      for (const news of shared.told.values()) if (shared.users.has(heed)) heed(news, true);
    });
    this.#run((at) => machine.subscribe(channel, presence, at, since));
    return subscription;
  }

  /** Send a message of the app's, or a request with these fields; done when it is sent, or when it is answered. */
  ask<Result>(fields: object, type?: string): Promise<Result> {
    return new Promise((done, failed) => {
      this.#run((at) => this.machine.request({ done, failed }, fields, at, type));
    });
  }

  /** Do what the machine says, but for `send`. */
  perform(effect: Exclude<ChannelEffect<Waiting>, { readonly do: "send" }>): void {
    if (effect.do === "tell") this.#tell(effect);
    else if (effect.why) effect.to.failed(effect.why);
    else effect.to.done(effect.result as never);
  }

  #tell(news: Tell): void {
    const { channel, what } = news;
    const shared = this.#shared.get(channel);
    if (!shared) return;
    if (what !== "event") shared.told.set(what === "presence", news);
    if (!this.machine.has(channel)) this.#shared.delete(channel);
    for (const heed of shared.users) heed(news);
  }
}

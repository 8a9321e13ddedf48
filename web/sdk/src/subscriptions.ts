/** Channels for an app: the driver of `channels`. */

import { type ChannelEffect, ChannelMachine, type ChannelNews, type Tell } from "./channels.js";
import { HoldfastError } from "./errors.js";
import { type Emitter, emit, listen } from "./events.js";
import { type ChannelEvent, type Member, type Position, write } from "./protocol.js";

/**
 * Where a subscription is.
 *
 * `refused`: the server says no; it is asked again after the next token. `unsubscribed`: by this app, or by the server, that
 * says why: `revoked` is asked again after the next token as well, `channel_closed` is not.
 */
export type SubscriptionStatus = "subscribing" | "subscribed" | "refused" | "unsubscribed";

const MESSAGES: Readonly<Record<string, string>> = {
  another_user: "somebody else has signed in since",
  closed: "the connection is closed",
  frame_too_large: "the server takes no frame of that size",
  lost: "the connection was lost before the answer: it may have arrived",
  queue_full: "too much waits to be sent",
};

/** What a subscription tells: an event for each status, and who is there whenever that has changed. */
export interface SubscriptionEvents extends Omit<ChannelNews, "event" | "subscribed"> {
  /**
   * It is subscribed, for the first time (`fresh`) or again.
   *
   * `recovered`: all that was missed follows. Without it, what the app knows of the channel may be out of date: load it.
   */
  readonly subscribed: ChannelNews["subscribed"] & { readonly fresh: boolean };
}

export interface SubscribeOptions {
  /** Hear who is there, too. */
  readonly presence?: boolean | undefined;
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
  /** How far this client has come; null until it is subscribed. */
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

class Subscriber implements Subscription {
  readonly channel: string;
  status: SubscriptionStatus = "subscribing";
  members: readonly Member[] = [];
  listens = false;
  readonly #channels: Channels;
  readonly #events: Emitter<SubscriptionEvents & Pick<ChannelNews, "event">> = new EventTarget();
  #fresh = true;

  constructor(channels: Channels, channel: string, listener: (event: ChannelEvent) => void) {
    this.#channels = channels;
    this.channel = channel;
    listen(this.#events, "event", listener);
  }

  get position(): Position | null {
    return this.#channels.machine.position(this.channel);
  }

  readonly on: Subscription["on"] = (name, listener) =>
    listen(this.#events, name, listener as (event: unknown) => void);

  readonly unsubscribe = (): void => {
    this.status = "unsubscribed";
    this.#channels.leave(this);
  };

  heed({ what, news }: Tell): void {
    if (what === "subscribed") {
      const fresh = this.#fresh;
      this.#fresh = false;
      this.status = what;
      const position = this.position ?? news.position; // one that comes later is told where it is by then
      emit(this.#events, what, { fresh, recovered: news.recovered && !fresh, position });
      return;
    }
    if (what === "presence") this.members = news;
    else if (what !== "event") this.status = what;
    emit(this.#events, what, news);
  }
}

export type Happening = (machine: ChannelMachine, at: number, unit: number) => ChannelEffect[];

/** The subscribers of a channel, and what they were told last: where it is, and who is there. */
interface Shared {
  readonly users: Set<Subscriber>;
  readonly told: Map<string, Tell>;
}

interface Waiting {
  readonly done: (result: never) => void;
  readonly failed: (why: HoldfastError) => void;
}

/** The channels of one connection, and who listens to them. */
export class Channels {
  readonly machine: ChannelMachine;
  readonly #run: (happening: Happening) => void;
  readonly #shared = new Map<string, Shared>();
  readonly #waiting = new Map<string, Waiting>();

  /** `run` lets something happen to the machine, and performs what comes of it. */
  constructor(capacity: number, run: (happening: Happening) => void) {
    this.machine = new ChannelMachine(capacity);
    this.#run = run;
  }

  join(
    channel: string,
    listener: (event: ChannelEvent) => void,
    { presence = false }: SubscribeOptions = {},
  ): Subscription {
    const subscriber = new Subscriber(this, channel, listener);
    const shared = this.#shared.get(channel) ?? { users: new Set(), told: new Map() };
    this.#shared.set(channel, shared);
    shared.users.add(subscriber);
    // Told a moment later, when it can listen, what the others know already.
    queueMicrotask(() => {
      subscriber.listens = true;
      for (const told of shared.told.values()) if (shared.users.has(subscriber)) subscriber.heed(told);
    });
    this.#run((machine, at) => machine.subscribe(channel, presence, at));
    return subscriber;
  }

  leave(subscriber: Subscriber): void {
    const { channel } = subscriber;
    const shared = this.#shared.get(channel);
    if (!shared?.users.delete(subscriber) || shared.users.size > 0) return;
    this.#shared.delete(channel);
    this.#run((machine, at) => machine.unsubscribe(channel, at));
  }

  /** Ask the server, and wait for what it answers. */
  ask<Result>(type: string, fields: object): Promise<Result> {
    const id = this.machine.nextId();
    return this.send(id, write(type, id, fields), true);
  }

  /** Send a frame; done when it is answered, or when it is sent. */
  send<Result>(id: string, text: string, answered: boolean): Promise<Result> {
    return new Promise((done, failed) => {
      this.#waiting.set(id, { done, failed });
      this.#run((machine, at) => machine.request(id, text, at, answered));
    });
  }

  /** Do what the machine says, but for `send`. */
  perform(effect: Exclude<ChannelEffect, { readonly do: "send" }>): void {
    if (effect.do === "tell") {
      this.#tell(effect);
      return;
    }
    const waiting = this.#waiting.get(effect.id);
    this.#waiting.delete(effect.id);
    if (effect.do === "answer") waiting?.done(effect.result as never);
    else
      waiting?.failed(
        new HoldfastError(effect.code, effect.message || MESSAGES[effect.code], effect.retryIn),
      );
  }

  #tell(news: Tell): void {
    const { channel, what } = news;
    const shared = this.#shared.get(channel);
    if (shared === undefined) return;
    if (what !== "event") shared.told.set(what === "presence" ? what : "status", news);
    if (!this.machine.has(channel)) this.#shared.delete(channel);
    for (const subscriber of shared.users) if (subscriber.listens) subscriber.heed(news);
  }
}

/** `@holdfast/client`: sign in once, stay connected, lose nothing. */

import { createDriver } from "./driver.js";
import { LiveConnection, type LiveOptions } from "./live.js";
import { type Session as BaseSession, type SessionOptions, sessionOf } from "./session.js";

export type { User } from "./answers.js";
export type { SessionEvent, SessionEvents, SessionState } from "./driver.js";
export { HoldfastError } from "./errors.js";
export type { LiveConnection, LiveEvents, LiveOptions, LiveState, LiveStatus } from "./live.js";
export type { LiveProblem } from "./live-machine.js";
export type { News, Status } from "./machine.js";
export type { Action, ChannelEvent, Ending, Member, Position } from "./protocol.js";
export type { Device, SessionOptions, Waiting } from "./session.js";
export type {
  History,
  HistoryOptions,
  PublishOptions,
  SubscribeOptions,
  Subscription,
  SubscriptionEvents,
  SubscriptionStatus,
} from "./subscriptions.js";

/** Made by `createSession`. Its functions may be passed around on their own. */
export interface Session extends BaseSession {
  /** Open the WebSocket at `path`, and keep it open through every token until `close`. */
  readonly connect: (path: string, options?: LiveOptions) => LiveConnection;
}

/** A session with the server at `url`, and nothing done yet: `restore` or `login` start it. */
export function createSession({ url }: SessionOptions = {}): Session {
  const driver = createDriver(url);
  return Object.assign(sessionOf(driver), {
    connect: (path: string, options?: LiveOptions) => new LiveConnection(driver, path, options),
  });
}

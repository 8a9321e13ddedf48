/** `@holdfast/client/session`: sessions without live connections, for apps that bring sockets of their own. */

import { createDriver } from "./driver.js";
import { type Session, type SessionOptions, sessionOf } from "./session.js";

export type { User } from "./answers.js";
export type { SessionEvent, SessionEvents, SessionState } from "./driver.js";
export { HoldfastError } from "./errors.js";
export type { News, Status } from "./machine.js";
export type { Device, Session, SessionOptions, Waiting } from "./session.js";

/** A session with the server at `url`. `createSession` of `@holdfast/client` makes one with live connections too. */
export function createSession({ url }: SessionOptions = {}): Session {
  return sessionOf(createDriver(url));
}

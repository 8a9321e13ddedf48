/** What travels on a live connection: holdfast.v1 as a client reads and writes it, and how connections end. */

export const SUBPROTOCOL = "holdfast.v1";

/** Begins the ids of our own requests, so that errors about the app's are told from errors about ours. */
export const OWN = "holdfast:";

/** What a client does after an ending. */
export type Action = "refresh" | "relogin" | "reconnect" | "stop";

export type RequestId = string | number;

/** Why a connection was closed: a code, a reason for people, an action for programs. */
export interface Ending {
  readonly code: number;
  readonly reason: string;
  readonly action: Action;
  readonly retryAfterMs: number | null;
}

/** A place in a channel: which of its lives, and how far into it. */
export interface Position {
  readonly epoch: string;
  readonly offset: number;
}

/** What was published on a channel. */
export interface ChannelEvent {
  readonly channel: string;
  readonly offset: number;
  readonly data: unknown;
}

/** Who is there: one of the connections on a channel. */
export interface Member {
  readonly connection: string;
  readonly user: string;
  readonly name: string;
}

// Frames

type Body = Readonly<Record<string, unknown>>;
type Check<Value> = (value: unknown) => value is Value;
type Checked<Fields> = {
  readonly [Name in keyof Fields]: Fields[Name] extends Check<infer Value> ? Value : never;
};

const text = (value: unknown): value is string => typeof value === "string";

/** A number of the protocol's: seconds, milliseconds, bytes, codes. */
const size = (value: unknown): value is number => typeof value === "number" && value >= 0 && value < 2 ** 53;

const id = (value: unknown): value is RequestId | null | undefined =>
  value == null || typeof value === "number" || text(value);

const maybe =
  <Value>(check: Check<Value>) =>
  (value: unknown): value is Value | null | undefined =>
    value == null || check(value);

/** Fields that are as they should be; throws on what has none. */
const fields =
  <Fields extends Readonly<Record<string, Check<unknown>>>>(checks: Fields) =>
  (value: unknown): value is Checked<Fields> =>
    Object.entries(checks).every(([name, check]) => check((value as Body)[name]));

const list =
  <Value>(check: Check<Value>) =>
  (value: unknown): value is readonly Value[] =>
    (value as unknown[]).every(check);

const MEMBER = { connection: text, user: text, name: text };

/** The types that only the protocol may send, and what those of their fields must be that this client uses. */
const FRAMES = {
  welcome: {
    connection: text,
    ping_interval: size,
    limits: fields({ frame_bytes: size }),
  },
  "auth.due": { expires_in: size },
  "auth.ok": { id },
  "auth.grace": { grace_left: size },
  error: { id, code: text, message: maybe(text), retry_after_ms: maybe(size) },
  bye: { code: size, reason: maybe(text), retry_after_ms: maybe(size) },
  ping: { id },
  pong: { id },
  ok: { id },
  event: { channel: text, offset: size },
  subscribed: { id, channel: text, epoch: text, offset: size, presence: maybe(list(fields(MEMBER))) },
  unsubscribed: { channel: text, reason: maybe(text) },
  "presence.join": { channel: text, ...MEMBER },
  "presence.leave": { channel: text, ...MEMBER },
};

const CHECKS = new Map(Object.entries(FRAMES).map(([type, checks]) => [type, fields(checks)]));

/** The frames of the protocol by their types, as they are sent. Nothing is known of the fields that are not checked. */
export type Frames = {
  readonly [Type in keyof typeof FRAMES]: { readonly type: Type } & Checked<(typeof FRAMES)[Type]> & Body;
};

/** What came from the server. `ignored` is a frame that lacks a field, or nothing that this client can read. */
export type Received =
  | Frames[keyof Frames]
  | { readonly type: "message"; readonly data: unknown }
  | { readonly type: "ignored" };

/** What a frame from the server means; never throws on what a server sends. */
export function read(frame: unknown): Received {
  try {
    // What is not text is no JSON as text either.
    const data = JSON.parse(frame as string);
    const check = CHECKS.get(data?.type);
    if (!check) return { type: "message", data };
    if (check(data)) return data as Received;
  } catch {}
  return { type: "ignored" };
}

/** A frame of ours; a field that is undefined is left out. */
export const write = (type: string, id: RequestId | null | undefined, fields?: object | false): string =>
  JSON.stringify({ type, id: id ?? undefined, ...fields });

// Endings

export const TOKEN_EXPIRED = "Token expired. Please refresh the page to get a new token.";
export const TOKEN_INVALID = "Invalid token. Please refresh the page to get a new token.";
export const SIGNED_IN_AS_ANOTHER = "Session ended: signed in as somebody else.";

/** By code, and by code and reason where that is another; anything else may pass. */
const ACTIONS: Readonly<Record<string, Action>> = {
  1000: "stop",
  1002: "stop",
  1003: "stop",
  1007: "stop",
  1009: "stop",
  4001: "relogin",
  4003: "refresh",
  4010: "relogin",
  [`4001 ${SIGNED_IN_AS_ANOTHER}`]: "reconnect",
  [`4003 ${TOKEN_INVALID}`]: "relogin",
  "4009 Limit reached: the frame is too large.": "stop",
};

/** What to do after a close frame without a `bye`, or after one whose action is not known here. */
export const actionFor = (code: number, reason: string | null | undefined, told?: unknown): Action =>
  Object.values(ACTIONS).find((action) => action === told) ??
  ACTIONS[`${code} ${reason}`] ??
  ACTIONS[code] ??
  "reconnect";

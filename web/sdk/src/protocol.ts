/** What travels on a live connection: holdfast.v1 as a client reads and writes it, and how connections end. */

export const SUBPROTOCOL = "holdfast.v1";

/** Begins the ids of our own requests, so that errors about the app's are told from errors about ours. */
export const OWN = "holdfast:";

/** What a client does after an ending. */
export type Action = "refresh" | "relogin" | "reconnect" | "stop";

export type RequestId = string | number;

/** What the server will take from one connection. */
export interface Limits {
  readonly frameBytes: number;
  readonly framesPerSecond: number;
}

/** Why a connection was closed: a code, a reason for people, an action for programs. */
export interface Ending {
  readonly code: number;
  readonly reason: string;
  readonly action: Action;
  readonly retryAfterMs: number | null;
}

export interface Welcome {
  readonly kind: "welcome";
  readonly connection: string;
  readonly session: string | null;
  readonly user: string;
  readonly expiresIn: number;
  readonly refreshIn: number;
  readonly grace: number;
  readonly pingInterval: number;
  readonly limits: Limits;
}

export interface ErrorFrame {
  readonly kind: "error";
  readonly code: string;
  readonly message: string;
  readonly id: RequestId | null;
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

/** `offset` is the channel's newest at this moment; `positioned`: its history may be asked for what was missed. */
export interface Subscribed extends Position {
  readonly kind: "subscribed";
  readonly id: RequestId | null;
  readonly channel: string;
  readonly recovered: boolean;
  readonly positioned: boolean;
  readonly presence: readonly Member[] | null;
}

/** A frame from the server. `ignored` is one that lacks a field, or that this client has no use for. */
export type Received =
  | Welcome
  | ErrorFrame
  | Subscribed
  | ({ readonly kind: "event" } & ChannelEvent)
  | ({ readonly kind: "presence.join" | "presence.leave"; readonly channel: string } & Member)
  | { readonly kind: "unsubscribed"; readonly channel: string; readonly reason: string }
  | { readonly kind: "ok"; readonly id: RequestId | null; readonly result: unknown }
  | { readonly kind: "auth.due"; readonly expiresIn: number }
  | {
      readonly kind: "auth.ok";
      readonly expiresIn: number;
      readonly refreshIn: number;
      readonly id: RequestId | null;
    }
  | { readonly kind: "auth.grace"; readonly graceLeft: number }
  | { readonly kind: "bye"; readonly ending: Ending }
  | { readonly kind: "ping" | "pong"; readonly id: RequestId | null }
  | { readonly kind: "message"; readonly data: unknown }
  | { readonly kind: "ignored" };

/** The reasons whose action is another than their code's. */
export const TOKEN_EXPIRED = "Token expired. Please refresh the page to get a new token.";
export const TOKEN_INVALID = "Invalid token. Please refresh the page to get a new token.";
export const SIGNED_IN_AS_ANOTHER = "Session ended: signed in as somebody else.";
export const FRAME_TOO_LARGE = "Limit reached: the frame is too large.";

/** What to do after a close frame without a `bye`. */
export function actionFor(code: number, reason: string): Action {
  switch (code) {
    case 1000:
    case 1002:
    case 1003:
    case 1007:
    case 1009:
      return "stop";
    case 4001:
      return reason === SIGNED_IN_AS_ANOTHER ? "reconnect" : "relogin";
    case 4003:
      return reason === TOKEN_INVALID ? "relogin" : "refresh";
    case 4009:
      return reason === FRAME_TOO_LARGE ? "stop" : "reconnect";
    case 4010:
      return "relogin";
    default:
      return "reconnect";
  }
}

type Body = Readonly<Record<string, unknown>>;

const IGNORED: Received = { kind: "ignored" };

/** What a frame from the server means; never throws on what a server sends. */
export function read(text: unknown): Received {
  if (typeof text !== "string") return IGNORED;
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    return IGNORED;
  }
  const type = isObject(data) ? data["type"] : undefined;
  const reader = typeof type === "string" && Object.hasOwn(READERS, type) ? READERS[type] : undefined;
  if (reader === undefined) return { kind: "message", data };
  try {
    return reader(data as Body);
  } catch {
    return IGNORED;
  }
}

/** A frame of ours; a field that is undefined is left out. */
export const write = (type: string, id: RequestId | null, fields?: object): string =>
  JSON.stringify({ type, id: id ?? undefined, ...fields });

/** Every type that only the protocol may send; a reader throws on a field that is not what it should be. */
const READERS: Readonly<Record<string, (body: Body) => Received>> = {
  welcome: (body) => {
    const limits = body["limits"] as Body;
    return {
      kind: "welcome",
      connection: text(body["connection"]),
      session: body["session"] == null ? null : text(body["session"]),
      user: text(body["user"]),
      expiresIn: size(body["expires_in"]),
      refreshIn: size(body["refresh_in"]),
      grace: size(body["grace"]),
      pingInterval: size(body["ping_interval"]),
      limits: {
        frameBytes: size(limits["frame_bytes"]),
        framesPerSecond: size(limits["frames_per_second"]),
      },
    };
  },
  "auth.due": (body) => ({ kind: "auth.due", expiresIn: size(body["expires_in"]) }),
  "auth.ok": (body) => ({
    kind: "auth.ok",
    expiresIn: size(body["expires_in"]),
    refreshIn: size(body["refresh_in"]),
    id: id(body),
  }),
  "auth.grace": (body) => ({ kind: "auth.grace", graceLeft: size(body["grace_left"]) }),
  error: (body) => ({
    kind: "error",
    code: text(body["code"]),
    message: text(body["message"] ?? ""),
    id: id(body),
    retryAfterMs: milliseconds(body),
  }),
  bye: (body) => {
    const code = size(body["code"]);
    const reason = text(body["reason"] ?? "");
    const action = isAction(body["action"]) ? body["action"] : actionFor(code, reason);
    return { kind: "bye", ending: { code, reason, action, retryAfterMs: milliseconds(body) } };
  },
  ping: (body) => ({ kind: "ping", id: id(body) }),
  pong: (body) => ({ kind: "pong", id: id(body) }),
  ok: (body) => ({ kind: "ok", id: id(body), result: body["result"] }),
  event: (body) => ({
    kind: "event",
    channel: text(body["channel"]),
    offset: size(body["offset"]),
    data: body["data"],
  }),
  subscribed: (body) => ({
    kind: "subscribed",
    id: id(body),
    channel: text(body["channel"]),
    epoch: text(body["epoch"]),
    offset: size(body["offset"]),
    recovered: body["recovered"] === true,
    positioned: body["positioned"] === true,
    presence: body["presence"] == null ? null : (body["presence"] as Body[]).map(member),
  }),
  unsubscribed: (body) => ({
    kind: "unsubscribed",
    channel: text(body["channel"]),
    reason: text(body["reason"] ?? ""),
  }),
  "presence.join": (body) => ({ kind: "presence.join", channel: text(body["channel"]), ...member(body) }),
  "presence.leave": (body) => ({ kind: "presence.leave", channel: text(body["channel"]), ...member(body) }),
};

function isObject(value: unknown): value is Body {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const isAction = (value: unknown): value is Action =>
  value === "refresh" || value === "relogin" || value === "reconnect" || value === "stop";

function text(value: unknown): string {
  if (typeof value !== "string") throw new TypeError();
  return value;
}

/** A number of the protocol's: seconds, milliseconds, bytes, codes. */
function size(value: unknown): number {
  if (typeof value !== "number" || !(value >= 0 && value <= Number.MAX_SAFE_INTEGER)) throw new TypeError();
  return value;
}

function id(body: Body): RequestId | null {
  const value = body["id"];
  if (value == null) return null;
  return typeof value === "number" ? value : text(value);
}

const member = (body: Body): Member => ({
  connection: text(body["connection"]),
  user: text(body["user"]),
  name: text(body["name"]),
});

const milliseconds = (body: Body): number | null =>
  body["retry_after_ms"] == null ? null : size(body["retry_after_ms"]);

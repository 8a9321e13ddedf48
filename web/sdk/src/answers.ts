/**
 * What an HTTP answer to a sign-in or refresh means: tokens, a refusal that ends the session, or trouble that may pass.
 *
 * Only a server of ours that says so in JSON ends a session. A captive portal's page, a proxy's 401, a server that is
 * being replaced: all of that passes, and a person who is thrown out for it loses work.
 */

import { LONGEST_LIFE } from "./limits.js";
import type { Grant } from "./machine.js";

/** Stands for the session of a server that does not name it. */
const NAMELESS = "-";

/** Who is signed in. What else a server tells of its users is here too. */
export interface User {
  readonly id: string;
  readonly name: string;
  readonly roles: readonly string[];
  readonly [more: string]: unknown;
}

/** The JSON object in an answer; empty where there is none. */
export type Body = Readonly<Record<string, unknown>>;

/** What came over HTTP; status 0 when nothing did. `seconds` is how long the request took. */
export interface Reply {
  readonly ok: boolean;
  readonly status: number;
  readonly body: Body;
  /** In seconds; 0 where the server did not say. */
  readonly retryIn: number;
  readonly seconds: number;
}

/** No answer. */
export const NOTHING: Reply = { ok: false, status: 0, body: {}, retryIn: 0, seconds: 0 };

/** What an answer comes to: tokens, when there is a `grant`; else a refusal by `code`, or nothing known when that is empty. */
export interface Answer extends Reply {
  readonly grant: Grant | null;
  readonly token: string;
  readonly user: User | null;
  readonly code: string;
}

export function judge(reply: Reply): Answer {
  const { ok, status, body, seconds } = reply;
  const token = `${body["access_token"] ?? ""}`;
  const expires_in = time(body["expires_in"]);
  const grant =
    ok && token && expires_in !== null
      ? {
          session: `${body["session_id"] || NAMELESS}`,
          generation: Number(body["generation"]) || 0,
          expires_in,
          refresh_in: time(body["refresh_in"]),
          age: seconds / 2,
        }
      : null;
  // With other statuses a proxy may speak, or a server that does not know.
  const code = [400, 401, 403].includes(status) ? codeOf(body) : "";
  return { ...reply, grant, token, user: (body["user"] || null) as User | null, code };
}

/** Our stable `code`, or OAuth's `error`; empty where there is neither. */
export const codeOf = (body: Body): string => `${body["code"] ?? body["error"] ?? ""}`;

const time = (value: unknown): number | null =>
  typeof value === "number" && value >= 0 && value <= LONGEST_LIFE ? value : null;

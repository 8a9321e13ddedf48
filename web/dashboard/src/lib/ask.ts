/** One request to the server as whoever is signed in. */

import { HoldfastError, type Session } from "@holdfast/client";

export interface Question {
  readonly method?: string;
  readonly json?: object;
  readonly signal?: AbortSignal;
}

/** Throws `HoldfastError` for every refusal, and for answers that are none of ours. */
export async function ask<Answer>(session: Session, path: string, question: Question = {}): Promise<Answer> {
  const { method = "GET", json, signal } = question;
  const response = await session.fetch(path, {
    method,
    cache: "no-store",
    headers: { "X-Holdfast": "1", ...(json === undefined ? {} : { "Content-Type": "application/json" }) },
    body: json === undefined ? null : JSON.stringify(json),
    signal: signal ?? null,
  });
  if (response.status === 204) return null as Answer;
  const body: unknown = await response.json().catch(() => null);
  if (response.ok && body !== null) return body as Answer;
  throw refusal(response.status, body);
}

function refusal(status: number, body: unknown): HoldfastError {
  const { code, message }: { code?: unknown; message?: unknown } =
    typeof body === "object" && body !== null ? body : {};
  const known = status >= 500 ? "unavailable" : "unreachable";
  return new HoldfastError(
    typeof code === "string" ? code : known,
    typeof message === "string" ? message : undefined,
  );
}

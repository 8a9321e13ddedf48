/** Why a connection was ended, in words for the person. */

import type { Key } from "../i18n/en.js";
import type { Translate } from "../i18n/language.js";

/** The reasons of PROTOCOL.md, section 6, as they stand in a close frame. */
const WORDS: ReadonlyMap<string, Key> = new Map([
  ["Token expired. Please refresh the page to get a new token.", "reason.token_expired"],
  ["Invalid token. Please refresh the page to get a new token.", "reason.token_invalid"],
  ["Session ended: signed out.", "reason.signed_out"],
  ["Session ended: revoked.", "reason.revoked"],
  ["Session ended: signed in as somebody else.", "reason.signed_in_as_another"],
  ["Slow consumer: the connection could not keep up; nothing is lost, recover.", "reason.slow_consumer"],
  ["Limit reached: too many connections for this user.", "reason.too_many_connections"],
  ["Limit reached: too many frames per second.", "reason.too_many_frames"],
  ["Limit reached: the frame is too large.", "reason.frame_too_large"],
  ["No proof: send a token within the time allowed.", "reason.no_proof"],
  ["Disconnected by an administrator.", "reason.disconnected"],
  ["Server error: the handler failed. It has been logged.", "reason.server_error"],
  ["No answer to two pings.", "reason.peer_gone"],
  ["The server is restarting; come back in a moment.", "reason.restarting"],
  ["The server cannot check the token just now; try again later.", "reason.try_later"],
]);

const REVOKED = /^Session ended: revoked \((.*)\)\.$/s;
/** Why the server itself revokes; anything else in the brackets is what an operator has written. */
const WHYS = ["disabled", "password_changed", "used_from_two_places", "idle", "too_old"] as const;

/** The reason in the person's language; one that is not ours, an app's own say, as it came. */
export function explainEnding(
  { code, reason }: { readonly code?: number | undefined; readonly reason: string },
  t: Translate,
): string {
  if (code === 1000 && reason === "") return t("reason.finished");
  const known = WORDS.get(reason);
  if (known !== undefined) return t(known);
  const why = REVOKED.exec(reason)?.[1];
  if (why === undefined) return reason;
  // What nobody gave a reason for is revoked for being revoked.
  if (why === "revoked") return t("reason.revoked");
  const ours = WHYS.find((one) => one === why.replaceAll(" ", "_"));
  return t("reason.revoked.why", { why: ours === undefined ? why : t(`reason.why.${ours}`) });
}

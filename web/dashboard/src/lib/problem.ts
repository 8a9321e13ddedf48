/** What went wrong, in words for the person. */

import { HoldfastError } from "@holdfast/client";
import type { Translate } from "../i18n/language.js";

/** Why somebody could not sign in. */
export function explainSignIn(error: unknown, t: Translate): string {
  // The password was right, or it would have been refused as wrong.
  const isDisabled = error instanceof HoldfastError && error.code === "forbidden";
  return isDisabled ? t("error.disabled") : explain(error, t);
}

export function explain(error: unknown, t: Translate): string {
  if (!(error instanceof HoldfastError)) return t("error.unreachable");
  switch (error.code) {
    case "bad_credentials":
      return t("error.bad_credentials");
    case "throttled":
      return error.retryIn > 0
        ? t("error.throttled", { count: Math.ceil(error.retryIn) })
        : t("error.throttled.later");
    case "unreachable":
    case "unavailable":
      return t("error.unreachable");
    case "forbidden":
      return t("error.forbidden");
    case "not_found":
    case "http_404":
      return t("error.not_found");
    case "frame_too_large":
    case "queue_full":
    case "bad_channel":
    case "too_many_channels":
    case "try_later":
    case "lost":
      return t(`error.${error.code}`);
    case "session_ended":
    case "signed_out":
    case "invalid_token":
    case "token_reused":
      return t("error.session_ended");
    default:
      // The server's own sentence says more than a code; it is in English.
      return error.message !== error.code ? error.message : t("error.unknown", { code: error.code });
  }
}

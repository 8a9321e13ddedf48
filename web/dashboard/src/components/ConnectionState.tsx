import type { ReactNode } from "react";
import type { Key } from "../i18n/en.js";
import { type Translate, useLanguage } from "../i18n/language.js";
import type { Language } from "../i18n/translate.js";
import { useNow } from "../lib/clock.js";
import { clockFace, inSeconds, span } from "../lib/duration.js";
import { type Hold, TONES } from "../lib/hold.js";

export interface ConnectionStateProps {
  readonly hold: Hold;
  /** When the next refresh is to be, by `Date.now()`. */
  readonly refreshAt: number | null;
}

/** The state of the connection in words and colour, with a quiet countdown to the next renewal. */
export function ConnectionState({ hold, refreshAt }: ConnectionStateProps): ReactNode {
  const { language, t } = useLanguage();
  const now = useNow();
  const renewsIn = hold.kind === "connected" && refreshAt !== null ? (refreshAt - now) / 1000 : null;
  return (
    <div className="hold" data-tone={TONES[hold.kind]} data-hold={hold.kind} data-testid="hold">
      <span className="hold-dot" aria-hidden="true" />
      <span className="hold-words">{words(hold, now, language, t)}</span>
      {renewsIn !== null && renewsIn > 0 && (
        <span className="hold-next">{t("refresh.in", { left: span(language, renewsIn) })}</span>
      )}
      <output className="sr-only" aria-live="polite" aria-label={t("hold.label")}>
        {said(hold, t)}
      </output>
    </div>
  );
}

/** What is seen, with seconds that count down. */
export function words(hold: Hold, now: number, language: Language, t: Translate): string {
  switch (hold.kind) {
    case "grace":
      return t("hold.grace", { left: clockFace(((hold.until ?? now) - now) / 1000) });
    case "offline":
    case "late": {
      const left = hold.until === null ? 0 : (hold.until - now) / 1000;
      if (left <= 0) return t(`hold.${hold.kind}.now`);
      return t(`hold.${hold.kind}`, { left: inSeconds(language, left) });
    }
    default:
      return t(`hold.${hold.kind}`);
  }
}

/** What is said, once for each change: a countdown that speaks every second helps nobody. */
export function said(hold: Hold, t: Translate): string {
  // A renewal is routine, and over before it could be said.
  const kind = hold.kind === "renewing" ? "connected" : hold.kind;
  return t(`hold.said.${kind}` satisfies Key);
}

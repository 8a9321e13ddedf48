import type { Translate } from "../../i18n/language.js";
import type { Language } from "../../i18n/translate.js";
import type { Moment } from "../../lib/admin.js";
import { span } from "../../lib/duration.js";
import { explainEnding } from "../../lib/ending.js";
import type { Tone } from "../../lib/hold.js";

const CARRIERS = ["authorization", "subprotocol", "ticket", "query", "frame"] as const;
const MOMENTS = [
  "proven",
  "due",
  "renewed",
  "healed",
  "in_grace",
  "renewal_refused",
  "ended",
  "gone",
] as const;
const TONES: Readonly<Record<(typeof MOMENTS)[number], Tone>> = {
  proven: "good",
  due: "busy",
  renewed: "good",
  healed: "good",
  in_grace: "warn",
  renewal_refused: "bad",
  ended: "off",
  gone: "off",
};

/** Where the first token was. */
export function carrierWord(carrier: string, t: Translate): string {
  const known = CARRIERS.find((one) => one === carrier);
  return known === undefined ? carrier : t(`carrier.${known}`);
}

export interface MomentWords {
  readonly title: string;
  /** Seconds as they stand to the lease: −4:37 is before expiry, +0:12 after it. */
  readonly offset: string | null;
  /** The same in words. */
  readonly meaning: string | null;
  readonly detail: string;
  readonly tone: Tone;
}

/** How a lease was renewed. */
function wayWord(detail: string, t: Translate): string {
  if (detail === "in band") return t("moment.inBand");
  return detail === "through the session" ? t("moment.session") : detail;
}

/** How a connection ended: the code, and the reason in words. */
function endWord(detail: string, t: Translate): string {
  const [, code, reason] = /^(\d+) ?(.*)$/s.exec(detail) ?? [];
  if (code === undefined || reason === undefined) return detail;
  return `${code} ${explainEnding({ code: Number(code), reason }, t)}`.trim();
}

function goneWord(detail: string, t: Translate): string {
  const code = /^closed by the peer with (\d+)$/.exec(detail)?.[1];
  return code === undefined ? detail : `${code} ${t("reason.peer")}`;
}

/** One moment of a timeline. */
export function momentWords(
  { what, detail, seconds }: Moment,
  language: Language,
  t: Translate,
): MomentWords {
  const known = MOMENTS.find((one) => one === what.replaceAll(" ", "_"));
  const title = known === undefined ? what : t(`moment.${known}`);
  const tone = known === undefined ? "off" : TONES[known];
  const plain = { title, offset: null, meaning: null, detail, tone } as const;
  if (known === "ended") return { ...plain, detail: endWord(detail, t) };
  if (known === "gone") return { ...plain, detail: goneWord(detail, t) };
  if (known === "renewal_refused") return { ...plain, detail: explainEnding({ reason: detail }, t) };
  if (seconds === null) return plain;
  const left = span(language, Math.abs(seconds));
  switch (known) {
    case "proven":
      return { ...plain, detail: carrierWord(detail, t), meaning: t("moment.lease", { left }) };
    case "in_grace":
      return { ...plain, meaning: t("moment.grace", { left }) };
    case "due":
    case "renewed":
    case "healed": {
      const how = { ...plain, detail: wayWord(detail, t) };
      return seconds >= 0
        ? { ...how, offset: `−${left}`, meaning: t("moment.before", { left }) }
        : { ...how, offset: `+${left}`, meaning: t("moment.after", { left }) };
    }
    default:
      return plain;
  }
}

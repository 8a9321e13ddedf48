import { HoldfastError } from "@holdfast/client";
import type { Translate } from "../../i18n/language.js";
import type { Language } from "../../i18n/translate.js";
import { span } from "../../lib/duration.js";
import { explainEnding } from "../../lib/ending.js";
import type { Happening } from "../../lib/holding.js";
import type { Entry } from "../../lib/log.js";
import { explain } from "../../lib/problem.js";

/** What is searched in an entry: its line, and where it was published. */
export function searchedIn(entry: Entry, language: Language, t: Translate): string {
  const words = wordsOf(entry, language, t);
  return entry.channel === undefined ? words : `${entry.channel} #${entry.offset ?? ""} ${words}`;
}

/** An entry in one line. */
export function wordsOf(entry: Entry, language: Language, t: Translate): string {
  if (entry.kind !== "event") return entry.text;
  const happening = entry.data as Happening;
  const { what, code, id = "", seconds = 0, channel = "", offset = 0 } = happening;
  const values = {
    code: String(code ?? ""),
    reason: reasonOf(happening, t),
    id: id.slice(0, 8),
    left: span(language, seconds),
    channel,
    offset: String(offset),
  };
  return t(`live.event.${what}`, values).trim();
}

function reasonOf({ code, reason = "", refusal }: Happening, t: Translate): string {
  if (refusal !== undefined) return explain(new HoldfastError(refusal.code, refusal.message), t);
  return explainEnding({ code, reason }, t);
}

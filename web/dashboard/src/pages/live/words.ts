import type { Translate } from "../../i18n/language.js";
import type { Language } from "../../i18n/translate.js";
import { span } from "../../lib/duration.js";
import type { Happening } from "../../lib/holding.js";
import type { Entry } from "../../lib/log.js";

/** An entry in one line. */
export function wordsOf(entry: Entry, language: Language, t: Translate): string {
  if (entry.kind !== "event") return entry.text;
  const { what, code, reason = "", id = "", seconds = 0 } = entry.data as Happening;
  const values = { code: String(code ?? ""), reason, id: id.slice(0, 8), left: span(language, seconds) };
  return t(`live.event.${what}`, values).trim();
}

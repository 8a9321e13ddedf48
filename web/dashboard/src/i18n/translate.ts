/** A sentence with `{name}` for what is put in, or one such sentence for each plural form of `count`. */

export type Forms = Readonly<Partial<Record<Intl.LDMLPluralRule, string>> & { readonly other: string }>;
export type Entry = string | Forms;
export type Values = Readonly<Record<string, string | number>>;

/** Languages of the dashboard, the first being the one for everybody else. */
export const LANGUAGES = ["en", "ru"] as const;
export type Language = (typeof LANGUAGES)[number];

const PLURALS: Readonly<Record<Language, Intl.PluralRules>> = {
  en: new Intl.PluralRules("en"),
  ru: new Intl.PluralRules("ru"),
};
const NUMBERS: Readonly<Record<Language, Intl.NumberFormat>> = {
  en: new Intl.NumberFormat("en"),
  ru: new Intl.NumberFormat("ru"),
};

/** The entry as people read it; numbers are written as the language writes them. */
export function fill(language: Language, entry: Entry, values: Values = {}): string {
  const count = values["count"];
  const form = typeof entry === "string" ? entry : chosen(language, entry, count);
  return form.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    if (value === undefined) return whole;
    return typeof value === "number" ? NUMBERS[language].format(value) : value;
  });
}

/** The first language that the person reads and we speak. */
export function preferred(languages: readonly string[]): Language {
  for (const tag of languages) {
    const found = LANGUAGES.find((language) => tag.toLowerCase().split("-")[0] === language);
    if (found !== undefined) return found;
  }
  return LANGUAGES[0];
}

function chosen(language: Language, forms: Forms, count: string | number | undefined): string {
  const rule = typeof count === "number" ? PLURALS[language].select(count) : "other";
  return forms[rule] ?? forms.other;
}

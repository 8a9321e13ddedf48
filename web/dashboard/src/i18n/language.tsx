import { createContext, type ReactNode, useContext, useEffect, useMemo } from "react";
import { usePreferences } from "../lib/preferences.js";
import { en, type Key, type Table } from "./en.js";
import { ru } from "./ru.js";
import { fill, type Language, type Values } from "./translate.js";

export const TABLES: Readonly<Record<Language, Table>> = { en, ru };

/** A sentence in the person's language. */
export type Translate = (key: Key, values?: Values) => string;

export interface Spoken {
  readonly language: Language;
  readonly t: Translate;
}

const Speech = createContext<Spoken | null>(null);

export function translator(language: Language): Translate {
  return (key, values) => fill(language, TABLES[language][key], values);
}

export function LanguageProvider({ children }: { readonly children: ReactNode }): ReactNode {
  const [{ language }] = usePreferences();
  const spoken = useMemo(() => ({ language, t: translator(language) }), [language]);
  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);
  return <Speech.Provider value={spoken}>{children}</Speech.Provider>;
}

export function useLanguage(): Spoken {
  const spoken = useContext(Speech);
  if (spoken === null) throw new Error("there is no <LanguageProvider> above this component");
  return spoken;
}

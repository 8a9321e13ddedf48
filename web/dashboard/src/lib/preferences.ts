/** What is remembered on this machine: the theme and the language, and nothing else. */

import { useSyncExternalStore } from "react";
import { LANGUAGES, type Language, preferred } from "../i18n/translate.js";

export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

export interface Preferences {
  readonly theme: Theme;
  readonly language: Language;
}

/** Read by the page itself too, before the first paint: see index.html. */
const KEY = "holdfast:preferences";

const listeners = new Set<() => void>();
let present = read();

/** What is preferred now, and how to change it; other tabs follow. */
export function usePreferences(): [Preferences, (change: Partial<Preferences>) => void] {
  return [useSyncExternalStore(subscribe, () => present), change];
}

export function change(some: Partial<Preferences>): void {
  present = { ...present, ...some };
  try {
    localStorage.setItem(KEY, JSON.stringify(present));
  } catch {
    // Storage may be off; then it holds for as long as the page.
  }
  tell();
}

function subscribe(listener: () => void): () => void {
  if (listeners.size === 0) addEventListener("storage", follow);
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) removeEventListener("storage", follow);
  };
}

function follow({ key }: StorageEvent): void {
  if (key !== KEY) return;
  present = read();
  tell();
}

function tell(): void {
  for (const listener of [...listeners]) listener();
}

function read(): Preferences {
  const kept = stored();
  return {
    theme: THEMES.find((theme) => theme === kept["theme"]) ?? "system",
    language: LANGUAGES.find((language) => language === kept["language"]) ?? preferred(navigator.languages),
  };
}

function stored(): Readonly<Record<string, unknown>> {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    return typeof kept === "object" && kept !== null ? { ...kept } : {};
  } catch {
    return {};
  }
}

import { describe, expect, it } from "vitest";
import { en, type Key } from "../../src/i18n/en.js";
import { ru } from "../../src/i18n/ru.js";
import { type Entry, fill, LANGUAGES, type Language, preferred } from "../../src/i18n/translate.js";

const TABLES: Readonly<Record<Language, Readonly<Record<string, Entry>>>> = { en, ru };
const keys = Object.keys(en) as Key[];

const formsOf = (entry: Entry): string[] => (typeof entry === "string" ? [entry] : Object.values(entry));
const placesIn = (text: string): string[] =>
  [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? "").toSorted();

describe("the tables of sentences", () => {
  it("have the same keys in every language", () => {
    for (const language of LANGUAGES)
      expect(Object.keys(TABLES[language]).toSorted()).toEqual(keys.toSorted());
  });

  it.each(keys)("%s puts in the same values in every language and form", (key) => {
    const expected = placesIn(formsOf(en[key])[0] ?? "");
    for (const language of LANGUAGES) {
      for (const form of formsOf(TABLES[language][key] ?? "")) expect(placesIn(form), form).toEqual(expected);
    }
  });

  it("have every plural form that the language has, wherever something is counted", () => {
    for (const language of LANGUAGES) {
      const { pluralCategories } = new Intl.PluralRules(language).resolvedOptions();
      for (const [key, entry] of Object.entries(TABLES[language])) {
        if (typeof entry !== "string")
          expect(Object.keys(entry).toSorted(), key).toEqual(pluralCategories.toSorted());
      }
    }
  });

  it("leave no sentence empty, nor two of them with spaces at their ends", () => {
    for (const language of LANGUAGES) {
      for (const [key, entry] of Object.entries(TABLES[language])) {
        for (const form of formsOf(entry)) expect(form.trim() === form && form !== "", key).toBe(true);
      }
    }
  });

  it("are in the language that they claim to be", () => {
    const same = new Set<string>(["app.name", "carrier.query"]);
    for (const key of keys) {
      const latin = formsOf(ru[key]).every((form) => !/[а-яё]/i.test(form));
      expect(latin && !same.has(key), key).toBe(false);
      expect(
        formsOf(en[key]).some((form) => /[а-яё]/i.test(form)),
        key,
      ).toBe(false);
    }
  });

  it("have no sentence that nobody says", () => {
    const sources = Object.values(
      import.meta.glob<string>(["../../src/**/*.{ts,tsx}", "!**/i18n/??.ts"], {
        eager: true,
        query: "?raw",
        import: "default",
      }),
    ).join("\n");
    const prefixes = [...sources.matchAll(/`([a-z]+\.(?:\w+\.)*)\$\{/gi)].map(([, prefix]) => prefix ?? "");
    const unsaid = keys.filter(
      (key) => !sources.includes(`"${key}"`) && !prefixes.some((prefix) => key.startsWith(prefix)),
    );
    expect(unsaid).toEqual([]);
  });

  it("say what the seed asked them to say", () => {
    expect(ru["signIn.again.title"]).toBe("Сессия истекла — перелогиньтесь");
    expect(en["signIn.again.title"]).toBe("Your session has expired — please sign in again");
  });
});

describe("filling a sentence", () => {
  it.each([
    [0, "0 сессий"],
    [1, "1 сессия"],
    [2, "2 сессии"],
    [5, "5 сессий"],
    [11, "11 сессий"],
    [21, "21 сессия"],
    [104, "104 сессии"],
  ])("counts %i in Russian as a Russian does", (count, words) => {
    expect(fill("ru", ru["sessions.count"], { count })).toBe(words);
  });

  it("writes numbers as the language does", () => {
    expect(fill("en", en["sessions.count"], { count: 12_345 })).toBe("12,345 sessions");
    expect(fill("ru", ru["sessions.count"], { count: 12_345 }).replace(/\s/g, " ")).toBe("12 345 сессий");
  });

  it("puts in what it is given, and shows what is missing", () => {
    expect(fill("en", "{a} and {b}", { a: "one" })).toBe("one and {b}");
  });

  it("puts in a value that looks like a place as it is", () => {
    expect(fill("en", "{a} {b}", { a: "{b}", b: "$&" })).toBe("{b} $&");
  });
});

describe("choosing a language", () => {
  it.each([
    [["ru-RU", "en"], "ru"],
    [["de-DE", "ru", "en"], "ru"],
    [["en-GB", "ru"], "en"],
    [["RU"], "ru"],
    [["de"], "en"],
    [[], "en"],
  ] as const)("takes the first that is spoken from %j", (languages, expected) => {
    expect(preferred(languages)).toBe(expected);
  });
});

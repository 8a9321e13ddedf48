import { describe, expect, it } from "vitest";
import { translator } from "../../src/i18n/language.js";
import { explainEnding } from "../../src/lib/ending.js";

/** What PROTOCOL.md lists, as the vectors that the server is tested by have it. */
const vectors = import.meta.glob<{ cases: { code: number; reason: string }[] }>(
  "../../../../conformance/endings.json",
  { eager: true, import: "default" },
);
const OURS = /^(Token|Invalid token|Session ended|Slow|Limit|No |Disconnected|Server|The server)/;
const endings = Object.values(vectors)
  .flatMap(({ cases }) => cases)
  .filter(({ reason }) => OURS.test(reason));

const en = translator("en");
const ru = translator("ru");

describe("why a connection was ended", () => {
  it.each(endings)("$code $reason: has words in Russian", (ending) => {
    expect(explainEnding(ending, ru).replace(/\(.*\)|ping/, "")).toMatch(/^[а-яё -]+$/i);
  });

  it("keeps what an operator has written", () => {
    const ending = { code: 4001, reason: "Session ended: revoked (lost (at sea))." };
    expect(explainEnding(ending, en)).toBe("Revoked (lost (at sea))");
    expect(explainEnding(ending, ru)).toBe("Отозвано (lost (at sea))");
  });

  it.each([
    ["revoked", "Отозвано"],
    ["disabled", "Отозвано (учётная запись отключена)"],
    ["password changed", "Отозвано (сменён пароль)"],
  ])("says in words why the server itself has revoked: %s", (why, words) => {
    expect(explainEnding({ code: 4001, reason: `Session ended: revoked (${why}).` }, ru)).toBe(words);
  });

  it.each([
    [1000, "", "Завершено"],
    [1006, "", ""],
    [4321, "The shop has closed.", "The shop has closed."],
    [4321, "constructor", "constructor"],
  ])("%i %j is %j", (code, reason, words) => {
    expect(explainEnding({ code, reason }, ru)).toBe(words);
  });
});

import { describe, expect, it } from "vitest";
import { translator } from "../../../src/i18n/language.js";
import { momentWords } from "../../../src/pages/connections/words.js";

const said = (what: string, detail: string): string =>
  momentWords({ at: 0, what, detail, seconds: null }, "ru", translator("ru")).detail;

describe("a moment of a connection's timeline", () => {
  it.each([
    ["ended", "4001 Session ended: revoked (banned).", "4001 Отозвано (banned)"],
    ["ended", "1000", "1000 Завершено"],
    ["ended", "4321 Shop closed.", "4321 Shop closed."],
    ["gone", "closed by the peer with 1006", "1006 Закрыто клиентом"],
    ["renewal refused", "Invalid token. Please refresh the page to get a new token.", "Неверный токен"],
    ["something new", "as it is", "as it is"],
  ])("%s: %s", (what, detail, words) => {
    expect(said(what, detail)).toBe(words);
  });
});

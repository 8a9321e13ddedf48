import { describe, expect, it } from "vitest";
import { translator } from "../../../src/i18n/language.js";
import type { Happening } from "../../../src/lib/holding.js";
import { wordsOf } from "../../../src/pages/live/words.js";

const said = (data: Happening, language: "en" | "ru" = "ru"): string =>
  wordsOf({ id: 1, at: 0, kind: "event", text: "", data }, language, translator(language));

describe("a line about the connection", () => {
  it("says in the person's language why it was closed", () => {
    const lost = { code: 1012, reason: "The server is restarting; come back in a moment." };
    expect(said({ what: "lost", ...lost })).toBe("закрыто 1012 Перезапуск сервера");
    expect(said({ what: "lost", ...lost }, "en")).toBe("closed 1012 Server restarting");
    expect(said({ what: "stopped", code: 4321, reason: "Shop closed." })).toBe(
      "закрыто насовсем 4321 Shop closed.",
    );
    expect(said({ what: "lost", code: 1006, reason: "" })).toBe("закрыто 1006");
  });

  it("says in the person's language why a channel is refused", () => {
    const refused = (code: string, message: string): string =>
      said({ what: "refused", channel: "job:1", refusal: { code, message } });
    expect(refused("forbidden", "You are not allowed to do this.")).toBe(
      "job:1 — отказ: У вас нет на это права.",
    );
    expect(refused("too_many_channels", "At most 100.")).toBe(
      "job:1 — отказ: Больше каналов на одно соединение не положено.",
    );
    expect(refused("full_moon", "Not tonight.")).toBe("job:1 — отказ: Not tonight.");
    expect(refused("full_moon", "")).toBe("job:1 — отказ: Что-то пошло не так (full_moon).");
  });
});

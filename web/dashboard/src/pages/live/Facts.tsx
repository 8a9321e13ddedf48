import { type ReactNode, useSyncExternalStore } from "react";
import { CopyButton } from "../../components/CopyButton.js";
import { Fact, FactList } from "../../components/FactList.js";
import { useHeld } from "../../components/held.js";
import { useLanguage } from "../../i18n/language.js";
import { useNow } from "../../lib/clock.js";
import { span } from "../../lib/duration.js";
import type { Entry } from "../../lib/log.js";

/** Seconds over which the rate of messages is taken. */
const WINDOW = 5;

/** How the connection of this page is doing. */
export function Facts(): ReactNode {
  const { language, t } = useLanguage();
  const { live, holding, log } = useHeld();
  const { entries, received } = useSyncExternalStore(log.subscribe, log.shown);
  const now = useNow();
  const { connection } = live;
  const isUp = connection !== null && holding.since !== null;
  const rate = rateOf(entries, now);
  const format = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
  return (
    <FactList>
      <Fact label={t("live.connection")}>
        {connection === null ? (
          "—"
        ) : (
          <>
            <code data-testid="connection-id" data-id={connection}>
              {connection.slice(0, 8)}
            </code>
            <CopyButton text={connection} label={t("connections.copy", { what: t("live.connection") })} />
          </>
        )}
      </Fact>
      <Fact label={t("live.heldFor")}>
        {isUp ? span(language, (now - (holding.since ?? now)) / 1000) : "—"}
      </Fact>
      <Fact label={t("live.renewals")}>
        <span data-testid="renewals">{format.format(holding.renewals)}</span>
      </Fact>
      <Fact label={t("live.reconnects")}>
        <span data-testid="reconnects">{format.format(holding.reconnects)}</span>
      </Fact>
      <Fact label={t("live.messages")}>
        {format.format(received)} <small>{t("live.rate", { rate: format.format(rate) })}</small>
      </Fact>
    </FactList>
  );
}

function rateOf(entries: readonly Entry[], now: number): number {
  const recent = entries.filter(
    ({ kind, at }) => kind !== "out" && kind !== "event" && at > now - WINDOW * 1000,
  );
  return recent.length / WINDOW;
}

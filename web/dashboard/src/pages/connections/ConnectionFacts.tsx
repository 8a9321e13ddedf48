import type { ReactNode } from "react";
import { CopyButton } from "../../components/CopyButton.js";
import { useLanguage } from "../../i18n/language.js";
import type { Connection } from "../../lib/admin.js";
import { PROOFS } from "../../lib/lease.js";
import { carrierWord } from "./words.js";

export function ConnectionFacts({ connection }: { readonly connection: Connection }): ReactNode {
  const { language, t } = useLanguage();
  const since = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" });
  const renewals = connection.timeline.filter(({ what }) => what !== "proven" && PROOFS.has(what)).length;
  const protocol = t(connection.controlled ? "connections.protocol.v1" : "connections.protocol.plain");
  return (
    <section aria-label={t("connections.facts")}>
      <dl className="drawer-facts">
        <Row name={t("connections.id")} value={connection.id} copy />
        <Row
          name={t("connections.session")}
          value={connection.session ?? "—"}
          copy={connection.session !== null}
        />
        <Row name={t("connections.address")} value={connection.address ?? "—"} />
        <Row name={t("connections.connected")} value={since.format(connection.connected_at * 1000)} isText />
        <Row
          name={t("connections.renewals")}
          value={new Intl.NumberFormat(language).format(renewals)}
          isText
        />
        <Row name={t("connections.protocol")} value={protocol} isText />
        <Row name={t("connections.carrier")} value={carrierWord(connection.carrier, t)} isText />
        <Row name={t("connections.channels")} value={connection.channels.join(", ") || "—"} />
        <Row name={t("connections.path")} value={connection.path} />
        <Row name={t("connections.origin")} value={connection.origin ?? "—"} />
        <Row name={t("connections.client")} value={connection.user_agent ?? "—"} isText />
      </dl>
    </section>
  );
}

interface RowProps {
  readonly name: string;
  readonly value: string;
  readonly copy?: boolean;
  readonly isText?: boolean;
}

function Row({ name, value, copy = false, isText = false }: RowProps): ReactNode {
  const { t } = useLanguage();
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {isText ? value : <code>{value}</code>}
        {copy && <CopyButton text={value} label={t("connections.copy", { what: name })} />}
      </dd>
    </div>
  );
}

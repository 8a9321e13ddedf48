import { Segmented, Skeleton } from "antd";
import { type ReactNode, useCallback, useState } from "react";
import { Fact, FactList } from "../../components/FactList.js";
import { useHeld } from "../../components/held.js";
import { Failure, Stale } from "../../components/Notices.js";
import { PageHead } from "../../components/PageHead.js";
import { useLanguage } from "../../i18n/language.js";
import { type Stats, stats } from "../../lib/admin.js";
import { span } from "../../lib/duration.js";
import { usePolled } from "../../lib/poll.js";
import { Closings } from "./Closings.js";
import { Plots } from "./Plots.js";
import { Shares } from "./Shares.js";
import "./overview.css";

const EVERY = 5_000;
const MINUTES = [5, 15, 60] as const;

export function OverviewPage(): ReactNode {
  const { t } = useLanguage();
  const { session } = useHeld();
  const polled = usePolled<Stats>(
    useCallback((signal: AbortSignal) => stats(session, signal), [session]),
    EVERY,
  );
  const [minutes, setMinutes] = useState<number>(MINUTES[1]);
  const { data, error, reload } = polled;
  const options = MINUTES.map((value) => ({
    value,
    label: t("overview.range.short", { count: value }),
    title: t("overview.range.minutes", { count: value }),
  }));
  if (data === null) {
    if (error !== null) return <Failure error={error} retry={reload} />;
    return <Skeleton active title paragraph={{ rows: 8 }} />;
  }
  return (
    <>
      <PageHead title={t("overview.title")} lead={t("overview.lead")}>
        <code className="node">{t("connections.node", { node: data.node })}</code>
        <Segmented<number>
          aria-label={t("overview.range")}
          options={options}
          value={minutes}
          onChange={setMinutes}
          size="small"
        />
      </PageHead>
      {error !== null && <Stale error={error} />}
      <Totals stats={data} />
      <Plots stats={data} seconds={minutes * 60} />
      <div className="overview-tables">
        <Closings closes={data.closes} />
        <Shares stats={data} />
      </div>
    </>
  );
}

function Totals({
  stats: { totals, healed, closes, channels, now, started_at },
}: {
  readonly stats: Stats;
}): ReactNode {
  const { language, t } = useLanguage();
  const number = new Intl.NumberFormat(language);
  const closedFor = (why: string): number =>
    closes.filter(({ reason }) => reason === why).reduce((sum, { count }) => sum + count, 0);
  return (
    <FactList>
      <Fact label={t("overview.live")}>
        {number.format(totals.connections)} <small>{t("overview.opened", { count: totals.opened })}</small>
      </Fact>
      <Fact label={t("overview.avoided")}>
        {number.format(totals.drops_avoided)} <small>{t("overview.avoided.what")}</small>
      </Fact>
      <Fact label={t("overview.renewals")}>
        {number.format(totals.renewals)} <small>{t("overview.healed", { count: healed })}</small>
      </Fact>
      <Fact label={t("overview.closes")}>
        {number.format(totals.closes)}{" "}
        <small>{t("overview.closes.byToken", { count: closedFor("token_expired") })}</small>
      </Fact>
      <Fact label={t("overview.subscriptions")}>
        {number.format(totals.subscriptions)} <small>{t("overview.channels", { count: channels })}</small>
      </Fact>
      <Fact label={t("overview.publications")}>
        {number.format(totals.publications)}{" "}
        <small>{t("overview.deliveries", { count: totals.deliveries })}</small>
      </Fact>
      <Fact label={t("overview.refreshes")}>
        {number.format(totals.refreshes)} <small>{t("overview.signIns", { count: totals.sign_ins })}</small>
      </Fact>
      <Fact label={t("overview.uptime")}>{span(language, now - started_at)}</Fact>
    </FactList>
  );
}

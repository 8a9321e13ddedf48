import { type GlobalToken, theme } from "antd";
import { type ReactNode, useMemo } from "react";
import { useLanguage } from "../../i18n/language.js";
import type { Sample, Stats } from "../../lib/admin.js";
import { codesOf, levels, rates, recent, thinned } from "../../lib/series.js";
import { type Line, Plot } from "./Plot.js";

/** How many points a line has at most. */
const POINTS = 60;
/** Fewer points make no line. */
const LEAST = 2;
/** More lines cannot be told apart; the table below has all of them. */
const MOST_CODES = 5;

interface PlotsProps {
  readonly stats: Stats;
  readonly seconds: number;
}

export function Plots({ stats, seconds }: PlotsProps): ReactNode {
  const { t } = useLanguage();
  const { token } = theme.useToken();
  const samples = useMemo(
    () => thinned(recent(stats.samples, stats.now, seconds), seconds / POINTS),
    [stats, seconds],
  );
  const range = [stats.now - seconds, stats.now] as const;
  const one = (name: string, colour: string, read: (sample: Sample) => number): Line[] => [
    { name, colour, series: rates(samples, read), area: true },
  ];
  if (samples.length < LEAST) return <p className="card plots-none">{t("overview.plot.collecting")}</p>;
  const live = { name: t("overview.plot.connections"), colour: token.colorPrimary, area: true };
  return (
    <div className="plots">
      <Panel
        title={live.name}
        range={range}
        lines={[{ ...live, series: levels(samples, (it) => it.connections) }]}
      />
      <Panel
        title={t("overview.plot.avoided")}
        unit={t("overview.perMinute")}
        range={range}
        lines={one(t("overview.plot.avoided"), token.colorSuccess, (it) => it.drops_avoided)}
      />
      <Panel
        title={t("overview.plot.renewals")}
        unit={t("overview.perMinute")}
        range={range}
        lines={one(t("overview.plot.renewals"), token.colorInfo, (it) => it.renewals)}
      />
      <Panel
        title={t("overview.plot.deliveries")}
        unit={t("overview.perMinute")}
        range={range}
        lines={one(t("overview.plot.deliveries"), token.colorPrimary, (it) => it.deliveries)}
      />
      <Panel
        title={t("overview.plot.subscriptions")}
        range={range}
        lines={[
          {
            name: t("overview.plot.subscriptions"),
            colour: token.colorInfo,
            area: true,
            series: levels(samples, (it) => it.subscriptions),
          },
        ]}
      />
      <Panel
        title={t("overview.plot.closes")}
        unit={t("overview.perMinute")}
        range={range}
        lines={closeLines(samples, token, t("overview.plot.none"))}
      />
    </div>
  );
}

/** A line for each code; where no connection was closed, one that says so. */
function closeLines(samples: readonly Sample[], token: GlobalToken, none: string): Line[] {
  const colours = [token.colorInfo, token.colorWarning, token.colorError, token.colorPrimary];
  const lines = codesOf(samples)
    .slice(0, MOST_CODES)
    .map((code, index) => ({
      name: code,
      colour: colours[index] ?? token.colorTextTertiary,
      series: rates(samples, ({ closes_by_code }) => closes_by_code[code] ?? 0),
    }));
  const empty = {
    name: none,
    colour: token.colorTextTertiary,
    series: rates(samples, ({ closes }) => closes),
  };
  return lines.length === 0 ? [empty] : lines;
}

interface PanelProps {
  readonly title: string;
  readonly unit?: string;
  readonly lines: readonly Line[];
  readonly range: readonly [number, number];
}

function Panel({ title, unit, lines, range }: PanelProps): ReactNode {
  return (
    <section className="card panel">
      <h2>
        {title}
        {unit !== undefined && <small>{unit}</small>}
      </h2>
      <Plot title={title} lines={lines} range={range} />
    </section>
  );
}

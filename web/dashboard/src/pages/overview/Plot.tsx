import { theme } from "antd";
import { type ReactNode, useEffect, useMemo, useRef, useState } from "react";
import uPlot, { type AlignedData, type Options } from "uplot";
import "uplot/dist/uPlot.min.css";
import { useLanguage } from "../../i18n/language.js";
import type { Language } from "../../i18n/translate.js";
import { extentOf, type Series } from "../../lib/series.js";

const HEIGHT = 148;
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000];

export interface Line {
  readonly name: string;
  readonly series: Series;
  readonly colour: string;
  /** Filled below. */
  readonly area?: boolean;
}

interface PlotProps {
  readonly title: string;
  readonly lines: readonly Line[];
  /** The times at both ends, in seconds since the epoch. */
  readonly range: readonly [number, number];
}

/** Lines over time, with the numbers at the pointer below them, or else the newest ones. */
export function Plot({ title, lines, range }: PlotProps): ReactNode {
  const { language, t } = useLanguage();
  const { token } = theme.useToken();
  const [pointed, setPointed] = useState<number | null>(null);
  const look = useMemo<Look>(
    () => ({
      text: token.colorTextTertiary,
      grid: token.colorBorderSecondary,
      font: `11px ${token.fontFamily}`,
      language,
      point: setPointed,
    }),
    [token, language],
  );
  const place = usePlot(lines, range, look);
  const extent = lines[0] === undefined ? null : extentOf(lines[0].series);
  const number = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
  const said =
    extent === null
      ? `${title}: ${t("overview.plot.none")}`
      : t("overview.plot.said", {
          title,
          now: number.format(extent.now),
          least: number.format(extent.least),
          most: number.format(extent.most),
        });
  return (
    <>
      <div className="plot" ref={place} role="img" aria-label={said} />
      <Legend lines={lines} pointed={pointed} language={language} />
    </>
  );
}

interface LegendProps {
  readonly lines: readonly Line[];
  readonly pointed: number | null;
  readonly language: Language;
}

function Legend({ lines, pointed, language }: LegendProps): ReactNode {
  const number = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
  const exact = new Intl.DateTimeFormat(language, { timeStyle: "medium", hourCycle: "h23" });
  const times = lines[0]?.series.times ?? [];
  const index = pointed ?? times.length - 1;
  const at = times[index];
  return (
    <ul className="legend" aria-hidden="true">
      {lines.map(({ name, colour, series }) => {
        const value = series.values[index] ?? null;
        return (
          <li key={name}>
            <span className="legend-swatch" style={{ background: colour }} />
            {lines.length > 1 && name}
            <strong>{value === null ? "—" : number.format(value)}</strong>
          </li>
        );
      })}
      {at !== undefined && <li className="legend-time">{exact.format(at * 1000)}</li>}
    </ul>
  );
}

interface Look {
  readonly text: string;
  readonly grid: string;
  readonly font: string;
  readonly language: Language;
  readonly point: (index: number | null) => void;
}

/** Draws into the element that the answer is the `ref` of; made anew for other lines or another look only. */
function usePlot(lines: readonly Line[], range: readonly [number, number], look: Look) {
  const place = useRef<HTMLDivElement>(null);
  const drawn = useRef<uPlot | null>(null);
  const latest = useRef({ lines, range });
  const names = lines.map(({ name, colour }) => `${name} ${colour}`).join("\n");

  useEffect(() => {
    latest.current = { lines, range };
    drawn.current?.setData(dataOf(lines));
  }, [lines, range]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: `names` stands for the lines; new points are only set
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const present = latest.current.lines;
    const options = optionsOf(present, look, element.clientWidth, () => latest.current.range);
    const plot = new uPlot(options, dataOf(present), element);
    drawn.current = plot;
    const watcher = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: HEIGHT }));
    watcher.observe(element);
    return () => {
      watcher.disconnect();
      plot.destroy();
      drawn.current = null;
    };
  }, [names, look]);

  return place;
}

function dataOf(lines: readonly Line[]): AlignedData {
  return [[...(lines[0]?.series.times ?? [])], ...lines.map(({ series }) => [...series.values])];
}

function optionsOf(
  lines: readonly Line[],
  { text, grid, font, language, point }: Look,
  width: number,
  range: () => readonly [number, number],
): Options {
  const number = new Intl.NumberFormat(language, { notation: "compact" });
  const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const axis = { stroke: text, font, grid: { stroke: grid, width: 1 }, ticks: { show: false } } as const;
  return {
    width,
    height: HEIGHT,
    padding: [8, 8, 0, 0],
    cursor: { drag: { x: false, y: false }, points: { size: 7 }, y: false },
    legend: { show: false },
    hooks: { setCursor: [(plot) => point(plot.cursor.idx ?? null)] },
    scales: {
      x: { time: true, range: () => [...range()] as [number, number] },
      // From zero, and never flat.
      y: { range: (_, __, most) => [0, Math.max(1, (most ?? 0) * 1.15)] },
    },
    axes: [
      {
        ...axis,
        size: 24,
        gap: 6,
        space: 64,
        values: (_, splits) => splits.map((at) => clock.format(at * 1000)),
      },
      {
        ...axis,
        size: 36,
        space: 26,
        incrs: STEPS,
        values: (_, splits) => splits.map((value) => number.format(value)),
      },
    ],
    series: [
      {},
      ...lines.map(({ colour, area }) => ({
        stroke: colour,
        width: 1.5,
        points: { show: false },
        spanGaps: true,
        ...(area === true ? { fill: `${colour}1f` } : {}),
      })),
    ],
  };
}

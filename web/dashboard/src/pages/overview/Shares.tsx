import type { ReactNode } from "react";
import { useLanguage } from "../../i18n/language.js";
import type { Stats } from "../../lib/admin.js";
import { StateWord } from "../connections/StateWord.js";
import { carrierWord } from "../connections/words.js";

/** What the live connections are: their states, and how they came in. */
export function Shares({ stats }: { readonly stats: Stats }): ReactNode {
  const { t } = useLanguage();
  return (
    <section className="card shares">
      <h2>{t("overview.states")}</h2>
      <Counts counts={stats.live_by_state} word={(state) => <StateWord state={state} />} />
      <h2>{t("overview.carriers")}</h2>
      <Counts counts={stats.live_by_carrier} word={(carrier) => carrierWord(carrier, t)} />
    </section>
  );
}

interface CountsProps {
  readonly counts: Readonly<Record<string, number>>;
  readonly word: (name: string) => ReactNode;
}

function Counts({ counts, word }: CountsProps): ReactNode {
  const { language, t } = useLanguage();
  const number = new Intl.NumberFormat(language);
  const ordered = Object.entries(counts).toSorted(([, a], [, b]) => b - a);
  if (ordered.length === 0) return <p className="shares-none">{t("live.none")}</p>;
  return (
    <dl className="counts">
      {ordered.map(([name, count]) => (
        <div key={name}>
          <dt>{word(name)}</dt>
          <dd>{number.format(count)}</dd>
        </div>
      ))}
    </dl>
  );
}

import type { ReactNode } from "react";
import { useLanguage } from "../../i18n/language.js";
import { span } from "../../lib/duration.js";
import type { Standing } from "../../lib/job.js";
import { TONES } from "./words.js";

interface StandingWordProps {
  readonly standing: Standing;
  /** For how long nothing has been heard of it, in seconds. */
  readonly silentFor?: number | null;
}

/** How a job stands, in a word and a colour. */
export function StandingWord({ standing, silentFor = null }: StandingWordProps): ReactNode {
  const { language, t } = useLanguage();
  return (
    <span className="state" data-tone={TONES[standing]} data-standing={standing}>
      {t(`jobs.standing.${standing}`)}
      {standing === "silent" && silentFor !== null && (
        <small>{t("jobs.silentFor", { time: span(language, silentFor) })}</small>
      )}
    </span>
  );
}

import type { ReactNode } from "react";
import { useLanguage } from "../../i18n/language.js";
import type { Standing } from "../../lib/job.js";
import { TONES } from "./words.js";

interface BarProps {
  /** What it is the progress of. */
  readonly label: string;
  /** From 0 to 1; null is not known. */
  readonly progress: number | null;
  readonly standing: Standing;
}

/** How far a job is, as a bar and in percent. */
export function Bar({ label, progress, standing }: BarProps): ReactNode {
  const { language } = useLanguage();
  const percent = new Intl.NumberFormat(language, { style: "percent" });
  const words = progress === null ? "—" : percent.format(progress);
  return (
    <span className="job-bar" data-tone={TONES[standing]} data-standing={standing}>
      <span
        className="job-track"
        role="progressbar"
        aria-label={label}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={progress === null ? undefined : Math.round(progress * 100)}
        aria-valuetext={words}
      >
        <span className="job-done" style={{ transform: `scaleX(${(progress ?? 0).toFixed(4)})` }} />
      </span>
      <span className="job-percent" aria-hidden="true">
        {words}
      </span>
    </span>
  );
}

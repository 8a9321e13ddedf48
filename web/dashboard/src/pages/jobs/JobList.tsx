import type { ReactNode } from "react";
import { useFeed } from "../../components/feed.js";
import { useLanguage } from "../../i18n/language.js";
import { useNow } from "../../lib/clock.js";
import { relative } from "../../lib/duration.js";
import { JOB, type Standing, silence, standingOf } from "../../lib/job.js";
import { channelOf, completed, isOver, type Summary } from "../../lib/job-index.js";
import { follow, pathTo } from "../../lib/route.js";
import { Bar } from "./Bar.js";
import { StandingWord } from "./StandingWord.js";

/** A connection may be subscribed to 100 channels, and other pages want some too. */
const MOST_FOLLOWED = 40;
/** Enough for a whole and what came after it, where whole ones are told often enough. */
const LIMIT = 60;

interface JobListProps {
  readonly jobs: readonly Summary[];
  readonly opened: string | null;
}

/** Every job that is known of; those that run are followed. */
export function JobList({ jobs, opened }: JobListProps): ReactNode {
  const { t } = useLanguage();
  return (
    <ul className="card job-list" aria-label={t("jobs.list")}>
      {jobs.map((job, index) => {
        const Row = isOver(job) || index >= MOST_FOLLOWED ? KnownRow : FollowedRow;
        return <Row key={job.id} summary={job} isOpened={job.id === opened} />;
      })}
    </ul>
  );
}

interface RowProps {
  readonly summary: Summary;
  readonly isOpened: boolean;
}

function FollowedRow({ summary, isOpened }: RowProps): ReactNode {
  const { value, phase } = useFeed(channelOf(summary.id), JOB, LIMIT);
  const job = completed(value, summary);
  const silentFor = silence(job, useNow());
  return (
    <Row
      id={summary.id}
      title={job.title}
      progress={job.progress}
      line={job.log.at(-1)?.text ?? ""}
      standing={standingOf(job, phase, silentFor !== null)}
      silentFor={silentFor}
      isOpened={isOpened}
    />
  );
}

function KnownRow({ summary, isOpened }: RowProps): ReactNode {
  const { language, t } = useLanguage();
  const now = useNow();
  const { id, title, progress, at } = summary;
  const ago = at === null ? "" : relative(language, Math.min(0, at - now) / 1000, t("sessions.now"));
  const standing = standingOf(summary, "live", false);
  return (
    <Row
      id={id}
      title={title}
      progress={progress}
      line={ago}
      standing={standing}
      silentFor={null}
      isOpened={isOpened}
    />
  );
}

interface ShownRowProps {
  readonly id: string;
  readonly title: string | null;
  readonly progress: number | null;
  readonly line: string;
  readonly standing: Standing;
  readonly silentFor: number | null;
  readonly isOpened: boolean;
}

function Row({ id, title, progress, line, standing, silentFor, isOpened }: ShownRowProps): ReactNode {
  return (
    <li data-job={id} data-standing={standing}>
      <a href={pathTo("jobs", id)} onClick={follow} aria-current={isOpened ? "true" : undefined}>
        <span className="job-row-head">
          <strong>{title ?? id}</strong>
          <StandingWord standing={standing} silentFor={silentFor} />
        </span>
        <Bar label={title ?? id} progress={progress} standing={standing} />
        <small className="job-row-line">{line}</small>
      </a>
    </li>
  );
}

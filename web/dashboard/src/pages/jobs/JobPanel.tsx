import { Skeleton } from "antd";
import type { ReactNode } from "react";
import { CopyButton } from "../../components/CopyButton.js";
import { useFeed } from "../../components/feed.js";
import { Icon } from "../../components/icons.js";
import { Notice } from "../../components/Notices.js";
import { useLanguage } from "../../i18n/language.js";
import { useNow } from "../../lib/clock.js";
import type { Break, Phase, Shown } from "../../lib/feed.js";
import { JOB, type Job, silence, standingOf } from "../../lib/job.js";
import { channelOf, completed, type Summary } from "../../lib/job-index.js";
import { follow, pathTo } from "../../lib/route.js";
import { Bar } from "./Bar.js";
import { JobLog } from "./JobLog.js";
import { StandingWord } from "./StandingWord.js";

/** All that a server tells at once. */
const LIMIT = 1_000;

interface JobPanelProps {
  readonly id: string;
  /** What the index says of it. */
  readonly summary: Summary | undefined;
}

/** One job with everything that is known of it. */
export function JobPanel({ id, summary }: JobPanelProps): ReactNode {
  const { t } = useLanguage();
  const feed = useFeed(channelOf(id), JOB, LIMIT);
  const { phase } = feed;
  const job = completed(feed.value, summary);
  const title = job.title ?? id;
  const isUnread = feed.value.heardAt === null && (phase === "refused" || phase === "revoked");
  return (
    <section className="card job-panel" aria-labelledby="job-title">
      <a className="job-back" href={pathTo("jobs")} onClick={follow}>
        <Icon name="back" />
        {t("jobs.back")}
      </a>
      <h2 id="job-title">{title}</h2>
      <p className="job-id">
        <code>{channelOf(id)}</code>
        <CopyButton text={channelOf(id)} label={t("connections.copy", { what: t("jobs.channel") })} />
      </p>
      {isUnread ? (
        <Notice title={t("jobs.refused.title")} lead={t("jobs.refused.lead")} />
      ) : (
        <Contents title={title} job={job} feed={feed} />
      )}
    </section>
  );
}

interface ContentsProps {
  readonly title: string;
  readonly job: Job;
  readonly feed: Shown<Job>;
}

function Contents({ title, job, feed: { phase, broken } }: ContentsProps): ReactNode {
  const { t } = useLanguage();
  const silentFor = silence(job, useNow());
  const standing = standingOf(job, phase, silentFor !== null);
  if (phase === "loading") return <Skeleton active title={false} paragraph={{ rows: 6 }} />;
  return (
    <>
      <div className="job-head">
        <StandingWord standing={standing} silentFor={silentFor} />
        <Bar label={title} progress={job.progress} standing={standing} />
      </div>
      <p className="sr-only" role="status">
        {title}: {t(`jobs.standing.${standing}`)}
      </p>
      <Trouble phase={phase} broken={broken} isSilent={standing === "silent"} />
      {job.heardAt === null && phase === "live" && (
        <Notice title={t("jobs.unheard.title")} lead={t("jobs.unheard.lead")} />
      )}
      {job.result !== undefined && <Result result={job.result} isFailure={job.state === "failed"} />}
      {job.heardAt !== null && <JobLog job={job} />}
    </>
  );
}

interface TroubleProps {
  readonly phase: Phase;
  readonly broken: Break | null;
  readonly isSilent: boolean;
}

/** What the person should know before they rely on what is shown. */
function Trouble({ phase, broken, isSilent }: TroubleProps): ReactNode {
  const { language, t } = useLanguage();
  const time = new Intl.DateTimeFormat(language, { timeStyle: "medium", hourCycle: "h23" });
  const lines = [
    phase === "away" && t("jobs.trouble.away"),
    phase === "revoked" && t("jobs.trouble.revoked"),
    phase === "refused" && t("jobs.trouble.refused"),
    phase === "closed" && t("jobs.trouble.closed"),
    isSilent && t("jobs.trouble.silent"),
    broken !== null &&
      t(`jobs.broken.${broken.isNewLife ? "restarted" : "gone"}.${broken.isMended ? "mended" : "open"}`, {
        time: time.format(broken.at),
      }),
  ].filter((line) => line !== false);
  return (
    <div role="status">
      {lines.map((line) => (
        <p key={line} className="stale">
          {line}
        </p>
      ))}
    </div>
  );
}

function Result({ result, isFailure }: { readonly result: unknown; readonly isFailure: boolean }): ReactNode {
  const { t } = useLanguage();
  const text = typeof result === "string" ? result : JSON.stringify(result, null, 2);
  return (
    <section className="job-result" aria-label={t("jobs.result")} data-failed={isFailure}>
      <pre>{text}</pre>
      <CopyButton text={text} label={t("connections.copy", { what: t("jobs.result") })} />
    </section>
  );
}

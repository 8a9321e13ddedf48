import { Button, Input, Skeleton } from "antd";
import { type ReactNode, type SyntheticEvent, useId, useMemo, useState } from "react";
import { CopyButton } from "../../components/CopyButton.js";
import { useFeed } from "../../components/feed.js";
import { useHeld } from "../../components/held.js";
import { Notice } from "../../components/Notices.js";
import { PageHead } from "../../components/PageHead.js";
import { useLanguage } from "../../i18n/language.js";
import type { Phase } from "../../lib/feed.js";
import { INDEX, isJobId, isOver, JOB_INDEX, listed, type Summary } from "../../lib/job-index.js";
import { go, pathTo } from "../../lib/route.js";
import { JobList } from "./JobList.js";
import { JobPanel } from "./JobPanel.js";
import "./jobs.css";

/** All that a server tells at once. */
const LIMIT = 1_000;
const KEPT = "jobs.asked";

/** Long jobs: which there are is told on one channel, and each is followed on its own. */
export function JobsPage({ opened }: { readonly opened: string | null }): ReactNode {
  const { t } = useLanguage();
  const index = useFeed(INDEX, JOB_INDEX, LIMIT);
  const asked = useAsked(opened);
  const jobs = useMemo(() => listed(index.value, asked), [index.value, asked]);
  const running = jobs.filter(({ state }) => state === "running").length;
  return (
    <>
      <PageHead title={t("jobs.title")} lead={t("jobs.lead")}>
        <AskForm />
      </PageHead>
      <div className="jobs" data-opened={opened !== null}>
        <div className="jobs-side">
          <List jobs={jobs} phase={index.phase} opened={opened} />
          {jobs.length > 0 && (
            <p className="page-foot" role="status">
              {t("jobs.count", { count: running })},{" "}
              {t("jobs.count.over", { count: jobs.filter(isOver).length })}
            </p>
          )}
        </div>
        {opened === null ? (
          jobs.length > 0 && (
            <div className="card job-none">
              <Notice title={t("jobs.choose")} />
            </div>
          )
        ) : (
          <JobPanel key={opened} id={opened} summary={jobs.find(({ id }) => id === opened)} />
        )}
      </div>
    </>
  );
}

interface ListProps {
  readonly jobs: readonly Summary[];
  readonly phase: Phase;
  readonly opened: string | null;
}

function List({ jobs, phase, opened }: ListProps): ReactNode {
  const { t } = useLanguage();
  const isClosed = phase === "refused" || phase === "revoked";
  return (
    <>
      {phase === "away" && (
        <p className="stale" role="status">
          {t("jobs.trouble.away")}
        </p>
      )}
      {isClosed && (
        <p className="stale" role="status">
          {t("jobs.index.refused", { channel: INDEX })}
        </p>
      )}
      {jobs.length > 0 && <JobList jobs={jobs} opened={opened} />}
      {jobs.length === 0 && phase === "loading" && (
        <div className="card job-loading">
          <Skeleton active title={false} paragraph={{ rows: 4 }} />
        </div>
      )}
      {jobs.length === 0 && phase !== "loading" && !isClosed && <Nothing />}
    </>
  );
}

/** Why there is nothing, and how there would be something. */
function Nothing(): ReactNode {
  const { t } = useLanguage();
  const { user } = useHeld();
  const command = `HOLDFAST_EXAMPLE_PASSWORD=... python examples/jobs/publish.py ${location.origin} ${user.name}`;
  const copy = (
    <p className="job-command">
      <code>{command}</code>
      <CopyButton text={command} label={t("connections.copy", { what: t("jobs.command") })} />
    </p>
  );
  return (
    <div className="card">
      <Notice title={t("jobs.empty.title")} lead={t("jobs.empty.lead", { channel: INDEX })} action={copy} />
    </div>
  );
}

/** Follows a job that is in no index. */
function AskForm(): ReactNode {
  const { t } = useLanguage();
  const id = useId();
  const [text, setText] = useState("");
  const wanted = text.trim().replace(/^job:/, "");
  const isWrong = wanted !== "" && !isJobId(wanted);
  const submit = (event: SyntheticEvent): void => {
    event.preventDefault();
    if (!isJobId(wanted)) return;
    setText("");
    go(pathTo("jobs", wanted));
  };
  return (
    <form className="job-ask" onSubmit={submit}>
      <label className="sr-only" htmlFor={id}>
        {t("jobs.ask")}
      </label>
      <Input
        id={id}
        className="filter-text"
        size="small"
        placeholder={t("jobs.ask")}
        value={text}
        onChange={(event) => setText(event.target.value)}
        spellCheck={false}
        autoComplete="off"
        status={isWrong ? "error" : ""}
        aria-invalid={isWrong}
      />
      <Button size="small" htmlType="submit" disabled={wanted === "" || isWrong}>
        {t("jobs.ask.submit")}
      </Button>
    </form>
  );
}

/** The jobs that were opened by their id, for as long as the page lives; no id has a space in it. */
function useAsked(opened: string | null): readonly string[] {
  const { drafts } = useHeld();
  return useMemo(() => {
    const before = (drafts.current.get(KEPT) ?? "").split(" ").filter((id) => id !== "");
    const asked = opened === null || before.includes(opened) ? before : [...before, opened];
    drafts.current.set(KEPT, asked.join(" "));
    return asked;
  }, [drafts, opened]);
}

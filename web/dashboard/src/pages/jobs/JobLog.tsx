import { Button } from "antd";
import { memo, type ReactNode, useLayoutEffect, useRef, useState } from "react";
import { Icon } from "../../components/icons.js";
import { useLanguage } from "../../i18n/language.js";
import { type Job, LINES_KEPT, type Line } from "../../lib/job.js";

/** How near to its end a log counts as read to the end, in pixels. */
const NEAR = 24;

/** The lines of a job, the newest at the end, which stays in sight unless somebody reads further up. */
export function JobLog({ job: { log, lines } }: { readonly job: Job }): ReactNode {
  const { t } = useLanguage();
  const list = useRef<HTMLDivElement>(null);
  const [isAtEnd, setAtEnd] = useState(true);
  const toEnd = (): void => {
    if (list.current !== null) list.current.scrollTop = list.current.scrollHeight;
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: with every line that comes
  useLayoutEffect(() => {
    if (isAtEnd) toEnd();
  }, [lines, isAtEnd]);
  const scrolled = (): void => {
    const { current } = list;
    if (current !== null) setAtEnd(current.scrollHeight - current.scrollTop - current.clientHeight < NEAR);
  };
  return (
    <div className="job-log-frame">
      {log.length === 0 ? (
        <p className="job-log-none">{t("jobs.log.none")}</p>
      ) : (
        <div
          ref={list}
          className="job-log"
          role="log"
          aria-live="off"
          aria-label={t("jobs.log")}
          // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reached by keyboard
          tabIndex={0}
          onScroll={scrolled}
        >
          <ol>
            {log.map((line) => (
              <LogLine key={line.number} line={line} />
            ))}
          </ol>
        </div>
      )}
      <p className="messages-foot">
        {t(log.length < LINES_KEPT ? "jobs.log.count" : "jobs.log.last", { count: log.length })}
        {!isAtEnd && (
          <Button size="small" className="job-log-end" icon={<Icon name="down" />} onClick={toEnd}>
            {t("jobs.log.end")}
          </Button>
        )}
      </p>
    </div>
  );
}

const LogLine = memo(function LogLine({ line }: { readonly line: Line }): ReactNode {
  const { language, t } = useLanguage();
  const { at, level, text } = line;
  if (level === "gap") {
    return (
      <li className="job-line" data-level="gap">
        {t("jobs.log.gap")}
      </li>
    );
  }
  return (
    <li className="job-line" data-level={level}>
      {at !== null && <time dateTime={new Date(at).toISOString()}>{timeOf(at, language)}</time>}
      {level !== "info" && <span className="sr-only">{t(`jobs.level.${level}`)}</span>}
      <span className="job-line-text">{text}</span>
    </li>
  );
});

function timeOf(at: number, language: string): string {
  return new Intl.DateTimeFormat(language, { timeStyle: "medium", hourCycle: "h23" }).format(at);
}

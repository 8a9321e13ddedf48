import type { ReactNode } from "react";
import { useLanguage } from "../../i18n/language.js";
import type { Connection, Moment } from "../../lib/admin.js";
import { momentWords } from "./words.js";

/** How many moments the server keeps of a connection. */
const KEPT = 64;

/** What has happened to a connection, newest first. */
export function Timeline({ connection }: { readonly connection: Connection }): ReactNode {
  const { t } = useLanguage();
  const { timeline } = connection;
  return (
    <section aria-labelledby="timeline-title">
      <h2 id="timeline-title" className="drawer-title">
        {t("connections.timeline")}
        {timeline.length >= KEPT && <small>{t("connections.timeline.kept", { most: KEPT })}</small>}
      </h2>
      <ol className="timeline">
        {timeline.toReversed().map((moment) => (
          <Line key={`${moment.at} ${moment.what}`} moment={moment} />
        ))}
      </ol>
    </section>
  );
}

function Line({ moment }: { readonly moment: Moment }): ReactNode {
  const { language, t } = useLanguage();
  const { title, offset, meaning, detail, tone } = momentWords(moment, language, t);
  const at = new Date(moment.at * 1000);
  const time = new Intl.DateTimeFormat(language, { timeStyle: "medium", hourCycle: "h23" }).format(at);
  return (
    <li data-tone={tone} data-what={moment.what}>
      <time dateTime={at.toISOString()}>{time}</time>
      <span className="timeline-dot" aria-hidden="true" />
      <span className="timeline-words">
        <strong>{title}</strong>
        {offset !== null && (
          <span className="timeline-offset" aria-hidden="true">
            {offset}
          </span>
        )}
        {meaning !== null && (
          <span className={offset === null ? "timeline-meaning" : "sr-only"}>{meaning}</span>
        )}
        {detail !== "" && <small>{detail}</small>}
      </span>
    </li>
  );
}

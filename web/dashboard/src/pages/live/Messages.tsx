import { Button, Segmented } from "antd";
import { type ReactNode, useDeferredValue, useState, useSyncExternalStore } from "react";
import { FilterInput } from "../../components/FilterInput.js";
import { useHeld } from "../../components/held.js";
import { Icon } from "../../components/icons.js";
import { Notice } from "../../components/Notices.js";
import { useLanguage } from "../../i18n/language.js";
import { KINDS, type Kind, type MessageLog, matching } from "../../lib/log.js";
import { Message } from "./Message.js";
import { searchedIn } from "./words.js";

const CHOICES = ["all", ...KINDS] as const;

/** What has come and gone on the socket, newest first. */
export function Messages(): ReactNode {
  const { language, t } = useLanguage();
  const { log } = useHeld();
  const { entries, paused } = useSyncExternalStore(log.subscribe, log.shown);
  const [kind, setKind] = useState<Kind | "all">("all");
  const [text, setText] = useState("");
  const wanted = useDeferredValue(text);
  const shown = matching(entries, kind, wanted, (entry) => searchedIn(entry, language, t));
  const clearFilter = (): void => {
    setKind("all");
    setText("");
  };
  return (
    <section className="card messages" aria-label={t("live.list")} data-paused={paused}>
      <Tools log={log} kind={kind} setKind={setKind} text={text} setText={setText} />
      {shown.length === 0 ? (
        <Nothing isFiltered={entries.length > 0} clearFilter={clearFilter} />
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reached by keyboard
        <ol className="message-list" aria-label={t("live.list")} tabIndex={0}>
          {shown.map((entry) => (
            <Message key={entry.id} entry={entry} />
          ))}
        </ol>
      )}
      <p className="messages-foot">
        {shown.length === entries.length
          ? t("live.kept", { count: entries.length })
          : t("live.shown", { shown: shown.length, kept: entries.length })}
      </p>
    </section>
  );
}

interface ToolsProps {
  readonly log: MessageLog;
  readonly kind: Kind | "all";
  readonly setKind: (kind: Kind | "all") => void;
  readonly text: string;
  readonly setText: (text: string) => void;
}

function Tools({ log, kind, setKind, text, setText }: ToolsProps): ReactNode {
  const { t } = useLanguage();
  const { paused, waiting } = useSyncExternalStore(log.subscribe, log.shown);
  const options = CHOICES.map((value) => ({ value, label: t(`live.kind.${value}`) }));
  return (
    <div className="messages-tools">
      <Segmented aria-label={t("live.kind")} options={options} value={kind} onChange={setKind} size="small" />
      <FilterInput className="messages-filter" label={t("live.filter")} text={text} change={setText} />
      <span className="messages-actions">
        <Button
          size="small"
          icon={<Icon name={paused ? "play" : "pause"} />}
          onClick={() => log.pause(!paused)}
          aria-pressed={paused}
        >
          {t(paused ? "live.resume" : "live.pause")}
          {waiting > 0 && <span className="badge">{t("live.waiting", { count: waiting })}</span>}
        </Button>
        <Button size="small" icon={<Icon name="clear" />} onClick={() => log.clear()}>
          {t("live.clear")}
        </Button>
      </span>
    </div>
  );
}

interface NothingProps {
  readonly isFiltered: boolean;
  readonly clearFilter: () => void;
}

function Nothing({ isFiltered, clearFilter }: NothingProps): ReactNode {
  const { t } = useLanguage();
  if (!isFiltered) return <Notice title={t("live.empty.title")} lead={t("live.empty.lead")} />;
  const clear = <Button onClick={clearFilter}>{t("filter.clear")}</Button>;
  return <Notice title={t("live.empty.filter")} action={clear} />;
}

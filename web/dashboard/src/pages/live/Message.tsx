import { memo, type ReactNode, useId, useState } from "react";
import { CopyButton } from "../../components/CopyButton.js";
import { Icon, type IconName } from "../../components/icons.js";
import { useLanguage } from "../../i18n/language.js";
import type { Happening } from "../../lib/holding.js";
import type { Entry } from "../../lib/log.js";
import { wordsOf } from "./words.js";

const EVENTS: Readonly<Record<Happening["what"], IconName>> = {
  ready: "check",
  renewed: "refresh",
  healed: "refresh",
  grace: "clock",
  lost: "unlink",
  parked: "unlink",
  stopped: "unlink",
  subscribed: "channel",
  recovered: "channel",
  unrecovered: "channel",
  refused: "ban",
  revoked: "ban",
  left: "unlink",
};
/** Longer lines only cost time to lay out: nobody reads that far without opening the entry. */
const LINE = 300;

/** One line of the log; a message opens to be read in full. */
export const Message = memo(function Message({ entry }: { readonly entry: Entry }): ReactNode {
  const { language, t } = useLanguage();
  const [isOpen, setOpen] = useState(false);
  const id = useId();
  const words = wordsOf(entry, language, t);
  const line = words.length > LINE ? `${words.slice(0, LINE)}…` : words;
  const opens = entry.kind !== "event";
  return (
    <li className="message" data-kind={entry.kind} data-tone={entry.tone}>
      <time className="message-time" dateTime={new Date(entry.at).toISOString()}>
        {timeOf(entry.at, language)}
      </time>
      <span className="message-kind">
        <Icon name={iconOf(entry)} />
        <span className="sr-only">{t(`live.${entry.kind}`)}</span>
      </span>
      {entry.channel !== undefined && <Place channel={entry.channel} offset={entry.offset} />}
      {opens ? (
        <button
          type="button"
          className="message-line"
          aria-expanded={isOpen}
          aria-controls={id}
          onClick={() => setOpen(!isOpen)}
        >
          {line}
        </button>
      ) : (
        <span className="message-line">{line}</span>
      )}
      {opens && isOpen && <Body id={id} data={entry.data} />}
    </li>
  );
});

/** Where something was published. */
function Place({
  channel,
  offset,
}: {
  readonly channel: string;
  readonly offset: number | undefined;
}): ReactNode {
  return (
    <span className="message-place">
      <span className="message-channel">{channel}</span>
      {offset !== undefined && <span className="message-offset">#{offset}</span>}
    </span>
  );
}

function Body({ id, data }: { readonly id: string; readonly data: unknown }): ReactNode {
  const { t } = useLanguage();
  const text = JSON.stringify(data, null, 2);
  return (
    <div className="message-body" id={id}>
      <pre>{text}</pre>
      <CopyButton text={text} label={t("live.copy")} />
    </div>
  );
}

function iconOf({ kind, data }: Entry): IconName {
  return kind === "event" ? EVENTS[(data as Happening).what] : kind;
}

function timeOf(at: number, language: string): string {
  return new Intl.DateTimeFormat(language, {
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    fractionalSecondDigits: 3,
    hourCycle: "h23",
  }).format(at);
}

import { HoldfastError } from "@holdfast/client";
import { Button, Input } from "antd";
import { type KeyboardEvent, type ReactNode, type SyntheticEvent, useId, useState } from "react";
import { type Held, useHeld } from "../../components/held.js";
import { Icon } from "../../components/icons.js";
import { type Translate, useLanguage } from "../../i18n/language.js";
import { type Draft, dataOf, read } from "../../lib/json.js";
import { explain } from "../../lib/problem.js";
import { APP, Target, useTarget } from "./Target.js";

const DRAFT = "live.send";
const FIRST = '{"hello": "world"}';

/** Write JSON and send it to the app, or publish it on a channel. */
export function SendForm(): ReactNode {
  const { t } = useLanguage();
  const held = useHeld();
  const id = useId();
  const [text, setText] = useDraft(held);
  const target = useTarget();
  const sending = useSending(held, target.channel, read(text));
  const keys = (event: KeyboardEvent): void => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) sending.send();
  };
  return (
    <form className="card send" onSubmit={sending.send} aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`}>{t("live.send.title")}</h2>
      <Target id={`${id}-target`} target={target} />
      <label className="sr-only" htmlFor={id}>
        {t("live.send.label")}
      </label>
      <Input.TextArea
        id={id}
        className="send-text"
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={keys}
        spellCheck={false}
        aria-invalid={sending.problem !== null}
        aria-describedby={`${id}-problem`}
        status={sending.problem === null ? "" : "error"}
      />
      <p
        className="send-problem"
        id={`${id}-problem`}
        aria-live="polite"
        data-failed={sending.failure !== ""}
      >
        {sending.problem ?? (sending.failure || (sending.isWaiting ? t("live.send.waiting") : ""))}
      </p>
      <div className="send-foot">
        <Button type="primary" htmlType="submit" disabled={!sending.canSend} icon={<Icon name="send" />}>
          {t(target.channel === APP ? "live.send.submit" : "live.send.publish")}
        </Button>
        <Button disabled={sending.pretty === null} onClick={() => setText(sending.pretty ?? text)}>
          {t("live.send.format")}
        </Button>
        <span className="send-hint">{t("live.send.hint", { keys: isApple() ? "⌘ ↵" : "Ctrl ↵" })}</span>
      </div>
    </form>
  );
}

/** The text, which outlives a visit to another page. */
function useDraft({ drafts }: Held): [string, (text: string) => void] {
  const [text, setText] = useState(() => drafts.current.get(DRAFT) ?? FIRST);
  const keep = (changed: string): void => {
    drafts.current.set(DRAFT, changed);
    setText(changed);
  };
  return [text, keep];
}

interface Sending {
  readonly canSend: boolean;
  readonly isWaiting: boolean;
  /** What is wrong with the text. */
  readonly problem: string | null;
  /** Why the last try failed; empty if it did not. */
  readonly failure: string;
  /** The text well laid out, if it is JSON. */
  readonly pretty: string | null;
  readonly send: (event?: SyntheticEvent) => void;
}

function useSending(held: Held, channel: string, draft: Draft): Sending {
  const { t } = useLanguage();
  const [failed, setFailed] = useState<{ readonly channel: string; readonly error: unknown } | null>(null);
  const said = dataOf(draft);
  const isGood = channel === APP ? draft.kind === "message" : said !== null;
  const { kind } = held.hold;
  const canSend = isGood && kind !== "stopped";
  const send = (event?: SyntheticEvent): void => {
    event?.preventDefault();
    if (!canSend || said === null) return;
    setFailed(null);
    sendNow(held, channel, said.data).catch((error: unknown) => setFailed({ channel, error }));
  };
  return {
    canSend,
    isWaiting: kind !== "connected" && kind !== "renewing" && kind !== "late",
    problem: isGood ? null : problemOf(draft, t),
    failure: failed?.channel === channel ? failureOf(failed.error, channel, t) : "",
    pretty: said === null ? null : JSON.stringify(said.data, null, 2),
    send,
  };
}

async function sendNow({ live, log }: Held, channel: string, data: unknown): Promise<void> {
  const entry = { kind: "out", text: JSON.stringify(data), data } as const;
  if (channel === APP) {
    await live.send(data as object); // a message, or it could not be sent
    log.add({ ...entry, at: Date.now() });
  } else if (live.live !== null) {
    const { offset } = await live.live.publish(channel, data);
    log.add({ ...entry, at: Date.now(), channel, offset });
  }
}

function failureOf(error: unknown, channel: string, t: Translate): string {
  const isForbidden = error instanceof HoldfastError && error.code === "forbidden";
  return isForbidden ? t("live.send.forbidden", { channel }) : explain(error, t);
}

function problemOf(draft: Draft, t: Translate): string | null {
  switch (draft.kind) {
    case "empty":
    case "message":
      return null;
    case "syntax":
      return t("live.send.invalid", { line: draft.line, column: draft.column });
    case "unfinished":
      return t("live.send.invalid.end");
    case "other":
      return t("live.send.other");
    case "reserved":
      return t("live.send.reserved", { type: draft.type });
  }
}

const isApple = (): boolean => /Mac|iPhone|iPad/.test(navigator.userAgent);

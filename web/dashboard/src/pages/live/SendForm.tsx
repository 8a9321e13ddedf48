import { App, Button, Input } from "antd";
import { type KeyboardEvent, type ReactNode, type SyntheticEvent, useId, useState } from "react";
import { type Held, useHeld } from "../../components/held.js";
import { Icon } from "../../components/icons.js";
import { type Translate, useLanguage } from "../../i18n/language.js";
import { type Draft, read } from "../../lib/json.js";
import { explain } from "../../lib/problem.js";

const DRAFT = "live.send";
const FIRST = '{"hello": "world"}';

/** Write one message as JSON and send it. */
export function SendForm(): ReactNode {
  const { t } = useLanguage();
  const held = useHeld();
  const { message } = App.useApp();
  const id = useId();
  const [text, setText] = useDraft(held);
  const draft = read(text);
  const problem = problemOf(draft, t);
  const canSend = draft.kind === "message" && held.hold.kind !== "stopped";
  const isWaiting =
    held.hold.kind !== "connected" && held.hold.kind !== "renewing" && held.hold.kind !== "late";
  const send = (event?: SyntheticEvent): void => {
    event?.preventDefault();
    if (draft.kind !== "message" || !canSend) return;
    sendNow(held, draft.message).catch((error: unknown) => void message.error(explain(error, t)));
  };
  const keys = (event: KeyboardEvent): void => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send();
  };
  return (
    <form className="card send" onSubmit={send} aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`}>{t("live.send.title")}</h2>
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
        aria-invalid={problem !== null}
        aria-describedby={`${id}-problem`}
        status={problem === null ? "" : "error"}
      />
      <p className="send-problem" id={`${id}-problem`} aria-live="polite">
        {problem ?? (isWaiting ? t("live.send.waiting") : "")}
      </p>
      <div className="send-foot">
        <Button type="primary" htmlType="submit" disabled={!canSend} icon={<Icon name="send" />}>
          {t("live.send.submit")}
        </Button>
        <Button disabled={draft.kind !== "message"} onClick={() => setText(pretty(draft))}>
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

async function sendNow({ live, log }: Held, message: object): Promise<void> {
  await live.send(message);
  log.add({ at: Date.now(), kind: "out", text: JSON.stringify(message), data: message });
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

const pretty = (draft: Draft): string =>
  draft.kind === "message" ? JSON.stringify(draft.message, null, 2) : "";

const isApple = (): boolean => /Mac|iPhone|iPad/.test(navigator.userAgent);

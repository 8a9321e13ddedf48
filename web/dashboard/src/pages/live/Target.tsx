import { Select } from "antd";
import { type ReactNode, useEffect, useState, useSyncExternalStore } from "react";
import { useHeld } from "../../components/held.js";
import { useLanguage } from "../../i18n/language.js";

/** Not a channel, but the app behind the socket; no channel has such a name. */
export const APP = "";
const KEPT = "live.target";

export interface TargetChoice {
  readonly channel: string;
  readonly choices: readonly string[];
  readonly choose: (channel: string) => void;
}

/** Where the text goes: to the app, or to a channel that this page is subscribed to. */
export function useTarget(): TargetChoice {
  const { desk, drafts } = useHeld();
  const followed = useSyncExternalStore(desk.subscribe, desk.shown);
  const [chosen, choose] = useState(() => drafts.current.get(KEPT) ?? APP);
  const choices = [APP, ...followed.map(({ channel }) => channel)];
  const channel = choices.includes(chosen) ? chosen : APP;
  useEffect(() => {
    drafts.current.set(KEPT, channel);
  }, [channel, drafts]);
  return { channel, choices, choose };
}

interface TargetProps {
  readonly id: string;
  readonly target: TargetChoice;
}

/** Nothing, as long as there is nothing to choose. */
export function Target({ id, target: { channel, choices, choose } }: TargetProps): ReactNode {
  const { t } = useLanguage();
  if (choices.length === 1) return null;
  const options = choices.map((value) => ({ value, label: value === APP ? t("live.send.app") : value }));
  return (
    <div className="send-target">
      <label htmlFor={id}>{t("live.send.to")}</label>
      <Select id={id} size="small" options={options} value={channel} onChange={choose} />
    </div>
  );
}

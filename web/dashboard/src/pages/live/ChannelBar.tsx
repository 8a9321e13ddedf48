import type { SubscriptionStatus } from "@holdfast/client";
import { Button, Input } from "antd";
import { type ReactNode, type SyntheticEvent, useEffect, useId, useState, useSyncExternalStore } from "react";
import { useHeld } from "../../components/held.js";
import { Icon } from "../../components/icons.js";
import { useLanguage } from "../../i18n/language.js";
import { isChannel, searchFor } from "../../lib/channel.js";
import type { Followed } from "../../lib/desk.js";
import type { Tone } from "../../lib/hold.js";
import { INDEX } from "../../lib/job-index.js";
import { pathTo } from "../../lib/route.js";

const TONES: Readonly<Record<SubscriptionStatus, Tone>> = {
  subscribing: "busy",
  subscribed: "good",
  refused: "bad",
  unsubscribed: "off",
};

/** Which channels this page is subscribed to; the address keeps them through a reload. */
export function ChannelBar(): ReactNode {
  const { t } = useLanguage();
  const { desk, user } = useHeld();
  const followed = useSyncExternalStore(desk.subscribe, desk.shown);
  const names = followed.map(({ channel }) => channel);
  const search = searchFor(names);
  useEffect(() => {
    if (location.search !== search) history.replaceState(null, "", `${pathTo("live")}${search}`);
  }, [search]);
  const offered = [`user:${user.id}`, INDEX, "public:news"].filter((name) => !names.includes(name));
  return (
    <section className="card channels" aria-label={t("channels.title")}>
      <ChannelForm />
      <ul className="chips">
        {followed.map((one) => (
          <Chip key={one.channel} followed={one} />
        ))}
        {offered.map((name) => (
          <li key={name}>
            <button
              type="button"
              className="chip chip-offer"
              onClick={() => desk.follow(name)}
              aria-label={t("channels.subscribeTo", { channel: name })}
            >
              <Icon name="plus" />
              <code title={name}>{name}</code>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function ChannelForm(): ReactNode {
  const { t } = useLanguage();
  const { desk } = useHeld();
  const id = useId();
  const [name, setName] = useState("");
  const isWrong = name !== "" && !isChannel(name.trim());
  const submit = (event: SyntheticEvent): void => {
    event.preventDefault();
    if (!isChannel(name.trim())) return;
    desk.follow(name.trim());
    setName("");
  };
  return (
    <form className="channels-form" onSubmit={submit}>
      <label htmlFor={id}>{t("channels.title")}</label>
      <Input
        id={id}
        size="small"
        className="channels-name"
        placeholder="job:42"
        spellCheck={false}
        autoCapitalize="none"
        autoComplete="off"
        value={name}
        onChange={(event) => setName(event.target.value)}
        status={isWrong ? "error" : ""}
        aria-invalid={isWrong}
        aria-describedby={`${id}-problem`}
      />
      <Button size="small" htmlType="submit" disabled={name.trim() === "" || isWrong}>
        {t("channels.subscribe")}
      </Button>
      <span className="channels-problem" id={`${id}-problem`} aria-live="polite">
        {isWrong && t("error.bad_channel")}
      </span>
    </form>
  );
}

function Chip({ followed }: { readonly followed: Followed }): ReactNode {
  const { t } = useLanguage();
  const { desk } = useHeld();
  const { channel, status, offset, members } = followed;
  return (
    <li className="chip" data-tone={TONES[status]} data-status={status}>
      <span className="state">
        <code title={channel}>{channel}</code>
        {status === "subscribed" ? (
          <span className="sr-only">{t("channels.status.subscribed")}</span>
        ) : (
          <small>{t(`channels.status.${status}`)}</small>
        )}
      </span>
      {status === "subscribed" && <small>#{offset}</small>}
      {status === "subscribed" && members.length > 0 && (
        <small title={[...new Set(members.map(({ name }) => name))].join(", ")}>
          {t("channels.members", { count: members.length })}
        </small>
      )}
      <button
        type="button"
        className="chip-leave"
        aria-label={t("channels.unsubscribe", { channel })}
        onClick={() => desk.leave(channel)}
      >
        <Icon name="close" />
      </button>
    </li>
  );
}

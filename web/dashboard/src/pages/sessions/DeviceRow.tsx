import type { Device } from "@holdfast/client";
import { Button, Tooltip } from "antd";
import type { ReactNode } from "react";
import { Icon, type IconName } from "../../components/icons.js";
import { type Translate, useLanguage } from "../../i18n/language.js";
import { useNow } from "../../lib/clock.js";
import { deviceName } from "../../lib/device.js";
import { relative } from "../../lib/duration.js";

interface DeviceRowProps {
  readonly device: Device;
  readonly end: (device: Device, name: string) => void;
}

/** One session: what it is, where and since when, and the way to end it. */
export function DeviceRow({ device, end }: DeviceRowProps): ReactNode {
  const { t } = useLanguage();
  const name = nameOf(device, t);
  const label = t(device.current ? "sessions.end.this" : "sessions.end");
  return (
    <li className="device" data-current={device.current} data-session={device.id}>
      <span className="device-icon">
        <Icon name={iconOf(device)} />
      </span>
      <div className="device-name">
        <strong>{name}</strong>
        {device.current && <span className="tag">{t("sessions.this")}</span>}
        <span className="device-address">{device.address ?? "—"}</span>
      </div>
      <Times device={device} />
      <Button
        size="small"
        danger={!device.current}
        aria-label={`${label}: ${name}`}
        onClick={() => end(device, name)}
      >
        {label}
      </Button>
    </li>
  );
}

function Times({ device }: { readonly device: Device }): ReactNode {
  const { language, t } = useLanguage();
  const now = useNow() / 1000;
  const format = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
  const ago = (at: number): string => relative(language, at - now, t("sessions.now"));
  return (
    <dl className="device-times">
      <div>
        <dt>{t("sessions.since")}</dt>
        <dd>
          <Time at={device.created_at}>{format.format(device.created_at * 1000)}</Time>
        </dd>
      </div>
      <div>
        <dt>{t("sessions.seen")}</dt>
        <dd>
          <Time at={device.last_seen_at}>{ago(device.last_seen_at)}</Time>
        </dd>
      </div>
      <div>
        <dt>{t("sessions.until")}</dt>
        <dd>
          <Tooltip
            title={t("sessions.until.why", { date: format.format(device.absolute_expires_at * 1000) })}
          >
            <span>
              <Time at={device.idle_expires_at}>{ago(device.idle_expires_at)}</Time>
            </span>
          </Tooltip>
        </dd>
      </div>
    </dl>
  );
}

/** `at` is in seconds since 1970. */
function Time({ at, children }: { readonly at: number; readonly children: ReactNode }): ReactNode {
  return <time dateTime={new Date(at * 1000).toISOString()}>{children}</time>;
}

function nameOf({ client, user_agent }: Device, t: Translate): string {
  const { browser, system } = deviceName(user_agent);
  if (browser !== null && system !== null) return t("device.on", { browser, system });
  return browser ?? system ?? t(client === "program" ? "device.program" : "device.unknown");
}

function iconOf({ client, user_agent }: Device): IconName {
  if (client === "program") return "terminal";
  const { system } = deviceName(user_agent);
  return system === "iPhone" || system === "Android" ? "phone" : "laptop";
}

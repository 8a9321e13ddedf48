import type { Device } from "@holdfast/client";
import { App, Button, Skeleton } from "antd";
import { type ReactNode, useCallback } from "react";
import { useAsk } from "../../components/asking.js";
import { useHeld } from "../../components/held.js";
import { Failure, Stale } from "../../components/Notices.js";
import { PageHead } from "../../components/PageHead.js";
import { useLanguage } from "../../i18n/language.js";
import { ask } from "../../lib/ask.js";
import { type Polled, usePolled } from "../../lib/poll.js";
import { explain } from "../../lib/problem.js";
import { DeviceRow } from "./DeviceRow.js";
import "./sessions.css";

const EVERY = 10_000;

export function SessionsPage(): ReactNode {
  const { t } = useLanguage();
  const { session } = useHeld();
  const polled = usePolled<readonly Device[]>(
    useCallback(() => session.sessions(), [session]),
    EVERY,
  );
  const ending = useEnding(polled);
  const others = polled.data?.filter((device) => !device.current).length ?? 0;
  return (
    <>
      <PageHead title={t("sessions.title")} lead={t("sessions.lead")}>
        {others > 0 && (
          <Button danger onClick={() => ending.others(others)}>
            {t("sessions.endOthers")}
          </Button>
        )}
      </PageHead>
      {polled.data !== null && polled.error !== null && <Stale error={polled.error} />}
      <Devices polled={polled} end={ending.one} />
    </>
  );
}

interface DevicesProps {
  readonly polled: Polled<readonly Device[]>;
  readonly end: (device: Device, name: string) => void;
}

function Devices({ polled, end }: DevicesProps): ReactNode {
  const { t } = useLanguage();
  const { data, error, reload } = polled;
  if (data === null) {
    if (error !== null) return <Failure error={error} retry={reload} />;
    return (
      <div className="card devices-loading">
        <Skeleton active title={false} paragraph={{ rows: 4 }} />
      </div>
    );
  }
  const ordered = data.toSorted(
    (a, b) => Number(b.current) - Number(a.current) || b.last_seen_at - a.last_seen_at,
  );
  return (
    <section aria-label={t("sessions.title")}>
      <ul className="card devices">
        {ordered.map((device) => (
          <DeviceRow key={device.id} device={device} end={end} />
        ))}
      </ul>
      <p className="page-foot">
        {data.length === 1 ? t("sessions.only") : t("sessions.count", { count: data.length })}
      </p>
    </section>
  );
}

interface Ending {
  readonly one: (device: Device, name: string) => void;
  readonly others: (count: number) => void;
}

/** Ends sessions, each after a question. */
function useEnding({ reload }: Polled<readonly Device[]>): Ending {
  const { t } = useLanguage();
  const { session } = useHeld();
  const { message } = App.useApp();
  const question = useAsk();
  const confirm = (
    title: string,
    content: string,
    okText: string,
    act: () => Promise<unknown>,
    done: string,
  ): void => {
    const onOk = async (): Promise<void> => {
      try {
        await act();
        void message.success(done);
      } catch (error) {
        void message.error(explain(error, t));
      }
      reload();
    };
    question({ title, content, okText, onOk });
  };
  const one = (device: Device, name: string): void =>
    confirm(
      t("sessions.end.ask", { device: name }),
      t("sessions.end.what"),
      t(device.current ? "sessions.end.this" : "sessions.end"),
      () => session.endSession(device.id),
      t("sessions.ended"),
    );
  const others = (count: number): void =>
    confirm(
      t("sessions.endOthers.ask", { count }),
      t("sessions.end.what"),
      t("sessions.endOthers"),
      () => ask(session, "/auth/logout-everywhere", { method: "POST", json: { keep_this_session: true } }),
      t("sessions.othersEnded"),
    );
  return { one, others };
}

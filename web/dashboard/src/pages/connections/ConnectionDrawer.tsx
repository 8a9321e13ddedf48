import { Drawer, Skeleton } from "antd";
import { type ReactNode, useRef } from "react";
import { Notice } from "../../components/Notices.js";
import { useLanguage } from "../../i18n/language.js";
import type { Connection, Connections } from "../../lib/admin.js";
import { Actions } from "./Actions.js";
import { ConnectionFacts } from "./ConnectionFacts.js";
import { LeaseBar } from "./LeaseBar.js";
import { StateWord } from "./StateWord.js";
import { Timeline } from "./Timeline.js";

interface ConnectionDrawerProps {
  /** The connection to show; null shows none. */
  readonly id: string | null;
  readonly data: Connections | null;
  readonly at: number;
  readonly close: () => void;
  readonly changed: () => void;
}

interface Known {
  readonly connection: Connection;
  readonly now: number;
  readonly at: number;
}

export function ConnectionDrawer({ id, data, at, close, changed }: ConnectionDrawerProps): ReactNode {
  const { t } = useLanguage();
  const known = useRef<Known | null>(null);
  const found = data?.connections.find((one) => one.id === id);
  if (found !== undefined && data !== null) known.current = { connection: found, now: data.now, at };
  // While it slides out, what it showed is still seen.
  const shown = id === null || known.current?.connection.id === id ? known.current : null;
  const isGone = data !== null && found === undefined && id !== null;
  const title =
    shown === null ? t("connections.id") : t("connections.details", { user: shown.connection.user_name });
  return (
    <Drawer
      open={id !== null}
      onClose={close}
      title={title}
      size={480}
      closable={{ "aria-label": t("connections.close") }}
      footer={shown !== null && !isGone && <Actions connection={shown.connection} changed={changed} />}
    >
      {shown === null ? <Unknown isLoading={data === null} /> : <Contents known={shown} isGone={isGone} />}
    </Drawer>
  );
}

function Unknown({ isLoading }: { readonly isLoading: boolean }): ReactNode {
  const { t } = useLanguage();
  return isLoading ? <Skeleton active /> : <Notice title={t("connections.unknown")} />;
}

function Contents({ known, isGone }: { readonly known: Known; readonly isGone: boolean }): ReactNode {
  const { t } = useLanguage();
  const { connection, now, at } = known;
  return (
    <>
      {isGone ? (
        <p className="stale" role="status">
          {t("connections.gone")}
        </p>
      ) : (
        <div className="drawer-lease">
          <StateWord state={connection.state} />
          <LeaseBar connection={connection} now={now} at={at} />
        </div>
      )}
      <ConnectionFacts connection={connection} />
      <Timeline connection={connection} />
    </>
  );
}

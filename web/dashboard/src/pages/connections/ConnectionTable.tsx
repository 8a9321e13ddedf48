import { Table, type TableColumnsType } from "antd";
import { type ReactNode, useMemo } from "react";
import { useHeld } from "../../components/held.js";
import { Notice } from "../../components/Notices.js";
import { type Translate, useLanguage } from "../../i18n/language.js";
import type { Language } from "../../i18n/translate.js";
import type { Connection } from "../../lib/admin.js";
import { useNow } from "../../lib/clock.js";
import { deviceName } from "../../lib/device.js";
import { span } from "../../lib/duration.js";
import { follow, pathTo } from "../../lib/route.js";
import { LeaseBar } from "./LeaseBar.js";
import { StateWord } from "./StateWord.js";
import { carrierWord } from "./words.js";

const PAGE = 50;

interface ConnectionTableProps {
  readonly all: readonly Connection[];
  readonly shown: readonly Connection[];
  readonly now: number;
  readonly at: number;
  readonly open: (id: string) => void;
}

export function ConnectionTable({ all, shown, now, at, open }: ConnectionTableProps): ReactNode {
  const { language, t } = useLanguage();
  const { live } = useHeld();
  const columns = useMemo(
    () => columnsOf({ now, at, mine: live.connection, language, t }),
    [now, at, live.connection, language, t],
  );
  const empty =
    all.length === 0 ? (
      <Notice title={t("connections.empty")} lead={t("connections.empty.lead")} />
    ) : (
      <Notice title={t("connections.empty.filter")} />
    );
  return (
    <Table<Connection>
      className="card connections"
      size="small"
      rowKey="id"
      columns={columns}
      dataSource={[...shown]}
      locale={{ emptyText: empty }}
      scroll={{ x: "max-content" }}
      pagination={shown.length > PAGE ? { pageSize: PAGE, size: "small", showSizeChanger: false } : false}
      onRow={({ id }) => ({ onClick: () => open(id), className: "connection-row" })}
    />
  );
}

interface ColumnFacts {
  readonly now: number;
  readonly at: number;
  readonly mine: string | null;
  readonly language: Language;
  readonly t: Translate;
}

function columnsOf({ now, at, mine, t }: ColumnFacts): TableColumnsType<Connection> {
  return [
    {
      title: t("connections.user"),
      key: "user",
      sorter: (a, b) => a.user_name.localeCompare(b.user_name),
      render: (_, one) => <UserCell connection={one} isMine={one.id === mine} />,
    },
    {
      title: t("connections.state"),
      key: "state",
      sorter: (a, b) => a.state.localeCompare(b.state),
      render: (_, { state }) => <StateWord state={state} />,
    },
    {
      title: t("connections.lease"),
      key: "lease",
      sorter: (a, b) => a.expires_in - b.expires_in,
      render: (_, one) => <LeaseBar connection={one} now={now} at={at} />,
    },
    {
      title: t("connections.since"),
      key: "since",
      align: "right",
      sorter: (a, b) => b.connected_at - a.connected_at,
      render: (_, { connected_at }) => <Since seconds={now - connected_at} at={at} />,
    },
    { title: t("connections.carrier"), key: "carrier", render: (_, { carrier }) => carrierWord(carrier, t) },
    {
      title: t("connections.address"),
      key: "address",
      render: (_, { address }) => <code>{address ?? "—"}</code>,
    },
    { title: t("connections.path"), key: "path", render: (_, { path }) => <code>{path}</code> },
    {
      title: t("connections.client"),
      key: "client",
      render: (_, one) => deviceName(one.user_agent).browser ?? "—",
    },
  ];
}

function UserCell({
  connection,
  isMine,
}: {
  readonly connection: Connection;
  readonly isMine: boolean;
}): ReactNode {
  const { t } = useLanguage();
  return (
    <span className="user-cell">
      <a
        href={pathTo("connections", connection.id)}
        aria-label={t("connections.open", { user: connection.user_name })}
        onClick={(event) => {
          event.stopPropagation();
          follow(event);
        }}
      >
        {connection.user_name}
      </a>
      {isMine && <span className="tag">{t("connections.this")}</span>}
    </span>
  );
}

function Since({ seconds, at }: { readonly seconds: number; readonly at: number }): ReactNode {
  const { language } = useLanguage();
  return span(language, seconds + Math.max(0, (useNow() - at) / 1000));
}

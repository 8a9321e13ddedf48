import { Segmented, Skeleton } from "antd";
import { type ReactNode, useCallback, useDeferredValue, useState } from "react";
import { FilterInput } from "../../components/FilterInput.js";
import { useHeld } from "../../components/held.js";
import { Failure, Stale } from "../../components/Notices.js";
import { PageHead } from "../../components/PageHead.js";
import { useLanguage } from "../../i18n/language.js";
import { type Connections, connections } from "../../lib/admin.js";
import { usePolled } from "../../lib/poll.js";
import { go, pathTo } from "../../lib/route.js";
import { ConnectionDrawer } from "./ConnectionDrawer.js";
import { ConnectionTable } from "./ConnectionTable.js";
import { type Chosen, chosen, STATES, type StateChoice } from "./choice.js";
import "./connections.css";

const EVERY = 2_000;

/** Every live connection of this process; `opened` is the one that the address names. */
export function ConnectionsPage({ opened }: { readonly opened: string | null }): ReactNode {
  const { t } = useLanguage();
  const { session } = useHeld();
  const polled = usePolled<Connections>(
    useCallback((signal: AbortSignal) => connections(session, signal), [session]),
    EVERY,
  );
  const { data, error, at, reload } = polled;
  const [filter, setFilter] = useState<Chosen>({ state: "all", text: "" });
  const wanted = useDeferredValue(filter);
  const open = (id: string | null): void =>
    go(id === null ? pathTo("connections") : pathTo("connections", id));
  if (data === null && error !== null) return <Failure error={error} retry={reload} />;
  return (
    <>
      <PageHead title={t("connections.title")} lead={t("connections.lead")}>
        {data !== null && <code className="node">{t("connections.node", { node: data.node })}</code>}
      </PageHead>
      {data !== null && error !== null && <Stale error={error} />}
      <Filter filter={filter} change={setFilter} count={data?.connections.length ?? null} />
      {data === null ? (
        <div className="card table-loading">
          <Skeleton active title={false} paragraph={{ rows: 6 }} />
        </div>
      ) : (
        <ConnectionTable
          all={data.connections}
          shown={chosen(data.connections, wanted)}
          now={data.now}
          at={at}
          open={open}
        />
      )}
      <ConnectionDrawer id={opened} data={data} at={at} close={() => open(null)} changed={reload} />
    </>
  );
}

interface FilterProps {
  readonly filter: Chosen;
  readonly change: (filter: Chosen) => void;
  readonly count: number | null;
}

function Filter({ filter, change, count }: FilterProps): ReactNode {
  const { t } = useLanguage();
  const options = STATES.map((value) => ({ value, label: t(`connections.state.${value}`) }));
  return (
    <div className="filter">
      <Segmented<StateChoice>
        aria-label={t("connections.state")}
        options={options}
        value={filter.state}
        onChange={(state) => change({ ...filter, state })}
        size="small"
      />
      <FilterInput
        className="filter-text"
        label={t("connections.search")}
        text={filter.text}
        change={(text) => change({ ...filter, text })}
      />
      {count !== null && (
        <span className="filter-count" role="status">
          {t("connections.count", { count })}
        </span>
      )}
    </div>
  );
}

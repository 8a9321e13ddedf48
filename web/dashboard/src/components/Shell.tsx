import { Skeleton } from "antd";
import { lazy, type ReactNode, Suspense, useEffect, useRef } from "react";
import { useLanguage } from "../i18n/language.js";
import { explainEnding } from "../lib/ending.js";
import { type Page, type Route, useRoute } from "../lib/route.js";
import { AuthHeader } from "./AuthHeader.js";
import { ErrorBoundary } from "./ErrorBoundary.js";
import { useHeld } from "./held.js";
import { ForAdmins, NoSuchPage } from "./Notices.js";

const LivePage = lazy(() => import("../pages/live/LivePage.js").then((it) => ({ default: it.LivePage })));
const JobsPage = lazy(() => import("../pages/jobs/JobsPage.js").then((it) => ({ default: it.JobsPage })));
const SessionsPage = lazy(() =>
  import("../pages/sessions/SessionsPage.js").then((it) => ({ default: it.SessionsPage })),
);
const ConnectionsPage = lazy(() =>
  import("../pages/connections/ConnectionsPage.js").then((it) => ({ default: it.ConnectionsPage })),
);
const OverviewPage = lazy(() =>
  import("../pages/overview/OverviewPage.js").then((it) => ({ default: it.OverviewPage })),
);

const ADMINS_ONLY: ReadonlySet<Page> = new Set(["connections", "overview"]);

/** The header, and below it the page that the address names. */
export function Shell(): ReactNode {
  const { t } = useLanguage();
  const { hold, live, connect, isAdmin } = useHeld();
  const route = useRoute();
  const main = useArrival(route);
  return (
    <div className="app">
      <a className="skip" href="#page" onClick={(event) => skip(event, main.current)}>
        {t("app.skip")}
      </a>
      <AuthHeader hold={hold} why={live.ending && explainEnding(live.ending, t)} connect={connect} />
      <main className="page" id="page" ref={main} tabIndex={-1}>
        <ErrorBoundary key={route.page}>
          <Suspense fallback={<Skeleton active title paragraph={{ rows: 6 }} />}>
            {contents(route, isAdmin)}
          </Suspense>
        </ErrorBoundary>
      </main>
    </div>
  );
}

function contents({ page, item, path }: Route, isAdmin: boolean): ReactNode {
  if (page === null) return <NoSuchPage path={path} />;
  if (ADMINS_ONLY.has(page) && !isAdmin) return <ForAdmins />;
  switch (page) {
    case "live":
      return <LivePage />;
    case "jobs":
      return <JobsPage opened={item} />;
    case "sessions":
      return <SessionsPage />;
    case "connections":
      return <ConnectionsPage opened={item} />;
    case "overview":
      return <OverviewPage />;
  }
}

/** Names the tab, and brings the focus along when the person has gone to another page. */
function useArrival({ page }: Route) {
  const { t } = useLanguage();
  const main = useRef<HTMLElement>(null);
  const before = useRef(page);
  useEffect(() => {
    document.title = page === null ? t("app.name") : `${t(`nav.${page}`)} · ${t("app.name")}`;
  }, [page, t]);
  useEffect(() => {
    if (before.current !== page) main.current?.focus({ preventScroll: true });
    before.current = page;
  }, [page]);
  return main;
}

/** A link to #page would change the address, which says what page this is. */
function skip(event: { preventDefault: () => void }, main: HTMLElement | null): void {
  event.preventDefault();
  main?.focus();
}

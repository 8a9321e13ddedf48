import { Button } from "antd";
import type { ReactNode } from "react";
import { useLanguage } from "../i18n/language.js";
import { explain } from "../lib/problem.js";
import { go, pathTo } from "../lib/route.js";

interface NoticeProps {
  readonly title: string;
  readonly lead?: string;
  readonly action?: ReactNode;
  readonly level?: 1 | 2;
}

/** What stands where there is nothing to show: why, and what to do about it. */
export function Notice({ title, lead, action, level = 2 }: NoticeProps): ReactNode {
  const Heading = `h${level}` as const;
  return (
    <div className="notice">
      <Heading>{title}</Heading>
      {lead !== undefined && <p>{lead}</p>}
      {action}
    </div>
  );
}

export function NoSuchPage({ path }: { readonly path: string }): ReactNode {
  const { t } = useLanguage();
  const home = <Button onClick={() => go(pathTo("live"))}>{t("error.page.home")}</Button>;
  return (
    <Notice level={1} title={t("error.page.title")} lead={t("error.page.lead", { path })} action={home} />
  );
}

export function ForAdmins(): ReactNode {
  const { t } = useLanguage();
  return <Notice level={1} title={t("error.admins")} lead={t("error.admins.lead")} />;
}

export function Crashed(): ReactNode {
  const { t } = useLanguage();
  const reload = <Button onClick={() => location.reload()}>{t("error.crash.reload")}</Button>;
  return <Notice level={1} title={t("error.crash.title")} lead={t("error.crash.lead")} action={reload} />;
}

interface FailureProps {
  readonly error: unknown;
  readonly retry: () => void;
}

/** Nothing could be loaded at all. */
export function Failure({ error, retry }: FailureProps): ReactNode {
  const { t } = useLanguage();
  const again = <Button onClick={retry}>{t("error.retry")}</Button>;
  return (
    <div role="alert">
      <Notice title={t("error.load")} lead={explain(error, t)} action={again} />
    </div>
  );
}

/** What is shown is from before: the newest could not be loaded. */
export function Stale({ error }: { readonly error: unknown }): ReactNode {
  const { t } = useLanguage();
  return (
    <p className="stale" role="status">
      {t("error.stale", { why: explain(error, t) })}
    </p>
  );
}

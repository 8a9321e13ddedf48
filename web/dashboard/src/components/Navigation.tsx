import type { ReactNode } from "react";
import { useLanguage } from "../i18n/language.js";
import { follow, type Page, pathTo, useRoute } from "../lib/route.js";

const FOR_ALL: readonly Page[] = ["live", "jobs", "sessions"];
const FOR_ADMINS: readonly Page[] = ["connections", "overview"];

export function Navigation({ isAdmin }: { readonly isAdmin: boolean }): ReactNode {
  const { t } = useLanguage();
  const { page: present } = useRoute();
  const pages = isAdmin ? [...FOR_ALL, ...FOR_ADMINS] : FOR_ALL;
  return (
    <nav className="nav" aria-label={t("app.pages")}>
      {pages.map((page) => (
        <a
          key={page}
          href={pathTo(page)}
          onClick={follow}
          aria-current={page === present ? "page" : undefined}
        >
          {t(`nav.${page}`)}
        </a>
      ))}
    </nav>
  );
}

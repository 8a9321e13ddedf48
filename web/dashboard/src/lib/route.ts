/** Where the person is: the address is the truth, so that a page can be linked to, reloaded and left by Back. */

import { type MouseEvent, useSyncExternalStore } from "react";

export const PAGES = ["live", "jobs", "sessions", "connections", "overview"] as const;
export type Page = (typeof PAGES)[number];

export interface Route {
  /** null is an address that leads nowhere. */
  readonly page: Page | null;
  /** What follows the page in the address: the id of a job or a connection. */
  readonly item: string | null;
  readonly path: string;
}

const WITH_ITEMS: ReadonlySet<Page> = new Set(["jobs", "connections"]);
const listeners = new Set<() => void>();
let present: Route | null = null;

export function routeOf(path: string): Route {
  const [first = "", item = "", ...more] = path.split("/").filter((part) => part !== "");
  const page = first === "" ? "live" : PAGES.find((known) => known === first);
  const leads = page !== undefined && more.length === 0 && (item === "" || WITH_ITEMS.has(page));
  return { page: leads ? page : null, item: leads && item !== "" ? unescaped(item) : null, path };
}

export function pathTo(page: Page, item?: string): string {
  return item === undefined ? `/${page}` : `/${page}/${encodeURIComponent(item)}`;
}

export function go(path: string): void {
  if (path === location.pathname) return;
  history.pushState(null, "", path);
  moved();
}

export function useRoute(): Route {
  return useSyncExternalStore(subscribe, current);
}

/** For a link that stays within the page; a click that means another tab is left alone. */
export function follow(event: MouseEvent<HTMLAnchorElement>): void {
  if (event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(event.currentTarget.pathname);
}

function current(): Route {
  if (present?.path !== location.pathname) present = routeOf(location.pathname);
  return present;
}

function subscribe(listener: () => void): () => void {
  if (listeners.size === 0) addEventListener("popstate", moved);
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) removeEventListener("popstate", moved);
  };
}

function moved(): void {
  for (const listener of [...listeners]) listener();
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * The header: who is signed in, how well their connection is held, and everything that has to do with it.
 *
 * It never lets go of the page. When the session is over it asks for a sign-in over what is there; nothing is reloaded.
 */

import { useSession } from "@holdfast/client/react";
import { App, Button, Tooltip } from "antd";
import { type ReactNode, useState } from "react";
import { useLanguage } from "../i18n/language.js";
import type { Hold } from "../lib/hold.js";
import { explain } from "../lib/problem.js";
import { follow } from "../lib/route.js";
import { ConnectionState } from "./ConnectionState.js";
import { Icon, Mark } from "./icons.js";
import { useLingering } from "./lingering.js";
import { Navigation } from "./Navigation.js";
import { SignInAgain } from "./SignInAgain.js";
import { LanguageSwitch, ThemeSwitch } from "./Switches.js";
import { UserMenu } from "./UserMenu.js";

export interface AuthHeaderProps {
  readonly hold: Hold;
  /** Why the last connection was ended, in words for the person. */
  readonly why?: string | null;
  /** Open a connection that was stopped for good once more. */
  readonly connect?: () => void;
}

export function AuthHeader({ hold, why = null, connect }: AuthHeaderProps): ReactNode {
  const { t } = useLanguage();
  const { status, user, refreshAt } = useSession();
  const shown = useLingering(hold);
  const isIn = user !== null && status !== "signed_out";
  return (
    <header className="header">
      <a className="brand" href="/live" onClick={follow} aria-label={t("app.name")}>
        <Mark />
        <span className="brand-name">{t("app.name")}</span>
      </a>
      {isIn && <Navigation isAdmin={user.roles.includes("admin")} />}
      <div className="header-state">
        <ConnectionState hold={shown} refreshAt={refreshAt} />
        {hold.kind === "stopped" && connect !== undefined && (
          <Button size="small" onClick={connect}>
            {t("hold.connect")}
          </Button>
        )}
        {isIn && status !== "ended" && <RefreshNow />}
      </div>
      <div className="header-tools">
        <LanguageSwitch />
        <ThemeSwitch />
        {isIn && <UserMenu user={user} />}
      </div>
      <SignInAgain why={why} />
    </header>
  );
}

/** A new token now, without reloading the page. */
function RefreshNow(): ReactNode {
  const { t } = useLanguage();
  const { message } = App.useApp();
  const refreshing = useRefreshToken();
  const press = async (): Promise<void> => {
    try {
      await refreshing.refreshToken();
      void message.success(t("refresh.done"), 2);
    } catch (error) {
      void message.warning(t("refresh.failed", { why: explain(error, t) }), 4);
    }
  };
  return (
    <Tooltip title={t("refresh.now")}>
      <Button
        type="text"
        className="tool"
        aria-label={t("refresh.now")}
        disabled={refreshing.busy}
        icon={<Icon name="refresh" />}
        onClick={() => void press()}
      />
    </Tooltip>
  );
}

function useRefreshToken(): { readonly busy: boolean; readonly refreshToken: () => Promise<void> } {
  const { session } = useSession();
  const [busy, setBusy] = useState(false);
  const refreshToken = async (): Promise<void> => {
    setBusy(true);
    try {
      await session.refreshToken();
    } finally {
      setBusy(false);
    }
  };
  return { busy, refreshToken };
}

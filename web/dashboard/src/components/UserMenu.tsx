import type { User } from "@holdfast/client";
import { useSession } from "@holdfast/client/react";
import { App } from "antd";
import type { ReactNode } from "react";
import { useLanguage } from "../i18n/language.js";
import { explain } from "../lib/problem.js";
import { useAsk } from "./asking.js";
import { Icon } from "./icons.js";
import { MenuButton } from "./MenuButton.js";

export function UserMenu({ user }: { readonly user: User }): ReactNode {
  const { t } = useLanguage();
  const leave = useLeave();
  const items = [
    { key: "who", type: "group" as const, label: <Who user={user} /> },
    { key: "line", type: "divider" as const },
    { key: "here", icon: <Icon name="logout" />, label: t("user.logout"), onClick: leave.here },
    {
      key: "all",
      icon: <Icon name="devices" />,
      label: t("user.logoutEverywhere"),
      onClick: leave.everywhere,
    },
  ];
  return (
    <MenuButton
      menu={{ items }}
      placement="bottomRight"
      className="tool tool-user"
      aria-label={t("user.menu", { name: user.name })}
    >
      <span className="avatar" aria-hidden="true" data-letter={[...user.name][0]?.toUpperCase()} />
      <span className="user-name">{user.name}</span>
    </MenuButton>
  );
}

function Who({ user }: { readonly user: User }): ReactNode {
  const { t } = useLanguage();
  return (
    <span className="who">
      <span>{t("user.signedInAs")}</span>
      <strong>{user.name}</strong>
      <span>
        {user.roles.length === 0 ? t("user.noRoles") : t("user.roles", { roles: user.roles.join(", ") })}
      </span>
    </span>
  );
}

function useLeave(): { readonly here: () => void; readonly everywhere: () => void } {
  const { t } = useLanguage();
  const { session } = useSession();
  const { message } = App.useApp();
  const ask = useAsk();
  const here = (): void => {
    // It takes effect here at once; only that the server knows may fail.
    session.logout().catch((error: unknown) => {
      void message.warning(t("user.logoutFailed", { why: explain(error, t) }), 6);
    });
  };
  const everywhere = (): void => {
    ask({
      title: t("user.logoutEverywhere.ask"),
      content: t("user.logoutEverywhere.what"),
      okText: t("user.logoutEverywhere"),
      onOk: () =>
        session.logout({ everywhere: true }).catch((error: unknown) => {
          void message.error(explain(error, t));
        }),
    });
  };
  return { here, everywhere };
}

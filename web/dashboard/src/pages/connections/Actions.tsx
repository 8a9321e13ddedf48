import { App, Button, Popconfirm } from "antd";
import { type ReactNode, useState } from "react";
import { useHeld } from "../../components/held.js";
import { Icon } from "../../components/icons.js";
import { useLanguage } from "../../i18n/language.js";
import { type Connection, disconnect } from "../../lib/admin.js";
import { explain } from "../../lib/problem.js";
import { RevokeDialog } from "./RevokeDialog.js";

interface ActionsProps {
  readonly connection: Connection;
  readonly changed: () => void;
}

/** What an administrator can do to a connection. */
export function Actions({ connection, changed }: ActionsProps): ReactNode {
  const { t } = useLanguage();
  const { session } = useHeld();
  const { message } = App.useApp();
  const [isRevoking, setRevoking] = useState(false);
  const cut = async (): Promise<void> => {
    try {
      await disconnect(session, connection.id);
      void message.success(t("connections.disconnected"));
    } catch (error) {
      void message.error(explain(error, t));
    }
    changed();
  };
  return (
    <div className="drawer-actions">
      <Popconfirm
        title={t("connections.disconnect.ask", { user: connection.user_name })}
        description={t("connections.disconnect.what")}
        okText={t("connections.disconnect")}
        cancelText={t("connections.revoke.cancel")}
        onConfirm={cut}
        icon={null}
        styles={{ root: { maxWidth: 300 } }}
      >
        <Button icon={<Icon name="unlink" />}>{t("connections.disconnect")}</Button>
      </Popconfirm>
      <Button danger icon={<Icon name="ban" />} onClick={() => setRevoking(true)}>
        {t("connections.revoke")}
      </Button>
      <RevokeDialog
        connection={connection}
        isOpen={isRevoking}
        close={() => setRevoking(false)}
        changed={changed}
      />
    </div>
  );
}

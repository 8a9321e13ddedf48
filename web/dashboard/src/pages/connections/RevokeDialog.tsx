import { Alert, App, Input, Modal, Radio } from "antd";
import { type ReactNode, useId, useState } from "react";
import { useHeld } from "../../components/held.js";
import { useLanguage } from "../../i18n/language.js";
import { type Connection, type Revocation, revoke } from "../../lib/admin.js";
import { explain } from "../../lib/problem.js";

/** The server's limit: what a close frame has room for. */
const MAX_REASON = 60;

type Scope = "session" | "user";

interface RevokeDialogProps {
  readonly connection: Connection;
  readonly isOpen: boolean;
  readonly close: () => void;
  readonly changed: () => void;
}

export function RevokeDialog({ connection, isOpen, close, changed }: RevokeDialogProps): ReactNode {
  const { t } = useLanguage();
  const { user } = useHeld();
  const id = useId();
  const [scope, setScope] = useState<Scope>(connection.session === null ? "user" : "session");
  const [reason, setReason] = useState("");
  const revoking = useRevoking(() => {
    close();
    changed();
  });
  const name = connection.user_name;
  return (
    <Modal
      open={isOpen}
      title={t("connections.revoke.title", { user: name })}
      onCancel={close}
      onOk={() => void revoking.revoke(whatEnds(connection, scope, reason))}
      okText={t("connections.revoke.submit")}
      cancelText={t("connections.revoke.cancel")}
      okButtonProps={{ danger: true, type: "primary" }}
      confirmLoading={revoking.busy}
      destroyOnHidden
      width={440}
    >
      <Radio.Group
        className="scope"
        aria-label={t("connections.revoke.scope")}
        value={scope}
        onChange={(event) => setScope(event.target.value as Scope)}
      >
        <Choice value="session" name={name} disabled={connection.session === null} />
        <Choice value="user" name={name} />
      </Radio.Group>
      <label htmlFor={id}>{t("connections.revoke.reason")}</label>
      <Input
        id={id}
        maxLength={MAX_REASON}
        value={reason}
        onChange={(event) => setReason(event.target.value)}
        aria-describedby={`${id}-hint`}
      />
      <p className="hint" id={`${id}-hint`}>
        {t("connections.revoke.reason.hint", { user: name })}
      </p>
      {connection.user === user.id && <Alert type="warning" title={t("connections.yourself")} />}
    </Modal>
  );
}

interface ChoiceProps {
  readonly value: Scope;
  readonly name: string;
  readonly disabled?: boolean;
}

function Choice({ value, name, disabled = false }: ChoiceProps): ReactNode {
  const { t } = useLanguage();
  return (
    <Radio value={value} disabled={disabled}>
      <span className="choice">
        <strong>{t(`connections.revoke.${value}`, { user: name })}</strong>
        <small>{t(`connections.revoke.${value}.what`)}</small>
      </span>
    </Radio>
  );
}

function whatEnds(connection: Connection, scope: Scope, reason: string): Revocation {
  const told = reason.trim() === "" ? {} : { reason: reason.trim() };
  const { session, user } = connection;
  return scope === "session" && session !== null ? { session, ...told } : { user, ...told };
}

function useRevoking(done: () => void): {
  readonly busy: boolean;
  readonly revoke: (what: Revocation) => Promise<void>;
} {
  const { t } = useLanguage();
  const { session } = useHeld();
  const { message } = App.useApp();
  const [busy, setBusy] = useState(false);
  const end = async (what: Revocation): Promise<void> => {
    setBusy(true);
    try {
      await revoke(session, what);
      void message.success(t("connections.revoked"));
      done();
    } catch (error) {
      void message.error(explain(error, t));
    } finally {
      setBusy(false);
    }
  };
  return { busy, revoke: end };
}

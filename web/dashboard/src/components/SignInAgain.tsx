import { useSession } from "@holdfast/client/react";
import { Button, type InputRef, Modal } from "antd";
import { type ReactNode, useRef } from "react";
import { type Translate, useLanguage } from "../i18n/language.js";
import { SignInForm } from "./SignInForm.js";

/** Above whatever else may be open: dialogs, menus, tooltips, messages. */
const ABOVE = 3000;

/** Over the page, when its session is over: the page and what was typed in it stay as they are. */
export function SignInAgain({ why }: { readonly why: string | null }): ReactNode {
  const { t } = useLanguage();
  const { status, user, reason, session } = useSession();
  const name = user?.name ?? "";
  const password = useRef<InputRef>(null);
  // The dialog takes the focus for itself when it opens.
  const opened = (isOpen: boolean): void => {
    if (isOpen) password.current?.focus();
  };
  return (
    <Modal
      open={status === "ended"}
      title={t("signIn.again.title")}
      footer={null}
      closable={false}
      keyboard={false}
      mask={{ closable: false, blur: false }}
      destroyOnHidden
      zIndex={ABOVE}
      afterOpenChange={opened}
      width={400}
      centered
    >
      <p className="sign-in-lead">{t("signIn.again.lead")}</p>
      {explanation(reason, why, t)}
      <SignInForm name={name} passwordField={password} />
      <p className="sign-in-other">
        {t("signIn.again.other", { name })}{" "}
        <Button type="link" size="small" onClick={() => void session.logout().catch(() => undefined)}>
          {t("signIn.again.leave")}
        </Button>
      </p>
    </Modal>
  );
}

function explanation(reason: string | null, why: string | null, t: Translate): ReactNode {
  if (reason === "token_reused") return <p className="sign-in-why">{t("signIn.why.token_reused")}</p>;
  if (why !== null && why !== "") return <p className="sign-in-why">{t("signIn.why.ended", { why })}</p>;
  return null;
}

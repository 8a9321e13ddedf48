import { useSession } from "@holdfast/client/react";
import { App, type ModalFuncProps } from "antd";
import { useCallback, useEffect, useRef } from "react";
import { useLanguage } from "../i18n/language.js";

export interface Question {
  readonly title: string;
  readonly content: string;
  readonly okText: string;
  readonly onOk: () => Promise<unknown>;
}

/**
 * Ask before something is done that cannot be undone.
 *
 * Ant Design shows the question above the whole page, so it would outlive who was asked. It goes away with the component
 * that asked, and when the session is over: nobody is there any more to say yes.
 */
export function useAsk(): (question: Question) => void {
  const { t } = useLanguage();
  const { status } = useSession();
  const { modal } = App.useApp();
  const open = useRef(new Set<() => void>());
  const withdraw = useCallback(() => {
    for (const close of [...open.current]) close();
    open.current.clear();
  }, []);
  useEffect(() => withdraw, [withdraw]);
  useEffect(() => {
    if (status === "ended") withdraw();
  }, [status, withdraw]);
  return (question) => {
    const common: ModalFuncProps = {
      icon: null,
      okButtonProps: { danger: true },
      cancelText: t("connections.revoke.cancel"),
    };
    const { destroy } = modal.confirm({
      ...common,
      ...question,
      afterClose: () => open.current.delete(destroy),
    });
    open.current.add(destroy);
  };
}

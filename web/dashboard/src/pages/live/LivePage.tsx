import type { ReactNode } from "react";
import { PageHead } from "../../components/PageHead.js";
import { useLanguage } from "../../i18n/language.js";
import { ChannelBar } from "./ChannelBar.js";
import { Facts } from "./Facts.js";
import { Messages } from "./Messages.js";
import { SendForm } from "./SendForm.js";
import "./live.css";

export function LivePage(): ReactNode {
  const { t } = useLanguage();
  return (
    <>
      <PageHead title={t("live.title")} lead={t("live.lead")} />
      <Facts />
      <ChannelBar />
      <div className="live">
        <Messages />
        <SendForm />
      </div>
    </>
  );
}

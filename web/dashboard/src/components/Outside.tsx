import { useSession } from "@holdfast/client/react";
import { Spin } from "antd";
import { type ReactNode, useEffect } from "react";
import { useLanguage } from "../i18n/language.js";
import type { Hold } from "../lib/hold.js";
import { AuthHeader } from "./AuthHeader.js";
import { Mark } from "./icons.js";
import { SignInForm } from "./SignInForm.js";

/** What is there before anybody is: the way in. */
export function Outside(): ReactNode {
  const { t } = useLanguage();
  const { status, reason, refreshAt } = useSession();
  useEffect(() => {
    document.title = t("app.name");
  }, [t]);
  return (
    <div className="app">
      <AuthHeader hold={holdOutside(status, refreshAt)} />
      <main className="outside" id="page">
        {status === "signed_out" ? (
          <section className="card sign-in-card" aria-labelledby="sign-in-title">
            <Mark />
            <h1 id="sign-in-title">{t("signIn.title")}</h1>
            <p className="sign-in-lead">{t("signIn.lead")}</p>
            {reason === "other_tab" && <p className="sign-in-why">{t("signIn.why.other_tab")}</p>}
            <SignInForm />
          </section>
        ) : (
          <section className="restoring" aria-busy="true">
            <Spin />
            <p role="status">{t(status === "degraded" ? "signIn.unreachable" : "signIn.restoring")}</p>
          </section>
        )}
      </main>
    </div>
  );
}

function holdOutside(status: string, refreshAt: number | null): Hold {
  if (status === "signed_out") return { kind: "signedOut" };
  return status === "degraded" ? { kind: "offline", until: refreshAt } : { kind: "connecting" };
}

import type { Session } from "@holdfast/client";
import { HoldfastProvider, useSession } from "@holdfast/client/react";
import { App } from "antd";
import { type ReactNode, useEffect } from "react";
import { HeldProvider } from "./components/held.js";
import { Outside } from "./components/Outside.js";
import { Shell } from "./components/Shell.js";
import { LanguageProvider } from "./i18n/language.js";
import { ThemeProvider } from "./theme.js";

export function Root({ session }: { readonly session: Session }): ReactNode {
  return (
    <LanguageProvider>
      <ThemeProvider>
        <HoldfastProvider session={session}>
          <Whoever />
        </HoldfastProvider>
      </ThemeProvider>
    </LanguageProvider>
  );
}

/** The page of whoever is there. Another person gets another page: nothing of the first is left in it. */
function Whoever(): ReactNode {
  const { status, user } = useSession();
  const { message } = App.useApp();
  const id = user?.id;
  // biome-ignore lint/correctness/useExhaustiveDependencies: each person's messages go with them
  useEffect(() => () => message.destroy(), [id, message]);
  if (user === null || status === "signed_out") return <Outside />;
  return (
    <HeldProvider key={user.id} user={user}>
      <Shell />
    </HeldProvider>
  );
}

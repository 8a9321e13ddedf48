import type { ReactNode } from "react";
import { useLanguage } from "../../i18n/language.js";
import type { Tone } from "../../lib/hold.js";

const STATES = {
  ready: "good",
  due: "busy",
  grace: "warn",
  proving: "busy",
  ended: "off",
} as const satisfies Record<string, Tone>;

/** A connection's state in a word and a colour. */
export function StateWord({ state }: { readonly state: string }): ReactNode {
  const { t } = useLanguage();
  const known = isKnown(state) ? state : null;
  return (
    <span className="state" data-tone={known === null ? "off" : STATES[known]}>
      {known === null ? state : t(`connections.state.${known}`)}
    </span>
  );
}

function isKnown(state: string): state is keyof typeof STATES {
  return state in STATES;
}

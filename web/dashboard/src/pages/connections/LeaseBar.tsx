import type { ReactNode } from "react";
import { useLanguage } from "../../i18n/language.js";
import type { Connection } from "../../lib/admin.js";
import { useNow } from "../../lib/clock.js";
import { span } from "../../lib/duration.js";
import { leaseOf } from "../../lib/lease.js";

interface LeaseBarProps {
  readonly connection: Connection;
  /** The server's clock when it answered. */
  readonly now: number;
  /** When the answer came, by `Date.now()`. */
  readonly at: number;
}

/** What is left of a lease, counting down; the bar moves smoothly between the ticks. */
export function LeaseBar({ connection, now, at }: LeaseBarProps): ReactNode {
  const { language, t } = useLanguage();
  const age = Math.max(0, (useNow() - at) / 1000);
  const { left, endsIn, share, phase } = leaseOf(connection, now, age);
  const words = {
    held: () => span(language, left),
    grace: () => t("connections.lease.grace", { left: span(language, endsIn) }),
    over: () => t("connections.lease.over"),
  }[phase]();
  return (
    <div className="lease" data-phase={phase} data-state={connection.state}>
      <span className="lease-words">{words}</span>
      <span className="lease-track" aria-hidden="true">
        <span className="lease-left" style={{ transform: `scaleX(${share.toFixed(4)})` }} />
      </span>
    </div>
  );
}

/** What every page may know: who is there, how this page is held, and what has come over its socket. */

import type { Session, User } from "@holdfast/client";
import { useSession } from "@holdfast/client/react";
import {
  createContext,
  type ReactNode,
  type RefObject,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { channelsIn } from "../lib/channel.js";
import { Desk } from "../lib/desk.js";
import { type Hold, holdOf } from "../lib/hold.js";
import { type Holding, useHolding } from "../lib/holding.js";
import { type Line, useLine } from "../lib/line.js";
import { MessageLog } from "../lib/log.js";

const PATH = "/ws";

export interface Held {
  readonly session: Session;
  readonly user: User;
  readonly isAdmin: boolean;
  readonly hold: Hold;
  readonly live: Line;
  readonly log: MessageLog;
  /** The channels of the Live page. */
  readonly desk: Desk;
  readonly holding: Holding;
  /** What is being written on pages that are not shown just now. */
  readonly drafts: RefObject<Map<string, string>>;
  /** Open a connection that was stopped for good once more. */
  readonly connect: () => void;
}

const HeldContext = createContext<Held | null>(null);

/** Holds the page's one connection, for as long as the same person is there. */
export function HeldProvider({
  user,
  children,
}: {
  readonly user: User;
  readonly children: ReactNode;
}): ReactNode {
  const state = useSession();
  const [again, setAgain] = useState(0);
  const [log] = useState(() => new MessageLog(nextFrame));
  const live = useLine(state.session, again === 0 ? PATH : `${PATH}?again=${again}`, (message) => {
    log.add({ at: Date.now(), kind: "in", text: JSON.stringify(message), data: message });
  });
  const [desk] = useState(() => new Desk(log, channelsIn(location.search)));
  useEffect(() => {
    desk.attach(live.live);
    return () => desk.attach(null);
  }, [desk, live.live]);
  const holding = useHolding(state, live, log);
  const drafts = useRef(new Map<string, string>());
  const held = useMemo<Held>(
    () => ({
      session: state.session,
      user,
      isAdmin: user.roles.includes("admin"),
      hold: holdOf(state, live),
      live,
      log,
      desk,
      holding,
      drafts,
      connect: () => setAgain((count) => count + 1),
    }),
    [state, user, live, log, desk, holding],
  );
  return <HeldContext.Provider value={held}>{children}</HeldContext.Provider>;
}

export function useHeld(): Held {
  const held = useContext(HeldContext);
  if (held === null) throw new Error("there is no <HeldProvider> above this component");
  return held;
}

/** A change for the next frame, so that a flood of them is one render. */
export function nextFrame(work: () => void): void {
  // A hidden page has no frames; what it collects is bounded, and shown when it is seen.
  requestAnimationFrame(work);
}

import { useEffect, useState, useSyncExternalStore } from "react";
import { Feed, type Fold, type Shown } from "../lib/feed.js";
import { nextFrame, useHeld } from "./held.js";

/**
 * A channel's value for as long as the component is there.
 *
 * `fold` must stay the same between renders, and the component is another one for another channel: `key`.
 */
export function useFeed<Value>(channel: string, fold: Fold<Value>, limit: number): Shown<Value> {
  const { live } = useHeld().live;
  const [feed, setFeed] = useState<Feed<Value> | null>(null);
  const [before] = useState<Shown<Value>>({ value: fold.empty, phase: "loading", broken: null });
  useEffect(() => {
    if (live === null) return;
    const made = new Feed(live, channel, fold, { limit, later: nextFrame });
    setFeed(made);
    return () => made.close();
  }, [live, channel, fold, limit]);
  return useSyncExternalStore(feed?.subscribe ?? never, feed?.shown ?? (() => before));
}

const never = () => (): void => undefined;

import type { LiveConnection, LiveState, Session } from "@holdfast/client";
import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from "react";

/** The page's connection, its state, and how to send on it. */
export interface Line extends LiveState {
  /** The connection itself, for its channels; null until it is opened. */
  readonly live: LiveConnection | null;
  readonly send: LiveConnection["send"];
}

/**
 * Hold the WebSocket at `path` open while the component is there.
 *
 * The SDK's `useChannel` is for one channel of a component. Here any number of them come and go (`desk.ts`), are read from
 * their history first (`feed.ts`), and say why they are refused, so the connection itself is given out.
 */
export function useLine(session: Session, path: string, onMessage: (message: unknown) => void): Line {
  const [live, setLive] = useState<LiveConnection | null>(null);
  const latest = useRef(onMessage);
  useEffect(() => {
    latest.current = onMessage;
  });
  useEffect(() => {
    const opened = session.connect(path);
    opened.on("message", (message) => latest.current(message));
    setLive(opened);
    return () => opened.close();
  }, [session, path]);
  const subscribe = useCallback((changed: () => void) => live?.on("state", changed) ?? nothing, [live]);
  const state = useSyncExternalStore(subscribe, () => live?.state ?? NOT_YET);
  const send = useCallback<Line["send"]>(
    (message) => live?.send(message) ?? Promise.reject(new Error("there is no connection yet")),
    [live],
  );
  return { ...state, live, send };
}

const NOT_YET: LiveState = {
  status: "connecting",
  connection: null,
  retryAt: null,
  graceEndsAt: null,
  ending: null,
};

const nothing = (): void => undefined;

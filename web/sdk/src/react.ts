/** `@holdfast/client/react`: the session and its connections as hooks. */

import {
  createContext,
  createElement,
  type ReactElement,
  type ReactNode,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useSyncExternalStore,
} from "react";
import { HoldfastError } from "./errors.js";
import type { LiveConnection, LiveState, Session, SessionState } from "./index.js";

interface Shared {
  readonly live: LiveConnection;
  users: number;
}

interface Held {
  readonly session: Session;
  /** Whose the connections are: another person gets others. Empty when nobody is signed in. */
  readonly user: string;
  /** One connection a path, however many components use it. */
  readonly connections: Map<string, Shared>;
}

const HoldfastContext = /* @__PURE__ */ createContext<Held | null>(null);

export interface HoldfastProviderProps {
  readonly session: Session;
  readonly children?: ReactNode;
}

/** Gives `session` to the hooks below it. The session is yours: it is not started or destroyed here. */
export function HoldfastProvider({ session, children }: HoldfastProviderProps): ReactElement {
  const subscribe = useCallback((changed: () => void) => session.on("state", changed), [session]);
  const userOf = (): string => session.state.user?.id ?? "";
  const user = useSyncExternalStore(subscribe, userOf, () => "");
  const held = useMemo<Held>(() => ({ session, user, connections: new Map() }), [session, user]);
  return createElement(HoldfastContext.Provider, { value: held }, children);
}

/** The session's state, and the session itself to act on. */
export interface UsedSession extends SessionState {
  readonly session: Session;
}

export function useSession(): UsedSession {
  const { session } = useHeld();
  const subscribe = useCallback((changed: () => void) => session.on("state", changed), [session]);
  const state = useSyncExternalStore(
    subscribe,
    () => session.state,
    () => SIGNED_OUT,
  );
  return useMemo(() => ({ ...state, session }), [state, session]);
}

/** The connection's state, and how to send on it. */
export interface UsedConnection extends LiveState {
  /** As `LiveConnection.send`. */
  readonly send: (message: object) => Promise<void>;
}

/**
 * Hold the WebSocket at `path` open while the component is there; null holds none.
 *
 * Components that name the same path share one connection. `onMessage` is called for each message that comes while the
 * component is there, and may be another function at each render.
 */
export function useConnection(path: string | null, onMessage?: (message: unknown) => void): UsedConnection {
  const held = useHeld();
  const subscribe = useCallback(
    (changed: () => void) => {
      if (path === null) return nothing;
      const shared = acquire(held, path);
      const stop = shared.live.on("state", changed);
      return () => {
        stop();
        release(held, path, shared);
      };
    },
    [held, path],
  );
  const live = (): LiveConnection | undefined =>
    path === null ? undefined : held.connections.get(path)?.live;
  const state = useSyncExternalStore(
    subscribe,
    () => live()?.state ?? NOT_YET,
    () => NOT_YET,
  );
  const latest = useRef(onMessage);
  useEffect(() => {
    latest.current = onMessage;
  });
  useEffect(() => {
    if (path === null) return nothing;
    const shared = acquire(held, path);
    const stop = shared.live.on("message", (message) => latest.current?.(message));
    return () => {
      stop();
      release(held, path, shared);
    };
  }, [held, path]);
  const send = useCallback(
    (message: object) => {
      const shared = path === null ? undefined : held.connections.get(path);
      return shared === undefined ? Promise.reject(new HoldfastError("closed")) : shared.live.send(message);
    },
    [held, path],
  );
  return useMemo(() => ({ ...state, send }), [state, send]);
}

const SIGNED_OUT: SessionState = {
  status: "signed_out",
  user: null,
  reason: "",
  expiresAt: null,
  refreshAt: null,
};

const NOT_YET: LiveState = {
  status: "connecting",
  connection: null,
  retryAt: null,
  graceEndsAt: null,
  ending: null,
};

const nothing = (): void => undefined;

function useHeld(): Held {
  const held = useContext(HoldfastContext);
  if (held === null) throw new Error("there is no <HoldfastProvider> above this component");
  return held;
}

function acquire({ session, connections }: Held, path: string): Shared {
  const shared = connections.get(path) ?? { live: session.connect(path), users: 0 };
  connections.set(path, shared);
  shared.users += 1;
  return shared;
}

/** Closed a moment later, so that StrictMode and a move within the page keep the same connection. */
function release({ connections }: Held, path: string, shared: Shared): void {
  shared.users -= 1;
  setTimeout(() => {
    if (shared.users > 0 || connections.get(path) !== shared) return;
    connections.delete(path);
    shared.live.close();
  });
}

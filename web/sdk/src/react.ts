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
import type {
  ChannelEvent,
  LiveConnection,
  LiveState,
  Member,
  Position,
  Session,
  SessionState,
  SubscribeOptions,
  SubscriptionStatus,
} from "./index.js";

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

/** The connection's state, and what can be done with it: always the same functions, until another path is named. */
export interface UsedConnection
  extends LiveState,
    Pick<LiveConnection, "send" | "publish" | "history" | "presence"> {}

/** The server's own endpoint. */
const PATH = "/ws";

/**
 * Hold the WebSocket at `path` open while the component is there: at `/ws` if none is named; null holds none.
 *
 * Components that name the same path share one connection. `onMessage` is called for each message that comes while the
 * component is there, and may be another function at each render.
 */
export function useConnection(
  path: string | null = PATH,
  onMessage?: (message: unknown) => void,
): UsedConnection {
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
  const actions = useMemo(() => {
    const on = async <Result>(act: (live: LiveConnection) => Promise<Result>): Promise<Result> => {
      const shared = path === null ? undefined : held.connections.get(path);
      if (shared === undefined) throw new HoldfastError("closed");
      return await act(shared.live);
    };
    return {
      send: (...message: Parameters<LiveConnection["send"]>) => on((live) => live.send(...message)),
      publish: (...publication: Parameters<LiveConnection["publish"]>) =>
        on((live) => live.publish(...publication)),
      history: (...question: Parameters<LiveConnection["history"]>) =>
        on((live) => live.history(...question)),
      presence: (channel: string) => on((live) => live.presence(channel)),
    };
  }, [held, path]);
  return useMemo(() => ({ ...state, ...actions }), [state, actions]);
}

/** Where a channel is; a new object whenever it has changed, which an event alone does not do. */
export interface UsedChannel {
  readonly status: SubscriptionStatus;
  /** Whether all that was missed came with the last return; at first, with `since`: else there is everything to load. */
  readonly recovered: boolean;
  /** Where the channel was when it was subscribed last. */
  readonly position: Position | null;
  /** Who is there, where that was asked for. */
  readonly members: readonly Member[];
}

export interface UseChannelOptions extends SubscribeOptions {
  /** Of the connection; `/ws` by default. */
  readonly path?: string | undefined;
}

/**
 * Hear what is published on a channel while the component is there; null hears nothing.
 *
 * Components that name the same channel share one subscription. `onEvent` is called for each publication, and may be
 * another function at each render. `position` is another object after each return: load what the page shows in an effect
 * that depends on it, unless it is `recovered`.
 */
export function useChannel(
  channel: string | null,
  onEvent?: (event: ChannelEvent) => void,
  options?: UseChannelOptions,
): UsedChannel {
  return useSubscription(channel, { event: onEvent }, options);
}

export interface ChannelStateOptions<State> extends UseChannelOptions {
  /**
   * What to do with the state when publications were missed that cannot be had any more.
   *
   * `reset` it to the initial one; `keep` it, where each publication says everything anew; or make another of it, such as
   * one that is marked for the page to load.
   */
  readonly onLost: "reset" | "keep" | ((state: State) => State);
}

/**
 * What the publications of a channel come to: `reducer` is called with each of them, once and in order.
 *
 * Answers the state and where the channel is. Another channel begins with `initial` again.
 */
export function useChannelState<State>(
  channel: string | null,
  reducer: (state: State, event: ChannelEvent) => State,
  initial: State,
  { onLost, ...options }: ChannelStateOptions<State>,
): [state: State, status: SubscriptionStatus] {
  const held = useHeld();
  // biome-ignore lint/correctness/useExhaustiveDependencies: another person or channel has another state
  const kept = useMemo(() => keep(initial), [held, options.path, channel]);
  const state = useSyncExternalStore(kept.subscribe, kept.get, kept.get);
  const { status } = useSubscription(
    channel,
    {
      event: (event) => kept.set(reducer(kept.get(), event)),
      lost() {
        if (onLost !== "keep") kept.set(onLost === "reset" ? initial : onLost(kept.get()));
      },
    },
    options,
  );
  return [state, status];
}

/** Called with what happens on a channel. */
interface Heard {
  readonly event?: ((event: ChannelEvent) => void) | undefined;
  /** Of what came before, something cannot be had any more. */
  readonly lost?: () => void;
}

function useSubscription(
  channel: string | null,
  heard: Heard,
  { path = PATH, presence, since }: UseChannelOptions = {},
): UsedChannel {
  const held = useHeld();
  const latest = useRef(heard);
  useEffect(() => {
    latest.current = heard;
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: another person begins from nothing
  const used = useMemo(() => keep(channel === null ? UNUSED : UNTOLD, since), [held, path, channel]);
  const subscribe = useCallback(
    (changed: () => void) => {
      if (channel === null) return nothing;
      const shared = acquire(held, path);
      const stop = used.subscribe(changed);
      let isThere = true;
      const subscription = shared.live.subscribe(
        channel,
        (event) => {
          if (!isThere) return;
          used.place = subscription.position;
          latest.current.event?.(event);
        },
        // A part of the page that was hidden meanwhile goes on from where it was.
        { presence, since: used.place },
      );
      const tell = (news: Partial<UsedChannel> = {}) => {
        if (isThere) used.set({ ...used.get(), ...news, status: subscription.status });
      };
      subscription.on("subscribed", ({ recovered, position }) => {
        if (isThere && used.place && !recovered) latest.current.lost?.();
        if (isThere) used.place = position;
        tell({ recovered, position });
      });
      subscription.on("presence", (members) => tell({ members }));
      for (const name of ["subscribing", "refused", "unsubscribed"] as const) {
        subscription.on(name, () => tell());
      }
      return () => {
        isThere = false;
        stop();
        // A moment later, as with connections.
        setTimeout(subscription.unsubscribe);
        release(held, path, shared);
      };
    },
    [held, path, channel, presence, used],
  );
  return useSyncExternalStore(subscribe, used.get, used.get);
}

/** A value that components follow. */
interface Kept<Value> {
  readonly get: () => Value;
  readonly set: (value: Value) => void;
  readonly subscribe: (changed: () => void) => () => void;
  /** How far in its channel somebody has come. */
  place: Position | null | undefined;
}

function keep<Value>(initial: Value, place?: Position | null): Kept<Value> {
  let value = initial;
  const followers = new Set<() => void>();
  return {
    get: () => value,
    set(next) {
      value = next;
      for (const changed of followers) changed();
    },
    subscribe(changed) {
      followers.add(changed);
      return () => followers.delete(changed);
    },
    place,
  };
}

const UNTOLD: UsedChannel = {
  status: "subscribing",
  recovered: false,
  position: null,
  members: [],
};

const UNUSED: UsedChannel = { ...UNTOLD, status: "unsubscribed" };

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

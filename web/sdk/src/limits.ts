/** Every time and limit that this client keeps, in one place; in seconds where the name does not say otherwise. */

/** The longest a machine lets pass without looking at the time; timers stand still in sleep. */
export const TICK = 30;

/** How long one request may take. */
export const REQUEST_MS = 8000;
/** How long to wait for another tab. It may be frozen; then we go ahead, which the server can take. */
export const LOCK_MS = 3000;

/** How long before expiry to refresh where the server does not say; never over half the lifetime. */
export const LEAD = 300;
/** However short tokens live, this lies between a new one and the next refresh. */
export const SHORTEST_PAUSE = 0.25;
/** A new token must expire this much later than the old one, or this share of its life, or the next refresh backs off. */
export const NEWER_BY = 30;
export const NEWER_BY_SHARE = 0.1;
/** A server that asks for more is asked again all the same. */
export const RETRY_AFTER_MOST = 3600;
/** A wake does not repeat a failed refresh sooner than this. */
export const WAKE_PAUSE = 1;
/** The only refusals that end a session; whatever else goes wrong is the network's or the server's trouble. */
export const FINAL: readonly string[] = ["session_ended", "token_reused", "invalid_token", "invalid_grant"];
/** Whether an answer with this status may be another one soon: from no server at all, one that is busy, or a proxy. */
export const passes = (status: number): boolean =>
  status < 400 || status >= 500 || [401, 408, 425, 429].includes(status);
/** Nothing lives for three centuries: a larger number is nonsense. */
export const LONGEST_LIFE = 1e10;

export const BACKOFF_MOST = 60;
export const BACKOFF_DOUBLINGS = 6;
/** How far, as a share, the lead is spread. */
export const JITTER = 0.1;
/** Clocks that drift apart by more than this have not just been adjusted a little: the machine slept, or one was set. */
export const APART = 1;

/** How long opening may take, a refresh before it included. */
export const OPEN_PATIENCE = 15;
/** How long an open socket may stay without a `welcome`. */
export const PROOF_PATIENCE = 15;
/** How long a `ping` may stay without its `pong`. */
export const PROBE_PATIENCE = 8;
/** How long after `bye` the close frame may take. */
export const BYE_PATIENCE = 5;
/** So many ping intervals without a frame from the server are worth a `ping` of ours. */
export const QUIET_INTERVALS = 2;
/** A connection that was ready for so long starts the backoff over. */
export const STEADY = 30;
/** Messages that may wait: few enough to go out at once where a server takes 100 frames a second. */
export const QUEUE = 64;

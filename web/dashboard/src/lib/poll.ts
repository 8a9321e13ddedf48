import { useCallback, useEffect, useRef, useState } from "react";

export interface Polled<Data> {
  /** The newest; it stays while newer ones cannot be had. */
  readonly data: Data | null;
  /** Why the last try failed; null when it did not. */
  readonly error: unknown;
  /** When `data` came, by `Date.now()`. */
  readonly at: number;
  /** Ask again now. */
  readonly reload: () => void;
}

interface Kept<Data> {
  readonly data: Data | null;
  readonly error: unknown;
  readonly at: number;
}

const NOTHING = { data: null, error: null, at: 0 } as const;
/** A server that is in trouble is asked less often. */
const SLOWEST = 15_000;

/**
 * Load again `every` so many milliseconds while the page is seen, one request at a time; null loads once.
 *
 * `load` must stay the same between renders: `useCallback`.
 */
export function usePolled<Data>(
  load: (signal: AbortSignal) => Promise<Data>,
  every: number | null,
): Polled<Data> {
  const [kept, setKept] = useState<Kept<Data>>(NOTHING);
  const again = useRef<() => void>(() => undefined);
  useEffect(() => {
    const poller = new Poller(load, every, setKept);
    again.current = () => poller.ask();
    poller.ask();
    const seen = (): void => poller.seen();
    document.addEventListener("visibilitychange", seen);
    return () => {
      document.removeEventListener("visibilitychange", seen);
      poller.stop();
    };
  }, [load, every]);
  const reload = useCallback(() => again.current(), []);
  return { ...kept, reload };
}

class Poller<Data> {
  readonly #load: (signal: AbortSignal) => Promise<Data>;
  readonly #every: number | null;
  readonly #tell: (change: (before: Kept<Data>) => Kept<Data>) => void;
  #asking = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;

  constructor(
    load: (signal: AbortSignal) => Promise<Data>,
    every: number | null,
    tell: (change: (before: Kept<Data>) => Kept<Data>) => void,
  ) {
    this.#load = load;
    this.#every = every;
    this.#tell = tell;
  }

  /** Ask now; a question that is on its way is given up. */
  ask(): void {
    clearTimeout(this.#timer);
    this.#asking.abort();
    this.#asking = new AbortController();
    void this.#once(this.#asking.signal);
  }

  seen(): void {
    if (document.visibilityState === "visible" && this.#every !== null) this.ask();
    else clearTimeout(this.#timer);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#asking.abort();
  }

  async #once(signal: AbortSignal): Promise<void> {
    try {
      const data = await this.#load(signal);
      if (signal.aborted) return;
      this.#failures = 0;
      this.#tell(() => ({ data, error: null, at: Date.now() }));
    } catch (error) {
      if (signal.aborted) return;
      this.#failures += 1;
      this.#tell((before) => ({ ...before, error }));
    }
    if (this.#every === null || document.visibilityState !== "visible") return;
    this.#timer = setTimeout(() => this.ask(), Math.min(this.#every * 2 ** this.#failures, SLOWEST));
  }
}

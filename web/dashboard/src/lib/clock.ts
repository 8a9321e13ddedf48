import { useSyncExternalStore } from "react";

/** One timer for everything on the page that counts down together. */
class Ticker {
  readonly #step: number;
  readonly #listeners = new Set<() => void>();
  #timer: ReturnType<typeof setInterval> | null = null;
  #now = Date.now();

  constructor(step: number) {
    this.#step = step;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    if (this.#timer === null) {
      this.#now = Date.now();
      this.#timer = setInterval(() => this.#tick(), this.#step);
    }
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0 || this.#timer === null) return;
      clearInterval(this.#timer);
      this.#timer = null;
    };
  };

  /** The same between two ticks, or a render would never settle. */
  readonly now = (): number => (this.#timer === null ? Date.now() : this.#now);

  #tick(): void {
    this.#now = Date.now();
    for (const listener of [...this.#listeners]) listener();
  }
}

const QUARTERS = new Ticker(250);

/** `Date.now()`, four times a second. Seconds that are only shown once a second would sometimes skip one. */
export function useNow(): number {
  return useSyncExternalStore(QUARTERS.subscribe, QUARTERS.now, QUARTERS.now);
}

/** Seconds until `moment`, never below 0; null without one. */
export function useSecondsTo(moment: number | null): number | null {
  const now = useNow();
  return moment === null ? null : Math.max(0, (moment - now) / 1000);
}

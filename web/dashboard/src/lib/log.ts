/** What has happened on this page's socket: the newest entries, a bounded number of them. */

export const KEPT = 500;
export const KINDS = ["in", "out", "channel", "event"] as const;
export type Kind = (typeof KINDS)[number];

export interface Entry {
  readonly id: number;
  /** By `Date.now()`. */
  readonly at: number;
  readonly kind: Kind;
  /** The message in one line; what happened to the connection is worded when it is shown. */
  readonly text: string;
  readonly data: unknown;
  readonly tone?: "good" | "warn" | "bad";
  /** Where it was published, and its place there. */
  readonly channel?: string;
  readonly offset?: number;
}

/** One moment of the log: a new object whenever something has changed. */
export interface Shown {
  /** Newest first. */
  readonly entries: readonly Entry[];
  readonly paused: boolean;
  /** How many have come since the pause began. */
  readonly waiting: number;
  readonly received: number;
  readonly sent: number;
}

/** Schedules a change for the next frame, so that a flood of messages is one render a frame. */
export type Later = (work: () => void) => void;

const atOnce: Later = (work) => work();

export class MessageLog {
  readonly #later: Later;
  readonly #listeners = new Set<() => void>();
  #entries: Entry[] = [];
  #frozen: readonly Entry[] | null = null;
  #waiting = 0;
  #received = 0;
  #sent = 0;
  #next = 1;
  #scheduled = false;
  #shown: Shown = { entries: [], paused: false, waiting: 0, received: 0, sent: 0 };

  constructor(later: Later = atOnce) {
    this.#later = later;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly shown = (): Shown => this.#shown;

  add(entry: Omit<Entry, "id">): void {
    this.#entries = [{ ...entry, id: this.#next++ }, ...this.#entries.slice(0, KEPT - 1)];
    if (entry.kind === "in" || entry.kind === "channel") this.#received += 1;
    if (entry.kind === "out") this.#sent += 1;
    if (this.#frozen !== null) this.#waiting += 1;
    this.#changed();
  }

  /** Keep what is shown as it is, and go on collecting. */
  pause(paused: boolean): void {
    this.#frozen = paused ? this.#entries : null;
    this.#waiting = 0;
    this.#changed();
  }

  /** Forget the entries; the counts stay. */
  clear(): void {
    this.#entries = [];
    if (this.#frozen !== null) this.#frozen = [];
    this.#waiting = 0;
    this.#changed();
  }

  #changed(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#later(() => {
      this.#scheduled = false;
      this.#shown = {
        entries: this.#frozen ?? this.#entries,
        paused: this.#frozen !== null,
        waiting: this.#waiting,
        received: this.#received,
        sent: this.#sent,
      };
      for (const listener of [...this.#listeners]) listener();
    });
  }
}

/** Those that have `wanted` in their words, in any case, and are of this kind. */
export function matching(
  entries: readonly Entry[],
  kind: Kind | "all",
  wanted: string,
  wordsOf: (entry: Entry) => string,
): readonly Entry[] {
  const text = wanted.trim().toLowerCase();
  if (kind === "all" && text === "") return entries;
  return entries.filter(
    (entry) => (kind === "all" || entry.kind === kind) && wordsOf(entry).toLowerCase().includes(text),
  );
}

/** Listeners by event name, on the browser's own: one that throws is reported, and stops neither the others nor us. */

/** Has events; `Events` says what each brings. */
export interface Emitter<Events extends object> extends EventTarget {
  /** Never there: it gives the type a place. */
  readonly events?: Events;
}

type NameIn<Events> = string & keyof Events;

/** Listen; the answer stops it. */
export function listen<Events extends object, Name extends NameIn<Events>>(
  emitter: Emitter<Events>,
  name: Name,
  listener: (event: Events[Name]) => void,
): () => void {
  const entry = (event: Event): void => listener((event as CustomEvent<Events[Name]>).detail);
  emitter.addEventListener(name, entry);
  return () => emitter.removeEventListener(name, entry);
}

export const emit = <Events extends object, Name extends NameIn<Events>>(
  emitter: Emitter<Events>,
  name: Name,
  detail: Events[Name],
): boolean => emitter.dispatchEvent(new CustomEvent(name, { detail }));

/** Has a state as well, and tells of each new one. */
export interface Stateful<Events extends { readonly state: object }> extends Emitter<Events> {
  state: Events["state"];
  /** What it was made of. */
  told: string;
}

/** Begins without a state: it has one once that is published. */
export const stateful = <Events extends { readonly state: object }>(): Stateful<Events> =>
  Object.assign(new EventTarget(), { state: {} as Events["state"], told: "" });

/** Tell of a state, if `parts`, which it is made of, have changed. */
export function publish<Events extends { readonly state: object }>(
  emitter: Stateful<Events>,
  parts: readonly unknown[],
  state: Events["state"],
): void {
  const told = JSON.stringify(parts);
  if (told === emitter.told) return;
  emitter.told = told;
  emitter.state = state;
  emit(emitter, "state", state);
}

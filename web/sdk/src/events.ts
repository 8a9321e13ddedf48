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

/** Answers false when somebody has dealt with it (`preventDefault`). */
export const emit = <Events extends object, Name extends NameIn<Events>>(
  emitter: Emitter<Events>,
  name: Name,
  detail: Events[Name],
): boolean => emitter.dispatchEvent(new CustomEvent(name, { detail, cancelable: true }));

import { NEVER } from "./timing.js";

/** One timer: each call sets it anew, `NEVER` stops it. */
export function alarm(ring: () => void): (seconds: number) => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  return (seconds) => {
    clearTimeout(timer);
    if (seconds < NEVER) timer = setTimeout(ring, seconds * 1000);
  };
}

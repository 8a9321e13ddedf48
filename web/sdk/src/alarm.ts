/** One timer: each call sets it anew, null stops it. */
export function alarm(ring: () => void): (seconds: number | null) => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  return (seconds) => {
    clearTimeout(timer);
    if (seconds !== null) timer = setTimeout(ring, seconds * 1000);
  };
}

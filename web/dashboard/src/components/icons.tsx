import type { ReactElement } from "react";

/** Drawn on 16 by 16, one line, the text's colour. They stand beside words or in a labelled button, so they say nothing. */
const PATHS = {
  refresh: "M13.5 8a5.5 5.5 0 1 1-1.7-4M13.5 2.500v3h-3",
  sun: "M8 5a3 3 0 1 1 0 6 3 3 0 0 1 0-6M8 1v1.500M8 13.500V15M1 8h1.500M13.5 8H15M3 3l1.1 1.100M11.9 11.9 13 13M3 13l1.1-1.100M11.9 4.1 13 3",
  moon: "M13.5 9.700A6 6 0 1 1 6.3 2.500a4.8 4.8 0 0 0 7.2 7.200Z",
  display: "M2 3.500h12v7.500H2zM6 13.500h4M8 11v2.5",
  logout: "M6.5 2.500H3v11h3.500M10.5 5l3 3-3 3M13.5 8H6.5",
  devices: "M1.5 3h9v6.500h-9zM4 12h4M6 9.500V12M12 6h2.500v7.500H12z",
  check: "m3 8.5 3.2 3.200L13 4.8",
  copy: "M5.5 5.500h8v8h-8zM10.5 5.500v-3h-8v8h3",
  pause: "M5.5 3.500v9M10.5 3.500v9",
  play: "M4.5 3v10l8.5-5z",
  clear: "M3 4.500h10M6.5 4.500v-2h3v2M4.5 4.500l.600 9h5.800l.600-9",
  send: "M14 2 7.5 8.500M14 2l-4.2 12-2.3-5.500L2 6.200z",
  search: "M7 2.500a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9M10.3 10.3 13.5 13.5",
  close: "m4 4 8 8M12 4l-8 8",
  eye: "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8M8 6a2 2 0 1 1 0 4 2 2 0 0 1 0-4",
  eyeOff:
    "m2.5 2.5 11 11M6.3 3.700A7 7 0 0 1 8 3.500c4 0 6.5 4.5 6.5 4.500a12 12 0 0 1-1.9 2.400M10 12.200a6.5 6.5 0 0 1-2 .300C4 12.5 1.5 8 1.5 8a12 12 0 0 1 2.3-2.8",
  laptop: "M3.5 3.500h9v6.500h-9zM1.5 12.500h13",
  phone: "M5 1.500h6v13H5zM7.5 12h1",
  terminal: "M1.5 3h13v10h-13zM4 6l2 2-2 2M8 10h3.5",
  unlink: "M6.5 9.5 9.5 6.500M7 4l1-1a3.5 3.5 0 0 1 5 5l-1 1M9 12l-1 1a3.5 3.5 0 0 1-5-5l1-1M2.5 2.500l11 11",
  ban: "M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2M3.8 3.800l8.4 8.4",
  clock: "M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2M8 4.5V8l2.5 1.5",
  channel:
    "M8 7a1.2 1.2 0 1 1 0 2.400A1.2 1.2 0 0 1 8 7M5 11a4 4 0 0 1 0-6M11 5a4 4 0 0 1 0 6M3 13a7 7 0 0 1 0-10M13 3a7 7 0 0 1 0 10",
  plus: "M8 3.500v9M3.5 8h9",
  back: "M10 3.5 5.5 8l4.5 4.500",
  down: "M8 3v9.500M4 9l4 3.500L12 9",
  in: "M13 8H3.500M7 4.5 3.5 8 7 11.5",
  out: "M3 8h9.500M9 4.5 12.5 8 9 11.5",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { readonly name: IconName }): ReactElement {
  return (
    <svg className="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}

/** The mark: an H whose bar is a wave. */
export function Mark(): ReactElement {
  return (
    <svg className="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <path d="M8.5 5v22M23.5 5v22M8.5 16.5c3.5-5.5 11.5 5.5 15 0" />
    </svg>
  );
}

/** A user agent as a person would name it. Good for recognising one's own devices, and for nothing else. */

export interface DeviceName {
  readonly browser: string | null;
  readonly system: string | null;
}

/** The first that fits: most browsers claim to be several others too. */
const BROWSERS: readonly (readonly [RegExp, string])[] = [
  [/\bEdgA?\/(\d+)/, "Edge"],
  [/\bOPR\/(\d+)/, "Opera"],
  [/\bYaBrowser\/(\d+)/, "Yandex Browser"],
  [/\bSamsungBrowser\/(\d+)/, "Samsung Internet"],
  [/\b(?:Firefox|FxiOS)\/(\d+)/, "Firefox"],
  [/\bHeadlessChrome\/(\d+)/, "Headless Chrome"],
  [/\b(?:Chrome|CriOS)\/(\d+)/, "Chrome"],
  [/\bVersion\/(\d+)\S* (?:Mobile\/\S+ )?Safari\//, "Safari"],
  [/^curl\/([\d.]+)/, "curl"],
  [/^python-httpx\/([\d.]+)/, "httpx"],
  [/^holdfast\/([\d.]+)/i, "holdfast"],
  [/\bwebsockets\/([\d.]+)/, "websockets"],
];

const SYSTEMS: readonly (readonly [RegExp, string])[] = [
  [/\b(?:iPhone|iPod)\b/, "iPhone"],
  [/\biPad\b/, "iPad"],
  [/\bAndroid\b/, "Android"],
  [/\bWindows NT\b/, "Windows"],
  [/\bCrOS\b/, "ChromeOS"],
  [/\bMac OS X\b/, "macOS"],
  [/\bLinux\b/, "Linux"],
];

export function deviceName(userAgent: string | null): DeviceName {
  if (userAgent === null) return { browser: null, system: null };
  return { browser: named(userAgent, BROWSERS), system: named(userAgent, SYSTEMS) };
}

function named(userAgent: string, names: readonly (readonly [RegExp, string])[]): string | null {
  for (const [pattern, name] of names) {
    const found = pattern.exec(userAgent);
    if (found !== null) return found[1] === undefined ? name : `${name} ${found[1]}`;
  }
  return null;
}

/** Names of channels: PROTOCOL.md, section 12. */

/** Whether a channel may have this name. */
export function isChannel(name: string): boolean {
  return /^[!-~]{1,255}$/.test(name) && !/[{}*?&,]/.test(name);
}

/** The channels that an address asks for, as plain sockets ask for them too: `?channel=a&channel=b`. */
export function channelsIn(search: string): readonly string[] {
  return [...new Set(new URLSearchParams(search).getAll("channel").filter(isChannel))];
}

export function searchFor(channels: readonly string[]): string {
  const asked = channels.map((name) => `channel=${encodeURIComponent(name).replaceAll("%3A", ":")}`);
  return asked.length === 0 ? "" : `?${asked.join("&")}`;
}

import type { Session } from "@holdfast/client";

/** After these it would only be the same again. */
const FINAL = new Set([1000, 1002, 1003, 1007, 1009]);

/** Hear what comes on the WebSocket at `path`, until the server is done with it or nobody is signed in. */
export async function keepOpen(session: Session, path: string, hear: (text: string) => void): Promise<void> {
  for (let tries = 0; ; tries++) {
    const socket = new WebSocket(await session.ticketUrl(path));
    const { code } = await new Promise<CloseEvent>((closed) => {
      socket.onmessage = ({ data }) => {
        tries = 0;
        hear(String(data));
      };
      socket.onclose = closed;
    });
    if (FINAL.has(code)) return;
    const seconds = Math.random() * Math.min(60, 2 ** tries);
    await new Promise((goOn) => setTimeout(goOn, seconds * 1000));
  }
}

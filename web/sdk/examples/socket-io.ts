import type { Session } from "@holdfast/client";
import { io, type Socket } from "socket.io-client";

export function socketIo(session: Session, url: string): Socket {
  const socket = io(url, {
    // Called for each connection. Your server checks it in a middleware: io.use(...).
    auth: async (send) => send({ token: await session.getToken().catch(() => "") }),
  });
  // Socket.IO has no renewal of its own: tell your server of each new token, so that it need not close.
  session.on("refreshed", () => void session.getToken().then((token) => socket.emit("auth", token)));
  session.on("signed_in", () => socket.disconnect().connect());
  return socket;
}

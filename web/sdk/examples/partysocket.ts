import type { Session } from "@holdfast/client";
import { WebSocket } from "partysocket";

export function openRoom(session: Session, room: string): WebSocket {
  // Called for each connection, so each has a ticket of its own.
  const socket = new WebSocket(() => session.ticketUrl(`/rooms/${room}`));
  session.on("signed_out", () => socket.close());
  session.on("signed_in", () => socket.reconnect());
  return socket;
}

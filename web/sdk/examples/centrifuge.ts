import type { Session } from "@holdfast/client";
import { Centrifuge, UnauthorizedError } from "centrifuge";

export function centrifuge(session: Session, url: string): Centrifuge {
  const client = new Centrifuge(url, {
    // Called for the first connection, and each time that the token of a connection runs out.
    getToken: async () => {
      try {
        return await session.getToken();
      } catch {
        throw new UnauthorizedError("nobody is signed in"); // or it would try for ever
      }
    },
  });
  session.on("signed_in", () => client.connect());
  client.connect();
  return client;
}

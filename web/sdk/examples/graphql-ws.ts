import type { Session } from "@holdfast/client";
import { type Client, createClient } from "graphql-ws";

export function graphqlClient(session: Session, url: string): Client {
  return createClient({
    url,
    // Called for each connection. Your server checks the token in its onConnect.
    connectionParams: async () => ({ token: await session.getToken() }),
    retryAttempts: Number.POSITIVE_INFINITY,
    shouldRetry: () => session.state.status !== "ended",
  });
}

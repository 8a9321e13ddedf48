import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

type Answer = readonly [status: number, body: object];

/** A server on the loopback that signs in, refreshes and gives tickets, for the examples. */
export class Loopback {
  readonly http = createServer((request, response) => {
    const [status, body] = this.#answer(request);
    response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
  });
  readonly #tickets = new Set<string>();
  #tokens = 0;
  #given = 0;

  /** The only token that is good. */
  get token(): string {
    return `token-${this.#tokens}`;
  }

  get port(): number {
    return (this.http.address() as AddressInfo).port;
  }

  async start(): Promise<void> {
    await new Promise<void>((listening) => this.http.listen(0, "127.0.0.1", listening));
  }

  async stop(): Promise<void> {
    this.http.closeAllConnections();
    await new Promise((closed) => this.http.close(closed));
  }

  /** Take the ticket in a URL: good once. */
  admits(url: string | undefined): boolean {
    return this.#tickets.delete(new URL(url ?? "", "http://x").searchParams.get("ticket") ?? "");
  }

  #answer({ url, headers }: IncomingMessage): Answer {
    if (url === "/token" || url === "/auth/refresh") return [200, this.#grant()];
    if (headers.authorization !== `Bearer ${this.token}`) return [401, { code: "invalid_token" }];
    if (url !== "/auth/ticket") return [200, {}];
    this.#given += 1;
    const ticket = `ticket-${this.#given}-${this.token}`;
    this.#tickets.add(ticket);
    return [200, { ticket, expires_in: 30 }];
  }

  #grant(): object {
    this.#tokens += 1;
    return {
      access_token: this.token,
      expires_in: 900,
      refresh_in: 600,
      session_id: "s1",
      generation: this.#tokens,
      user: { id: "u1", name: "ann", roles: [] },
    };
  }
}

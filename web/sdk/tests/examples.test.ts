import { readdirSync, readFileSync } from "node:fs";
import { createSession, type Session } from "@holdfast/client";
import { Server as SocketIoServer } from "socket.io";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import WebSocket, { WebSocketServer } from "ws";
import { centrifuge } from "../examples/centrifuge.js";
import { graphqlClient } from "../examples/graphql-ws.js";
import { openRoom } from "../examples/partysocket.js";
import { socketIo } from "../examples/socket-io.js";
import { keepOpen } from "../examples/websocket.js";
import { Loopback } from "./loopback.js";

let server: Loopback;
let session: Session;
const closing: (() => unknown)[] = [];

beforeEach(async () => {
  // Node 20 has none.
  vi.stubGlobal("WebSocket", WebSocket);
  server = new Loopback();
  await server.start();
  session = createSession({ url: `http://127.0.0.1:${server.port}` });
  await session.login("ann", "right");
});

afterEach(async () => {
  session.destroy();
  for (const close of closing.splice(0).reverse()) await close();
  await server.stop();
  vi.unstubAllGlobals();
});

/** Wait until something has happened. */
const happens = (what: () => unknown) =>
  vi.waitFor(() => expect(what()).toBeTruthy(), { timeout: 10_000, interval: 10 });

/** A WebSocket server that lets in who has a ticket, and says so. */
function ticketed(): { urls: string[]; live: Set<WebSocket> } {
  const sockets = new WebSocketServer({ server: server.http });
  const urls: string[] = [];
  sockets.on("connection", (socket, request) => {
    if (server.admits(request.url)) {
      urls.push(String(request.url));
      socket.send("hello");
    } else {
      socket.close(4003, "Invalid token.");
    }
  });
  closing.push(() => sockets.close());
  return { urls, live: sockets.clients };
}

const drop = (live: Set<WebSocket>) => {
  for (const socket of live) socket.terminate();
};

describe("a WebSocket of one's own", () => {
  test.each([1000, 1002, 1003, 1007, 1009])("has a new ticket each time, and ends at %i", async (code) => {
    const { urls, live } = ticketed();
    const heard: string[] = [];
    vi.spyOn(Math, "random").mockReturnValue(0.01);
    const done = keepOpen(session, "/ws", (text) => heard.push(text));
    await happens(() => heard.length === 1);
    drop(live);
    await happens(() => heard.length === 2);
    expect(new Set(urls).size).toBe(2);
    for (const socket of live) socket.close(code);
    await done;
    vi.restoreAllMocks();
  });

  test("ends when nobody is signed in", async () => {
    const { live } = ticketed();
    const heard: string[] = [];
    vi.spyOn(Math, "random").mockReturnValue(0.01);
    const done = keepOpen(session, "/ws", (text) => heard.push(text));
    await happens(() => heard.length === 1);
    await session.logout();
    drop(live);
    await expect(done).rejects.toMatchObject({ code: "signed_out" });
    vi.restoreAllMocks();
  });
});

describe("partysocket", () => {
  test("has a new ticket each time, rests while nobody is signed in, and comes back", async () => {
    const { urls, live } = ticketed();
    const socket = openRoom(session, "lobby");
    closing.push(() => socket.close());
    await happens(() => urls.length === 1);
    expect(urls[0]).toMatch(/^\/rooms\/lobby\?ticket=ticket-\d+-token-1$/);
    drop(live);
    await happens(() => urls.length === 2);
    await session.logout();
    await happens(() => live.size === 0);
    await session.login("ann", "right");
    await happens(() => urls.length === 3);
    expect(urls[2]).toContain("token-2");
  });
});

describe("graphql-ws", () => {
  /** As much of graphql-transport-ws as one question takes. */
  function graphql(): { tokens: unknown[]; live: Set<WebSocket> } {
    const sockets = new WebSocketServer({ server: server.http });
    const tokens: unknown[] = [];
    sockets.on("connection", (socket) => {
      const say = (frame: object) => socket.send(JSON.stringify(frame));
      socket.on("message", (data) => {
        const { type, id, payload } = JSON.parse(String(data)) as {
          type: string;
          id: string;
          payload: unknown;
        };
        if (type === "connection_init") {
          const { token } = payload as { token: string };
          tokens.push(token);
          if (token === server.token) say({ type: "connection_ack" });
          else socket.close(4403, "Forbidden");
        } else if (type === "subscribe") {
          say({ type: "next", id, payload: { data: { hello: "world" } } });
          say({ type: "complete", id });
        }
      });
    });
    closing.push(() => sockets.close());
    return { tokens, live: sockets.clients };
  }

  test("shows the session's token with each connection", async () => {
    const { tokens, live } = graphql();
    const client = graphqlClient(session, `ws://127.0.0.1:${server.port}`);
    closing.push(() => client.dispose());
    const ask = async () => {
      for await (const result of client.iterate({ query: "{ hello }" })) return result.data;
      return null;
    };
    expect(await ask()).toEqual({ hello: "world" });
    await session.refreshToken();
    drop(live);
    expect(await ask()).toEqual({ hello: "world" });
    expect(tokens).toEqual(["token-1", "token-2"]);
  });
});

describe("centrifuge-js", () => {
  /** As much of Centrifugo's JSON protocol as connecting and renewing takes; tokens last a second. */
  function centrifugo(): { shown: string[] } {
    const sockets = new WebSocketServer({ server: server.http });
    const shown: string[] = [];
    const answer = (line: string): string => {
      const { id, ...command } = JSON.parse(line) as Record<string, { token: string }>;
      const [kind = "", request] = Object.entries(command)[0] ?? [];
      if (request?.token === undefined) return "{}";
      shown.push(request.token);
      const error = { code: 109, message: "token expired" };
      const result = { client: "c1", version: "1", expires: true, ttl: 1 };
      return JSON.stringify(request.token === server.token ? { id, [kind]: result } : { id, error });
    };
    sockets.on("connection", (socket) => {
      socket.on("message", (data) => {
        for (const line of String(data).trim().split("\n")) socket.send(answer(line));
      });
    });
    closing.push(() => sockets.close());
    return { shown };
  }

  test("is given the session's token at first and whenever it asks for a newer one", async () => {
    const { shown } = centrifugo();
    const client = centrifuge(session, `ws://127.0.0.1:${server.port}/connection/websocket`);
    closing.push(() => client.disconnect());
    await client.ready(5000);
    await session.refreshToken();
    await happens(() => shown.includes("token-2"));
    expect(shown[0]).toBe("token-1");
    expect(client.state).toBe("connected");
  });

  test("stops when nobody is signed in, and connects after the next sign-in", async () => {
    centrifugo();
    const client = centrifuge(session, `ws://127.0.0.1:${server.port}/connection/websocket`);
    closing.push(() => client.disconnect());
    await client.ready(5000);
    await session.logout();
    await happens(() => client.state === "disconnected");
    await session.login("ann", "right");
    await happens(() => client.state === "connected");
  });
});

describe("socket.io", () => {
  test("shows the session's token with each connection, and each new one on it", async () => {
    const shown: unknown[] = [];
    const renewed: unknown[] = [];
    const sockets = new SocketIoServer(server.http);
    sockets.use((socket, next) => {
      const { token } = socket.handshake.auth;
      shown.push(token);
      next(token === server.token ? undefined : new Error("invalid token"));
    });
    sockets.on("connection", (socket) => socket.on("auth", (token) => renewed.push(token)));
    const client = socketIo(session, `http://127.0.0.1:${server.port}`);
    closing.push(
      () => sockets.close(),
      () => client.disconnect(),
    );
    await happens(() => client.connected);
    await session.refreshToken();
    await happens(() => renewed.length === 1);
    expect(renewed).toEqual(["token-2"]);
    sockets.disconnectSockets(true);
    await happens(() => !client.connected);
    client.connect();
    await happens(() => shown.length === 2 && client.connected);
    expect(shown).toEqual(["token-1", "token-2"]);
  });
});

describe("docs/browser.md", () => {
  const page = readFileSync(new URL("../../../docs/browser.md", import.meta.url), "utf8");
  const examples = new URL("../examples/", import.meta.url);

  test.each(readdirSync(examples))("shows %s as it is tested here", (name) => {
    const code = readFileSync(new URL(name, examples), "utf8");
    const language = name.split(".").at(-1);
    expect(page).toContain(`\`\`\`${language}\n${code}\`\`\``);
  });
});

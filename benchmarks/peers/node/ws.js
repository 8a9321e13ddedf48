// Node's ws: a loop of sends over a set, as its README has it.
import { createServer } from "node:http";
import { WebSocketServer } from "ws";
import { mayPublish } from "./proof.js";

const http = createServer();
const server = new WebSocketServer({ noServer: true, perMessageDeflate: false });
const subscribers = new Set();

http.on("upgrade", (request, socket, head) => {
  let publishes;
  try {
    publishes = mayPublish(request.headers.authorization);
  } catch {
    socket.end("HTTP/1.1 401 Unauthorized\r\n\r\n");
    return;
  }
  server.handleUpgrade(request, socket, head, (live) => {
    if (!publishes) subscribers.add(live);
    live.on("close", () => subscribers.delete(live));
    live.on("error", () => subscribers.delete(live));
    live.on("message", (data, binary) => {
      if (!publishes) live.send(data, { binary });
      else for (const subscriber of subscribers) subscriber.send(data, { binary });
    });
  });
});

http.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 2048 });

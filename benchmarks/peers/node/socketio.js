// Node's Socket.IO: a room, and one emit to it.
import { createServer } from "node:http";
import { Server } from "socket.io";
import { mayPublish } from "./proof.js";

const http = createServer();
const server = new Server(http, { transports: ["websocket"], perMessageDeflate: false, pingInterval: 3_600_000 });

server.use((socket, next) => {
  try {
    socket.data.publishes = mayPublish(socket.handshake.headers.authorization);
    next();
  } catch (error) {
    next(error);
  }
});

server.on("connection", (socket) => {
  if (!socket.data.publishes) socket.join("bench");
  socket.on("publish", (data) => socket.data.publishes && server.to("bench").emit("message", data));
  socket.on("echo", (data) => socket.emit("message", data));
});

http.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 2048 });

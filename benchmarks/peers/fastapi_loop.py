"""FastAPI on uvicorn as people write it: a set of sockets and a loop of sends."""

from __future__ import annotations

import jwt
import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect, WebSocketException
from proof import may_publish, port

app = FastAPI()
subscribers: set[WebSocket] = set()


@app.websocket("/ws")
async def ws(websocket: WebSocket) -> None:
    try:
        publishes = may_publish(websocket.headers.get("authorization"))
    except jwt.InvalidTokenError:
        raise WebSocketException(4003) from None
    await websocket.accept()
    if not publishes:
        subscribers.add(websocket)
    try:
        while True:
            text = await websocket.receive_text()
            if publishes:
                for subscriber in list(subscribers):
                    await subscriber.send_text(text)
            else:
                await websocket.send_text(text)
    except WebSocketDisconnect:
        subscribers.discard(websocket)


if __name__ == "__main__":
    uvicorn.run(app, port=port(), loop="uvloop", http="httptools", log_level="warning", ws_ping_interval=None)
